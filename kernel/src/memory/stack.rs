//! Stacks with a guard page below, for code that cannot run on the kernel's own.

use super::page_table::Access;
use super::region::{Backing, Region, RegionError};

/// A stack. Running past its end is reported as a stack overflow. Dropping it frees it, so nothing
/// may run on it by then.
#[derive(Debug)]
pub struct Stack {
    region: Region,
}

impl Stack {
    /// A stack of at least `size` bytes, backed with frames at once: code that runs on it with
    /// interrupts off must not fault.
    ///
    /// # Errors
    ///
    /// Where addresses or frames are short.
    pub fn new(size: usize) -> Result<Stack, RegionError> {
        let region = Region::reserve(size, Access::Write, Backing::Explicit)?;
        region.commit(0, region.size())?;
        Ok(Stack { region })
    }

    /// The address behind the highest byte, where the stack pointer begins; 16-byte aligned.
    pub fn top(&self) -> *mut u8 {
        self.region.as_ptr().wrapping_add(self.region.size())
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.region.size()
    }

    /// The lowest byte; the guard page is below.
    pub fn bottom(&self) -> *mut u8 {
        self.region.as_ptr()
    }
}
