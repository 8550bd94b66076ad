//! The serial port COM1: the log goes out here, and bytes come in by interrupt.
#![allow(unsafe_code, reason = "drives I/O ports")]

use crate::exclusive::Exclusive;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};
use x86_64::instructions::port::Port;

const BASE: u16 = 0x3f8;
/// How often the emergency path looks whether the transmitter is ready before it gives up on a byte.
const MAX_TRIES: u32 = 100_000;

static UART: Exclusive<Option<Uart16550<PioBackend>>> = Exclusive::new(None);

/// Sets the port up. Without one the log goes nowhere, and the kernel runs on.
pub fn init() {
    // SAFETY: 0x3f8 is COM1 on every PC; this module alone uses it.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(BASE) }) else {
        return;
    };
    if uart.init(Config::default()).is_ok() {
        UART.try_with(|slot| *slot = Some(uart));
    }
}

/// Sends as many bytes as the port takes at once; answers how many. Zero where it is busy.
pub fn send(bytes: &[u8]) -> usize {
    UART.try_with(|uart| {
        uart.as_mut()
            .map_or(bytes.len(), |uart| uart.send_bytes(bytes))
    })
    .unwrap_or(0)
}

/// Sends bytes from anywhere, a fault in this module included: waits for the port, boundedly.
pub fn emergency(bytes: &[u8]) {
    const TRANSMITTER_READY: u8 = 0x20;
    let mut data = Port::<u8>::new(BASE);
    let mut line_status = Port::<u8>::new(BASE + 5);
    for &byte in bytes {
        // SAFETY: reading the line status and writing a byte out are harmless at any time.
        unsafe {
            for _ in 0..MAX_TRIES {
                if line_status.read() & TRANSMITTER_READY != 0 {
                    break;
                }
            }
            data.write(byte);
        }
    }
}
