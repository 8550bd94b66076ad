//! Memory: exhausting it in every way, and using everything that the kernel offers beyond the heap.
#![allow(unsafe_code, reason = "touches regions and registers")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::hint::black_box;
use ukernel::memory::fault::{self, Fault, FaultAction};
use ukernel::memory::page_table::Access;
use ukernel::memory::region::{Backing, Region, RegionError};
use ukernel::memory::{self, PAGE_SIZE};

const PAGE: usize = PAGE_SIZE as usize;

pub(crate) fn exhaust_by_boxes() {
    loop {
        black_box(Box::leak(Box::new([1_u8; 4000])));
    }
}

pub(crate) fn exhaust_by_a_vector() {
    let mut bytes = Vec::new();
    loop {
        bytes.resize(bytes.len().max(1) * 2, 7_u8);
        black_box(&bytes);
    }
}

pub(crate) fn exhaust_by_touching() {
    let region = Region::reserve(1 << 40, Access::Write, Backing::Lazy).expect("addresses abound");
    for page in 0.. {
        // SAFETY: inside the region, which is backed as it is touched until there are no frames.
        unsafe { region.as_ptr().add(page * PAGE).write_volatile(1) };
    }
}

/// Where the caller can be told, an exhausted heap is an error and nothing else, and the memory is there
/// again afterwards.
pub(crate) fn try_to_exhaust() {
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(100_000);
    let error = loop {
        let mut piece = Vec::new();
        match piece.try_reserve_exact(1 << 18) {
            Ok(()) => pieces.push(piece),
            Err(error) => break error,
        }
    };
    let taken = pieces.len();
    assert!(taken > 0);
    drop(pieces);
    let again = Vec::<u8>::with_capacity((taken / 2) << 18);
    log::info!(
        "guest: refused error=\"{error}\" pieces={taken} again={}",
        again.capacity()
    );
    let absurd = Vec::<u8>::new().try_reserve(usize::MAX / 2);
    assert!(absurd.is_err());
}

/// Takes all memory for the heap in pieces, and gives all but one of a hundred of them back; answers how many
/// there were, and what stays.
fn fill_the_heap() -> (usize, Vec<Vec<u8>>) {
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(10_000);
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            break;
        }
        pieces.push(piece);
    }
    let taken = pieces.len();
    let mut number = 0;
    pieces.retain(|_| {
        number += 1;
        number % 100 == 0
    });
    (taken, pieces)
}

/// Bytes of a piece that the heap is filled with.
const PIECE: usize = 20_000;

/// What was the heap's backs regions, committed and touched, and is the heap's again: more than once.
pub(crate) fn pass_on() {
    let first = fill_the_heap().0;
    let size = first * PIECE * 8 / 10;
    for round in 0..3 {
        let (taken, kept) = fill_the_heap();
        assert!(
            taken > first - first / 20,
            "round {round}: {taken} after {first}"
        );
        let free = memory::frame_stats().free;
        assert!(free < 100, "the heap keeps what it has: {free}");
        let lazy = Region::reserve(size, Access::Write, Backing::Lazy).expect("addresses abound");
        for page in 0..size / PAGE {
            // SAFETY: inside the region, which is backed as it is touched.
            unsafe { lazy.as_ptr().add(page * PAGE).write_volatile(1) };
        }
        drop(lazy);
        let region =
            Region::reserve(size, Access::Write, Backing::Explicit).expect("addresses abound");
        region.commit(0, size).expect("what was freed is there");
        drop(kept);
    }
    log::info!("guest: memory passed on pieces={first}");
}

/// Regions: lazily backed, by a handler, explicitly; nothing is lost at the end.
pub(crate) fn check_everything() {
    let check = || {
        lazy_region();
        explicit_region();
        handled_region();
        global_handler();
        map_devices();
    };
    // The first time takes frames for page tables, which are kept.
    check();
    let before = memory::frame_stats();
    check();
    assert_eq!(memory::frame_stats().free, before.free, "frames were lost");
    log::info!("guest: memory works backed_pages={}", fault::backed_pages());
}

fn lazy_region() {
    let region = Region::reserve(1 << 30, Access::Write, Backing::Lazy).expect("addresses abound");
    let before = memory::frame_stats().free;
    for offset in [0, 5 * PAGE + 7, (1 << 30) - 1] {
        // SAFETY: inside the region.
        unsafe {
            let byte = region.as_ptr().add(offset);
            assert_eq!(byte.read_volatile(), 0);
            byte.write_volatile(9);
            assert_eq!(byte.read_volatile(), 9);
        }
    }
    let taken = before - memory::frame_stats().free;
    assert!(
        (3..12).contains(&taken),
        "three pages and their tables: {taken}"
    );
}

fn explicit_region() {
    let mut region =
        Region::reserve(4 * PAGE, Access::Write, Backing::Explicit).expect("addresses abound");
    assert_eq!(region.size(), 4 * PAGE);
    region.commit(PAGE, 2 * PAGE).expect("there is memory");
    let first = region.as_ptr().wrapping_add(PAGE);
    // SAFETY: the page was committed.
    unsafe { first.write_volatile(0xc3) };
    region.protect(PAGE, PAGE, Access::Execute).expect("inside");
    // SAFETY: the page holds a return instruction and can be executed now.
    unsafe { asm!("call {}", in(reg) first) };
    region.decommit(PAGE, PAGE).expect("inside");
    assert!(!memory::is_mapped(first as u64));
    region.commit(PAGE, PAGE).expect("there is memory");
    // SAFETY: the page was committed, and is new.
    assert_eq!(unsafe { first.read_volatile() }, 0);
    assert_eq!(
        region.commit(3 * PAGE, 2 * PAGE),
        Err(RegionError::OutOfBounds)
    );
    assert_eq!(region.commit(usize::MAX, 1), Err(RegionError::OutOfBounds));
}

/// Bytes of the instruction in [`probe`].
const PROBE_LENGTH: u64 = 3;

/// A handler that skips that instruction.
fn skip_probe(fault: &mut Fault) -> FaultAction {
    fault.instruction += PROBE_LENGTH;
    FaultAction::Resume
}

/// Reads a byte; `None` if a handler skipped the instruction.
fn probe(address: *const u8) -> Option<u8> {
    let value: u32;
    // SAFETY: the address is either mapped, or its fault is handled by skipping the instruction.
    unsafe {
        asm!("movzx eax, byte ptr [rdx]", inout("eax") 0x100_u32 => value, in("rdx") address);
    };
    u8::try_from(value).ok()
}

fn handled_region() {
    let backing = Backing::Handler(skip_probe);
    let region = Region::reserve(PAGE, Access::Write, backing).expect("addresses abound");
    assert_eq!(probe(region.as_ptr()), None);
    region.commit(0, 1).expect("there is memory");
    assert_eq!(probe(region.as_ptr()), Some(0));
}

fn global_handler() {
    fault::set_handler(Some(skip_probe));
    assert_eq!(probe(core::ptr::without_provenance(0x6000_0000_0000)), None);
    fault::set_handler(None);
}

fn map_devices() {
    let local_controller = 0xfee0_0000;
    assert!(memory::map_device(local_controller, PAGE_SIZE).is_ok());
    assert!(memory::map_device(0x20_0000, PAGE_SIZE).is_err());
    assert!(memory::map_device(u64::MAX - 10, 100).is_err());
    assert!(memory::map_device(1 << 47, 100).is_err());
}

/// Uses all RAM of a machine that has some above 4 GiB, and finds what it wrote.
pub(crate) fn use_high_memory() {
    let mut pieces: Vec<Vec<u64>> = Vec::new();
    /// Words between two that are touched: a host that gives memory out in large pages has none to spare.
    const STRIDE: usize = 1 << 21;
    let words = (64 << 20) / 8;
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(words).is_err() {
            break;
        }
        // SAFETY: the capacity was reserved, and any bytes are numbers.
        unsafe { piece.set_len(words) };
        for (index, word) in piece.iter_mut().enumerate().step_by(STRIDE) {
            *word = (pieces.len() * words + index) as u64;
        }
        pieces.push(piece);
    }
    for (number, piece) in pieces.iter().enumerate() {
        for (index, word) in piece.iter().enumerate().step_by(STRIDE) {
            assert_eq!(*word, (number * words + index) as u64);
        }
    }
    let highest = pieces.iter().map(|piece| piece.as_ptr() as u64).max();
    let mib = pieces.len() * 64;
    log::info!(
        "guest: memory used mib={mib} highest={:#x}",
        highest.unwrap_or(0)
    );
}
