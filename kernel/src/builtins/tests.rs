//! Every length around the sizes at which the functions change their way, at every alignment that matters,
//! beside what slices do. The bytes around are looked at too.

use super::{LONG, bcmp, memcmp, memcpy, memmove, memset, strlen};
use alloc::vec::Vec;

/// Room before and behind what is written.
const MARGIN: usize = 32;

fn lengths() -> impl Iterator<Item = usize> {
    (0..80).chain(LONG - 20..LONG + 20).chain([1000, 4096])
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + 3) as u8).collect()
}

#[test]
fn copies_what_does_not_overlap() {
    for length in lengths() {
        for offset in 0..17 {
            let source = bytes(MARGIN + length + offset);
            let mut target = bytes(2 * MARGIN + length + offset);
            let mut expected = target.clone();
            expected[MARGIN..][..length].copy_from_slice(&source[offset..][..length]);
            let to = target[MARGIN..].as_mut_ptr();
            // SAFETY: both slices are as long.
            let result = unsafe { memcpy(to, source[offset..].as_ptr(), length) };
            assert_eq!(result, to);
            assert!(target == expected, "length={length} offset={offset}");
        }
    }
}

#[test]
fn moves_what_overlaps_either_way() {
    for length in lengths() {
        for distance in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 40, 300] {
            for (to, from) in [(MARGIN, MARGIN + distance), (MARGIN + distance, MARGIN)] {
                let mut memory = bytes(2 * MARGIN + distance + length);
                let mut expected = memory.clone();
                expected.copy_within(from..from + length, to);
                let start = memory.as_mut_ptr();
                // SAFETY: both ranges lie in the vector.
                let result = unsafe { memmove(start.add(to), start.add(from), length) };
                assert_eq!(result as usize, start as usize + to);
                assert!(memory == expected, "length={length} to={to} from={from}");
            }
        }
    }
}

#[test]
fn sets_the_low_byte_and_no_more() {
    for length in lengths() {
        for value in [0, 0xa5, 0x1_ff01, -1] {
            let mut memory = bytes(2 * MARGIN + length);
            let mut expected = memory.clone();
            expected[MARGIN..][..length].fill(value as u8);
            let to = memory[MARGIN..].as_mut_ptr();
            // SAFETY: the range lies in the vector.
            let result = unsafe { memset(to, value, length) };
            assert_eq!(result, to);
            assert!(memory == expected, "length={length} value={value}");
        }
    }
}

#[test]
fn compares_by_the_first_byte_that_differs() {
    for length in lengths().filter(|&length| length > 0) {
        let left = bytes(length);
        for at in [0, length / 3, length / 2, length - 1] {
            for change in [0_u8, 1, 0x7f, 0x80, 0xff] {
                let mut right = left.clone();
                right[at] = right[at].wrapping_add(change);
                // Behind the first difference, the order is the other way round.
                if let Some(last) = right.last_mut().filter(|_| change > 0 && at + 1 < length) {
                    *last = if left[at] < left[at].wrapping_add(change) {
                        0
                    } else {
                        0xff
                    };
                }
                // SAFETY: both are as long.
                let (order, same) = unsafe {
                    let (left, right) = (left.as_ptr(), right.as_ptr());
                    (memcmp(left, right, length), bcmp(left, right, length))
                };
                assert_eq!(order.cmp(&0), left.cmp(&right), "length={length} at={at}");
                assert_eq!(same == 0, left == right);
            }
        }
    }
    // SAFETY: nothing is read.
    assert_eq!(unsafe { memcmp([].as_ptr(), [].as_ptr(), 0) }, 0);
}

#[test]
fn counts_to_the_first_zero() {
    for text in ["", "a", "a longer text than a word of eight bytes"] {
        let mut terminated = Vec::from(text);
        terminated.extend([0, 1, 0]);
        // SAFETY: there is a zero.
        assert_eq!(unsafe { strlen(terminated.as_ptr()) }, text.len());
    }
}
