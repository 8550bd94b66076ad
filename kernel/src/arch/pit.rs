//! The programmable interval timer (Intel 8254), in two roles: channel 1, which no machine uses for
//! anything else, counts as a reference for calibration; channel 0 is the one-shot timer of machines
//! that have no better one.
#![allow(unsafe_code, reason = "drives I/O ports")]

use super::cpu;
use crate::clock::calibration::{PIT_HZ, Sample};
use crate::clock::rate::NANOS_PER_SECOND;
use x86_64::instructions::port::Port;

const COMMAND: u16 = 0x43;
const CHANNEL_0: u16 = 0x40;
const CHANNEL_1: u16 = 0x41;
/// Channel 1, both bytes, rate generator: counts from 65,536 to 1, for ever.
const START_REFERENCE: u8 = 0x74;
/// Holds the count of channel 1 for reading.
const LATCH_REFERENCE: u8 = 0x40;
/// Channel 0, both bytes, interrupt when the count is over.
const START_ONE_SHOT: u8 = 0x30;
/// How often a reading is repeated that took suspiciously long: the hypervisor did something else
/// in between.
const MAX_READINGS: u32 = 3;
/// Cycles that a reading may take without being repeated, about 10 µs.
const QUICK: u64 = 30_000;

/// The longest time that the one-shot can be set to.
pub(super) const MAX_ONE_SHOT_NANOS: u64 = 0xffff * NANOS_PER_SECOND / PIT_HZ;

/// Starts the reference.
pub(super) fn start_reference() {
    // SAFETY: sets up a channel of a timer that this module owns; it raises no interrupt.
    unsafe {
        Port::<u8>::new(COMMAND).write(START_REFERENCE);
        let mut count = Port::<u8>::new(CHANNEL_1);
        count.write(0);
        count.write(0);
    }
}

/// Reads the reference and the cycle counter together.
pub(super) fn sample() -> Sample {
    let mut best = read();
    for _ in 1..MAX_READINGS {
        if best.uncertainty <= QUICK {
            break;
        }
        let again = read();
        if again.uncertainty < best.uncertainty {
            best = again;
        }
    }
    best
}

fn read() -> Sample {
    let mut count = Port::<u8>::new(CHANNEL_1);
    // SAFETY: latching and reading a count has no other effect.
    unsafe {
        let before = cpu::tsc();
        Port::<u8>::new(COMMAND).write(LATCH_REFERENCE);
        let after = cpu::tsc();
        let pit = u16::from_le_bytes([count.read(), count.read()]);
        let uncertainty = after.saturating_sub(before);
        Sample {
            tsc: before + uncertainty / 2,
            pit,
            uncertainty,
        }
    }
}

/// Raises line 0 once, in `nanos` nanoseconds or the longest time possible.
pub(super) fn start_one_shot(nanos: u64) {
    let nanos = nanos.min(MAX_ONE_SHOT_NANOS);
    let ticks = (nanos * PIT_HZ).div_ceil(NANOS_PER_SECOND).clamp(1, 0xffff) as u16;
    // SAFETY: sets up a channel of a timer that this module owns; line 0 has a handler.
    unsafe {
        Port::<u8>::new(COMMAND).write(START_ONE_SHOT);
        let mut count = Port::<u8>::new(CHANNEL_0);
        for byte in ticks.to_le_bytes() {
            count.write(byte);
        }
    }
}
