//! The serial port COM1: the log goes out here, and bytes come in by interrupt.
#![allow(unsafe_code, reason = "drives I/O ports")]

use super::interrupts::LINES;
use super::line::{SERIAL_INPUT, SERIAL_OUTPUT};
use crate::exclusive::Exclusive;
use crate::input_ring::InputRing;
use core::fmt;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{Config, Uart16550};
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;

const BASE: u16 = 0x3f8;
const DATA: u16 = BASE;
const INTERRUPT_ENABLE: u16 = BASE + 1;
const INTERRUPT_IDENTIFICATION: u16 = BASE + 2;
const LINE_STATUS: u16 = BASE + 5;

const DATA_READY: u8 = 0x01;
const TRANSMITTER_READY: u8 = 0x20;
const NO_INTERRUPT: u8 = 0x01;
const RECEIVE_INTERRUPT: u8 = 0x01;
const TRANSMIT_INTERRUPT: u8 = 0x02;

/// How often the emergency path looks whether the port is ready before it sends a byte anyway.
const MAX_TRIES: u32 = 100_000;
/// Bytes taken in one interrupt; the port keeps 16.
const MAX_RECEIVED: usize = 64;
/// Causes looked at in one interrupt: an edge is lost only if one is left.
const MAX_CAUSES: usize = 16;

static UART: Exclusive<Option<Uart16550<PioBackend>>> = Exclusive::new(None);
static INPUT: InputRing = InputRing::new();

/// Sets the port up. Without one the log goes nowhere, and the kernel runs on.
pub(super) fn init() {
    // SAFETY: COM1 is at this port on every PC, and this module alone uses it.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(BASE) }) else {
        return;
    };
    let config = Config {
        interrupts: IER::DATA_READY,
        ..Config::default()
    };
    if uart.init(config).is_ok() {
        UART.try_with(|slot| *slot = Some(uart));
    }
}

/// Sends as many bytes as the port takes at once; answers how many. Zero where it is busy.
pub(crate) fn send(bytes: &[u8]) -> usize {
    UART.try_with(|uart| match uart {
        Some(uart) => uart.send_bytes(bytes),
        None => bytes.len(),
    })
    .unwrap_or(0)
}

/// Asks for one [`SERIAL_OUTPUT`] when the port takes bytes again, which may be at once.
pub(crate) fn request_output_interrupt() {
    without_interrupts(|| set_interrupts(RECEIVE_INTERRUPT | TRANSMIT_INTERRUPT));
}

/// Takes bytes that came in, oldest first; answers how many. [`SERIAL_INPUT`] is raised when there
/// are some. For one task.
pub fn receive(buffer: &mut [u8]) -> usize {
    INPUT.pop(buffer)
}

/// How many bytes came in that were lost because nobody took the earlier ones.
pub fn lost_input() -> u64 {
    INPUT.lost()
}

fn set_interrupts(enabled: u8) {
    // SAFETY: chooses which causes interrupt; line 4 has a handler.
    unsafe { Port::<u8>::new(INTERRUPT_ENABLE).write(enabled) };
}

/// Takes what came in and finds out whether more can go out. From the interrupt handler.
pub(super) fn handle() {
    let mut identification = Port::<u8>::new(INTERRUPT_IDENTIFICATION);
    for _ in 0..MAX_CAUSES {
        // SAFETY: reading acknowledges at most the transmitter's interrupt, which is looked at here.
        let cause = unsafe { identification.read() };
        if cause & NO_INTERRUPT != 0 {
            break;
        }
        receive_all();
        if cause & 0x0e == TRANSMIT_INTERRUPT {
            set_interrupts(RECEIVE_INTERRUPT);
            LINES.raise(SERIAL_OUTPUT);
        }
    }
}

fn receive_all() {
    let mut line_status = Port::<u8>::new(LINE_STATUS);
    let mut data = Port::<u8>::new(DATA);
    for _ in 0..MAX_RECEIVED {
        // SAFETY: reading the status clears error bits that nobody wants, reading a byte removes it.
        let byte = unsafe {
            if line_status.read() & DATA_READY == 0 {
                break;
            }
            data.read()
        };
        INPUT.push(byte);
        LINES.raise(SERIAL_INPUT);
    }
}

/// Sends bytes from anywhere, a fault in this module included: waits for the port, boundedly.
pub(crate) fn emergency(bytes: &[u8]) {
    let mut data = Port::<u8>::new(DATA);
    let mut line_status = Port::<u8>::new(LINE_STATUS);
    for &byte in bytes {
        // SAFETY: reading the line status and sending a byte are harmless at any time.
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

/// [`emergency`] as a target of formatting.
pub(crate) struct Emergency;

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        emergency(text.as_bytes());
        Ok(())
    }
}
