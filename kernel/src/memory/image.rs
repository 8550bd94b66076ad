//! Where the parts of the kernel's image lie: the linker script's symbols as ranges of addresses.
#![allow(unsafe_code, reason = "declares the linker's symbols")]

use super::range_set::Range;

unsafe extern "C" {
    static __kernel_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
    static boot_pml4: u8;
    static boot_stack_top: u8;
}

fn between(start: *const u8, end: *const u8) -> Range {
    Range::new(start as u64, end as u64)
}

/// All of it.
pub(crate) fn all() -> Range {
    between(&raw const __kernel_start, &raw const __kernel_end)
}

/// Code, in whole pages.
pub(crate) fn text() -> Range {
    between(&raw const __kernel_start, &raw const __text_end)
}

/// Constants, in whole pages.
pub(crate) fn constants() -> Range {
    between(&raw const __text_end, &raw const __rodata_end)
}

/// What is written, the guard pages of the image's stacks among it.
pub(crate) fn data() -> Range {
    between(&raw const __rodata_end, &raw const __kernel_end)
}

/// The first page tables and the kernel's stack.
#[cfg(feature = "foreign")]
pub(crate) fn boot() -> Range {
    between(&raw const boot_pml4, &raw const boot_stack_top)
}
