//! The serial port COM1: the log goes out here, and bytes come in by interrupt.
//!
//! Input that nobody takes stays in the port: when the ring is full, the port's receive interrupt is switched
//! off until a task makes room. So a flood of input costs a machine that does not listen 256 bytes, and
//! loses a listening one nothing.
#![allow(unsafe_code, reason = "drives I/O ports")]

use super::interrupts::LINES;
use super::line::{SERIAL_INPUT, SERIAL_OUTPUT};
use crate::exclusive::Exclusive;
use crate::input_ring::InputRing;
use crate::serial_input::{self, Cause};
use crate::stats::SerialStats;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
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
/// In the enable register as well as, under the mask, in the identification register.
const TRANSMIT_INTERRUPT: u8 = 0x02;
const CAUSE: u8 = 0x0e;

/// How often the emergency path looks whether the port is ready before it sends a byte anyway.
const MAX_TRIES: u32 = 100_000;
static UART: Exclusive<Option<Uart16550<PioBackend>>> = Exclusive::new(None);
static INPUT: InputRing = InputRing::new();
/// Which causes interrupt. Changed with interrupts off.
static ENABLED: AtomicU8 = AtomicU8::new(RECEIVE_INTERRUPT);
/// Whether the workload reads the input.
static CLAIMED: AtomicBool = AtomicBool::new(false);
/// How often input had to wait in the port.
static STALLS: AtomicU64 = AtomicU64::new(0);

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
    without_interrupts(|| enable(TRANSMIT_INTERRUPT));
}

/// Takes bytes that came in, oldest first; answers how many. [`SERIAL_INPUT`] is raised when there
/// are some. For one task.
///
/// From the first call on, with whatever buffer, the input is the workload's alone. Until then a machine with a trace
/// looks there for requests (`abi::trace::Request`).
pub fn receive(buffer: &mut [u8]) -> usize {
    CLAIMED.store(true, Relaxed);
    take(buffer)
}

/// The same for the kernel; `None`: the input is the workload's.
pub(crate) fn receive_unclaimed(buffer: &mut [u8]) -> Option<usize> {
    let claimed = CLAIMED.load(Relaxed);
    (!claimed).then(|| take(buffer))
}

fn take(buffer: &mut [u8]) -> usize {
    let count = INPUT.pop(buffer);
    if ENABLED.load(Relaxed) & RECEIVE_INTERRUPT == 0 && INPUT.has_room() {
        // What waits in the port interrupts at once.
        without_interrupts(|| enable(RECEIVE_INTERRUPT));
    }
    count
}

/// What has come in so far.
pub(crate) fn stats() -> SerialStats {
    SerialStats {
        input_bytes: INPUT.written() as u64,
        input_stalls: STALLS.load(Relaxed),
    }
}

fn enable(cause: u8) {
    set_enabled(ENABLED.load(Relaxed) | cause);
}

fn disable(cause: u8) {
    set_enabled(ENABLED.load(Relaxed) & !cause);
}

fn set_enabled(causes: u8) {
    ENABLED.store(causes, Relaxed);
    // SAFETY: chooses which causes interrupt; line 4 has a handler.
    unsafe { Port::<u8>::new(INTERRUPT_ENABLE).write(causes) };
}

/// Takes what came in and finds out whether more can go out. From the interrupt handler.
pub(super) fn handle() {
    serial_input::handle(&Com1, &INPUT);
}

/// The port's registers, as the handler uses them.
struct Com1;

impl serial_input::Port for Com1 {
    fn cause(&self) -> Option<Cause> {
        // SAFETY: reading acknowledges at most the transmitter's interrupt, which the handler answers.
        let cause = unsafe { Port::<u8>::new(INTERRUPT_IDENTIFICATION).read() };
        if cause & NO_INTERRUPT != 0 {
            return None;
        }
        Some(match cause & CAUSE {
            TRANSMIT_INTERRUPT => Cause::Transmitter,
            _ => Cause::Receiver,
        })
    }

    fn next_byte(&self) -> Option<u8> {
        // SAFETY: reading the status clears error bits that nobody wants, reading a byte removes it.
        unsafe {
            let ready = Port::<u8>::new(LINE_STATUS).read() & DATA_READY != 0;
            ready.then(|| Port::<u8>::new(DATA).read())
        }
    }

    fn tell(&self, cause: Cause) {
        LINES.raise(match cause {
            Cause::Receiver => SERIAL_INPUT,
            Cause::Transmitter => SERIAL_OUTPUT,
        });
    }

    fn silence(&self, cause: Cause) -> bool {
        let bit = match cause {
            Cause::Receiver => RECEIVE_INTERRUPT,
            Cause::Transmitter => TRANSMIT_INTERRUPT,
        };
        let enabled = ENABLED.load(Relaxed) & bit != 0;
        disable(bit);
        if enabled && cause == Cause::Receiver {
            STALLS.store(STALLS.load(Relaxed) + 1, Relaxed);
        }
        enabled
    }
}

/// Sends bytes from anywhere, a fault in this module included: waits for the port, boundedly. False where it was not
/// ready for one of them in that time.
pub(crate) fn emergency(bytes: &[u8]) -> bool {
    let mut data = Port::<u8>::new(DATA);
    let mut line_status = Port::<u8>::new(LINE_STATUS);
    let mut all_ready = true;
    for &byte in bytes {
        // SAFETY: reading the line status and sending a byte are harmless at any time.
        unsafe {
            all_ready &= (0..MAX_TRIES).any(|_| line_status.read() & TRANSMITTER_READY != 0);
            data.write(byte);
        }
    }
    all_ready
}

/// [`emergency`] as a target of formatting.
pub(crate) struct Emergency;

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        emergency(text.as_bytes());
        Ok(())
    }
}
