//! Where the parts of the kernel's image lie: the linker script's symbols as ranges of addresses.
#![allow(unsafe_code, reason = "declares the linker's symbols")]

use super::range_set::Range;

unsafe extern "C" {
    static __kernel_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
    #[cfg(feature = "foreign")]
    static __pages_start: u8;
    #[cfg(feature = "foreign")]
    static __pages_end: u8;
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

/// The first page tables, and stacks with their guard pages.
#[cfg(feature = "foreign")]
pub(crate) fn pages() -> Range {
    between(&raw const __pages_start, &raw const __pages_end)
}

/// What begins as zeros behind those.
#[cfg(feature = "foreign")]
pub(crate) fn zeroed() -> Range {
    between(&raw const __pages_end, &raw const __kernel_end)
}
