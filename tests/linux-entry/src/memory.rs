//! Physical memory as this loader uses it: identity-mapped, below 1 GiB, no one else's. Every address is
//! checked here and nowhere else.
#![allow(
    unsafe_code,
    reason = "reads and writes memory at the addresses that protocols give"
)]

use crate::MAPPED_END;

unsafe extern "C" {
    static __loader_start: u8;
}

/// The first address of this loader itself.
pub(crate) fn loader_start() -> u64 {
    &raw const __loader_start as u64
}

/// A plain number: any bytes are one.
pub(crate) trait Number: Copy {}
impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}

fn check(address: u64, length: u64) {
    let end = address.checked_add(length);
    assert!(
        address > 0 && end.is_some_and(|end| end <= MAPPED_END),
        "beyond the first GiB"
    );
}

/// Reads a number, aligned or not.
pub(crate) fn read<T: Number>(address: u64) -> T {
    check(address, size_of::<T>() as u64);
    // SAFETY: mapped, as `check` saw and entry.s made it; any bytes are a `Number`.
    unsafe { (address as *const T).read_unaligned() }
}

/// Writes a number, aligned or not.
pub(crate) fn write<T: Number>(address: u64, value: T) {
    check(address, size_of::<T>() as u64);
    // SAFETY: mapped, as `check` saw; the callers write to the fixed places of the zero page and the
    // command line only, which lie below this loader (link.ld) and hold no Rust object.
    unsafe { (address as *mut T).write_unaligned(value) }
}

/// Clears memory.
pub(crate) fn zero(address: u64, length: u64) {
    check(address, length);
    // SAFETY: as for `write`.
    unsafe { (address as *mut u8).write_bytes(0, length as usize) }
}

/// Copies memory; the two places may overlap.
pub(crate) fn copy(from: u64, to: u64, length: u64) {
    if length > 0 {
        check(from, length);
        check(to, length);
        // SAFETY: mapped, as `check` saw; the destination is low memory or the kernel's place, which
        // `load_elf` keeps below this loader.
        unsafe { (from as *const u8).copy_to(to as *mut u8, length as usize) }
    }
}

/// Looks at memory that nobody changes meanwhile.
pub(crate) fn bytes(address: u64, length: u64) -> &'static [u8] {
    check(address, length);
    // SAFETY: mapped, as `check` saw; only the boot module and the command line's copy are looked at,
    // which nobody writes to any more.
    unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) }
}
