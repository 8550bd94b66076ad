//! Which memory a program may name in its calls: what the process may have at all. Whether it is mapped nobody asks: a
//! process that names memory that it does not have faults, as in any library's call.
#![allow(unsafe_code, reason = "says which addresses may be dereferenced")]

use std::fs;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use calls::user::{AddressSpace, Alleged, Place, Plain};

use crate::settings::Settings;

/// Where addresses of a process begin: below is never mapped (`vm.mmap_min_addr`).
const LOWEST: usize = 64 << 10;
/// Where they end, with page tables of four levels, which is what a process gets unless it asks for more.
const END: usize = 1 << 47;

/// A process.
pub(crate) struct Process {
    /// What a program's allocations may come to.
    memory: usize,
}

impl Process {
    /// This one.
    pub(crate) fn new(settings: &Settings) -> Process {
        Process {
            memory: settings.memory,
        }
    }
}

fn is_ours(address: usize, len: usize) -> bool {
    let end = address.checked_add(len);
    address >= LOWEST && end.is_some_and(|end| end <= END)
}

// SAFETY: a program of a process may pass pointers to what it owns, by the header's contract; the ranges that no
// process can have are told apart here. That no object of the library lies there is part of that contract.
unsafe impl AddressSpace for Process {
    fn allows(&self, address: usize, len: usize, _: bool) -> bool {
        is_ours(address, len)
    }

    fn has_room(&self, bytes: usize, allocated: usize) -> bool {
        allocated.saturating_add(bytes) <= self.memory
    }
}

/// A place for a value, for calls of a thread that is in no kernel.
///
/// # Safety
/// The header's contract: if the process can have such memory, it is the caller's, and for writing.
pub(crate) unsafe fn place<T: Plain>(address: u64) -> Option<Place<T>> {
    struct Anywhere;
    // SAFETY: as for `Process`.
    unsafe impl AddressSpace for Anywhere {
        fn allows(&self, address: usize, len: usize, _: bool) -> bool {
            is_ours(address, len)
        }
    }
    // SAFETY: the caller's.
    unsafe { Alleged::new(1, address, 0) }.place(&Anywhere).ok()
}

/// Ranges that were executable when they were looked at last.
static CODE: Mutex<Vec<Range<u64>>> = Mutex::new(Vec::new());

/// What keeps others from asking what is code.
pub(crate) type Lock = MutexGuard<'static, Vec<Range<u64>>>;

/// Keeps others from asking what is code.
pub(crate) fn lock() -> Lock {
    CODE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a function may be at that address.
pub(crate) fn is_code(address: u64) -> bool {
    let mut code = lock();
    let known = |code: &[Range<u64>]| code.iter().any(|range| range.contains(&address));
    if !known(&code) {
        *code = executable_ranges();
    }
    known(&code)
}

/// The executable mappings of this process (proc_pid_maps(5)).
fn executable_ranges() -> Vec<Range<u64>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(executable_range).collect()
}

fn executable_range(line: &str) -> Option<Range<u64>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let is_executable = words.next()?.contains('x');
    is_executable.then_some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_code_and_nothing_else_is() {
        static DATA: u64 = 0xc3;
        let local = 0_u8;
        assert!(is_code(executable_ranges as *const () as u64));
        for address in [
            0,
            1,
            u64::MAX,
            (&raw const DATA) as u64,
            (&raw const local) as u64,
        ] {
            assert!(!is_code(address), "{address:#x}");
        }
    }

    #[test]
    fn what_no_process_can_have_is_nobodys() {
        assert!(is_ours(LOWEST, END - LOWEST));
        for (address, len) in [
            (0, 1),
            (LOWEST - 1, 2),
            (END - 1, 2),
            (1 << 63, 1),
            (usize::MAX, 1),
        ] {
            assert!(!is_ours(address, len), "{address:#x}");
        }
    }
}
