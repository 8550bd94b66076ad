//! The devices behind the interrupt lines: virtio's, whose interrupts are acknowledged
//! so that the line drops and the controller sees the next edge.
#![allow(unsafe_code, reason = "accesses device registers in the handler")]

use super::interrupts::LINE_COUNT;
use super::{line, pic};
use crate::interrupt_causes::{self, Causes};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many devices may share a line. More are refused.
const MAX_PER_LINE: usize = 8;
/// Where a device tells and is told about its interrupts; zero if unused.
struct Registers {
    status: AtomicU64,
    acknowledge: AtomicU64,
}

static DEVICES: [[Registers; MAX_PER_LINE]; LINE_COUNT] = [const {
    [const {
        Registers {
            status: AtomicU64::new(0),
            acknowledge: AtomicU64::new(0),
        }
    }; MAX_PER_LINE]
}; LINE_COUNT];
/// How many entries of each line are in use.
static USED: [AtomicUsize; LINE_COUNT] = [const { AtomicUsize::new(0) }; LINE_COUNT];

/// Why a device cannot interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// The controllers have sixteen lines; this one is beyond, on a controller that this kernel
    /// does not drive.
    NoSuchLine,
    /// The line belongs to the timer, the keyboard, COM1 or the controllers themselves.
    Reserved,
    /// There are too many devices on this line already.
    Full,
}

/// Registers a device on `line` and lets the line through. When it interrupts, the handler writes to
/// `acknowledge`, which has 32 bits, then raises `line`. Where devices share the line, it reads 32 bits at
/// `status` first, and writes if any was set. From task or boot context.
///
/// # Errors
///
/// The device must then not be used: its interrupts would not arrive.
///
/// # Safety
///
/// Both addresses must be mapped ([`crate::memory::map_device`]) and stay a device's registers, of
/// which reading the first and writing the second does nothing but acknowledge interrupts.
pub unsafe fn attach(line: u8, status: u64, acknowledge: u64) -> Result<(), AttachError> {
    let index = usize::from(line);
    if index >= LINE_COUNT {
        return Err(AttachError::NoSuchLine);
    }
    if matches!(
        line,
        line::TIMER | line::KEYBOARD | line::CASCADE | line::SERIAL
    ) {
        return Err(AttachError::Reserved);
    }
    let used = USED[index].load(Ordering::Relaxed);
    let slot = DEVICES[index].get(used).ok_or(AttachError::Full)?;
    slot.status.store(status, Ordering::Relaxed);
    slot.acknowledge.store(acknowledge, Ordering::Relaxed);
    // Release: the handler, which may come at once, sees the addresses.
    USED[index].store(used + 1, Ordering::Release);
    pic::unmask(line);
    Ok(())
}

/// Acknowledges everything that the devices of a line have to say. From the interrupt handler.
pub(super) fn acknowledge(line: u8) {
    let index = usize::from(line) % LINE_COUNT;
    let used = USED[index].load(Ordering::Acquire);
    interrupt_causes::acknowledge(&DEVICES[index][..used.min(MAX_PER_LINE)]);
}

impl Causes for Registers {
    fn pending(&self) -> u32 {
        let status = self.status.load(Ordering::Relaxed) as *const u32;
        // SAFETY: `attach`'s caller promised that this is a register, mapped for good.
        unsafe { status.read_volatile() }
    }

    fn clear(&self, causes: u32) {
        let acknowledge = self.acknowledge.load(Ordering::Relaxed) as *mut u32;
        // SAFETY: as for `pending`.
        unsafe { acknowledge.write_volatile(causes) };
    }
}
