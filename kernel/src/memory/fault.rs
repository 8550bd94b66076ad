//! The page-fault path: backs a region that is touched for the first time, asks a registered
//! handler, or says what the fault was.
//!
//! Runs in the exception handler, on a stack of its own, on behalf of the code that touched the
//! memory. That code may be in the middle of changing the heap, so nothing here allocates from it.

use super::PAGE_SIZE;
use super::mapping;
use super::page_table::Access;
use super::region::{Backing, region_at};
use crate::exclusive::Exclusive;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Stacks that are part of the image: the boot stack and one per interrupt-stack slot.
pub const MAX_STATIC_GUARDS: usize = 8;

static GUARDS: Exclusive<[u64; MAX_STATIC_GUARDS]> = Exclusive::new([0; MAX_STATIC_GUARDS]);
static HANDLER: Exclusive<Option<FaultHandler>> = Exclusive::new(None);
/// Pages backed because they were touched.
static BACKED: AtomicU64 = AtomicU64::new(0);

/// An access to memory that the processor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was touched.
    pub address: u64,
    /// Whether there is a page that does not allow this; otherwise there is none.
    pub protection: bool,
    /// Whether it was to be written.
    pub write: bool,
    /// Whether it was to be executed.
    pub execute: bool,
    /// The instruction that touched it. A handler may change it; execution resumes there.
    pub instruction: u64,
}

/// What a handler did about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// The access works now, or [`Fault::instruction`] was changed: go on there.
    Resume,
    /// Nothing: the fault is reported and the machine ends.
    Report,
}

/// A function that is asked about faults. It runs in the exception handler with interrupts off: it
/// must not allocate, wait, log or panic.
pub type FaultHandler = fn(&mut Fault) -> FaultAction;

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instruction can be tried again.
    Resume,
    /// A stack grew into its guard page.
    StackOverflow,
    /// A page had to be backed and there is no frame left.
    OutOfMemory,
    /// Nobody knows what to do.
    Unhandled,
}

/// Registers the function that is asked about faults outside regions, instead of the one before.
pub fn set_handler(handler: Option<FaultHandler>) {
    HANDLER.try_with(|slot| *slot = handler);
}

/// How many pages were backed because they were touched.
pub fn backed_pages() -> u64 {
    BACKED.load(Relaxed)
}

/// Notes the guard pages of stacks in the image.
pub(super) fn set_static_guards(guards: &[u64]) {
    GUARDS.try_with(|known| {
        for (slot, &guard) in known.iter_mut().zip(guards) {
            *slot = guard;
        }
    });
}

/// Does what can be done about `fault`. Called by the exception handler only.
pub(crate) fn resolve(fault: &mut Fault) -> Outcome {
    let Some(region) = region_at(fault.address) else {
        return if is_static_guard(fault.address) {
            Outcome::StackOverflow
        } else {
            ask(HANDLER.try_with(|handler| *handler).flatten(), fault)
        };
    };
    match region.backing {
        _ if region.in_guard(fault.address) => Outcome::StackOverflow,
        Backing::Lazy if !fault.protection => back(fault.address, region.access),
        Backing::Handler(handler) => ask(Some(handler), fault),
        Backing::Lazy | Backing::Explicit => Outcome::Unhandled,
    }
}

fn ask(handler: Option<FaultHandler>, fault: &mut Fault) -> Outcome {
    match handler.map(|handler| handler(fault)) {
        Some(FaultAction::Resume) => Outcome::Resume,
        Some(FaultAction::Report) | None => Outcome::Unhandled,
    }
}

fn back(address: u64, access: Access) -> Outcome {
    let page = address & !(PAGE_SIZE - 1);
    let Some(frame) = mapping::zeroed_frame() else {
        return Outcome::OutOfMemory;
    };
    if mapping::map_page(page, frame, access).is_err() {
        return Outcome::OutOfMemory;
    }
    BACKED.store(BACKED.load(Relaxed) + 1, Relaxed);
    Outcome::Resume
}

fn is_static_guard(address: u64) -> bool {
    let page = address & !(PAGE_SIZE - 1);
    page != 0 && GUARDS.try_with(|guards| guards.contains(&page)) == Some(true)
}
