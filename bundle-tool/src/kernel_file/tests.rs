//! Tests of kernels as files, with one of a few bytes. That a real one boots with a bundle inside is a test that boots it
//! (tests/vm/packed.rs).

use proptest::prelude::*;

use super::*;

/// A kernel of one segment, with something behind it that nobody loads.
fn kernel() -> Vec<u8> {
    let mut bytes = vec![0; HEADER + PROGRAM_HEADER];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&[2, 1]);
    bytes[0x12] = 62;
    bytes[0x20] = HEADER as u8;
    bytes[0x28] = 0xcc; // sections
    bytes[0x36] = PROGRAM_HEADER as u8;
    bytes[0x38] = 1;
    bytes[0x3c] = 7;
    let size = bytes.len() as u64 + 8;
    for (at, field) in [
        (0, 1),
        (16, 1 << 20),
        (24, 1 << 20),
        (32, size),
        (40, 0x2345),
    ] {
        bytes[HEADER + at..][..8].copy_from_slice(&u64::to_le_bytes(field));
    }
    bytes.extend(b"contents");
    bytes.extend(b"debugging information");
    bytes
}

#[test]
fn what_a_loader_reads_is_kept() {
    let kernel = kernel();
    let stripped = stripped(&kernel).unwrap();
    assert!(stripped.ends_with(b"contents"));
    let differing: Vec<usize> = (0..stripped.len())
        .filter(|&at| stripped[at] != kernel[at])
        .collect();
    assert_eq!(differing, [0x28, 0x3c]);
    assert_eq!(super::stripped(&stripped), Ok(stripped.clone()));
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(stripped(b"#!/bin/sh"), Err(KernelError::Malformed));
    let mut cut = kernel();
    cut.truncate(100);
    assert_eq!(stripped(&cut), Err(KernelError::Malformed));
    let large = vec![0; MAX_CARRIED + 1];
    assert_eq!(
        carrying(&kernel(), &large),
        Err(KernelError::TooLarge(large.len() as u64))
    );
    assert_eq!(carried(&kernel()), None);
}

proptest! {
    #[test]
    fn garbage_is_refused(at in 0usize..200, bytes in prop::collection::vec(any::<u8>(), 1..16)) {
        let mut damaged = kernel();
        let end = damaged.len().min(at + bytes.len());
        let at = at.min(end);
        damaged[at..end].copy_from_slice(&bytes[..end - at]);
        if let Ok(stripped) = stripped(&damaged) {
            prop_assert!(stripped.len() <= damaged.len());
        }
        prop_assert!(carrying(&damaged, b"x").is_err());
        prop_assert_eq!(carried(&damaged), None);
    }
}
