//! The little of the tar format (POSIX.1-2017, pax, "ustar Interchange Format") that an archive of ours has: headers
//! of plain files that follow from a path and a size, padding, and the end.
//!
//! ```
//! let header = bundle::tar::header("a/b", 1).unwrap();
//! assert_eq!(&header[..3], b"a/b");
//! assert_eq!(bundle::tar::padding(1).len(), 511);
//! ```

use crate::MAX_FILE_BYTES;

/// Bytes of a block. Headers have one; files are filled up to whole ones.
pub const BLOCK: usize = 512;
/// What an archive ends with: two blocks of zeros.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Bytes of a header's field for the name, and for what is put before it.
const NAME: usize = 100;
const PREFIX: usize = 155;
/// Where the size is, in octal digits with a zero byte behind them.
const SIZE: core::ops::Range<usize> = 124..135;
/// Where the checksum is.
const CHECKSUM: core::ops::Range<usize> = 148..156;
/// Bytes of a name in which a header may differ and still be seen as a damaged one.
const DAMAGE: usize = 2;

/// The header of a plain file: mode 644, owner 0, time 0. `None`: the path does not fit (at most 100 bytes, or a `/`
/// with at most 155 bytes before and 100 behind it), or the size does not ([`MAX_FILE_BYTES`]).
pub fn header(path: &str, size: u64) -> Option<[u8; BLOCK]> {
    let (prefix, name) = split(path)?;
    if size > MAX_FILE_BYTES {
        return None;
    }
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(SIZE.start, &octal::<11>(size));
    put(136, b"00000000000\0");
    put(CHECKSUM.start, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    header[CHECKSUM.start..CHECKSUM.start + 6].copy_from_slice(&octal::<6>(sum));
    header[CHECKSUM.start + 6] = 0;
    Some(header)
}

/// The zeros behind a file of `size` bytes.
pub fn padding(size: u64) -> &'static [u8] {
    let used = (size % BLOCK as u64) as usize;
    &END[..(BLOCK - used) % BLOCK]
}

/// Bytes that a file of `size` takes in an archive, with header and padding.
pub(crate) fn member_bytes(size: u64) -> u64 {
    BLOCK as u64 + size.next_multiple_of(BLOCK as u64)
}

/// The size in a header; `None` where there are other things than octal digits.
pub(crate) fn size(header: &[u8; BLOCK]) -> Option<u64> {
    let digit = |byte: u8| {
        (b'0'..=b'7')
            .contains(&byte)
            .then(|| u64::from(byte - b'0'))
    };
    header[SIZE]
        .iter()
        .try_fold(0, |size, &byte| Some(size << 3 | digit(byte)?))
}

/// Whether a block is the header of the file `name`, perhaps damaged: a flipped bit must not hide that there is one.
pub(crate) fn is_about(header: &[u8; BLOCK], name: &str) -> bool {
    let expected = name.bytes().chain(core::iter::repeat(0));
    let differing = header[..NAME]
        .iter()
        .zip(expected)
        .filter(|(one, other)| **one != *other);
    differing.count() <= DAMAGE
}

/// A path as a header has it: what is before a `/`, if it is too long for one field, and the name.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME {
        return Some(("", path));
    }
    // The first that leaves a name which fits, so that there is one way to write a path.
    let slash = |&(at, byte): &(usize, u8)| byte == b'/' && path.len() - at - 1 <= NAME;
    let (at, _) = path.bytes().enumerate().find(slash)?;
    let (prefix, name) = (&path[..at], &path[at + 1..]);
    (prefix.len() <= PREFIX && !name.is_empty()).then_some((prefix, name))
}

/// A number in `N` octal digits; its lowest ones.
fn octal<const N: usize>(number: u64) -> [u8; N] {
    let mut digits = [0; N];
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left & 7) as u8;
        left >>= 3;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_the_standard_says() {
        let header = header("hello.txt", 0o1234).unwrap();
        let field = |at: usize, len: usize| core::str::from_utf8(&header[at..at + len]).unwrap();
        assert_eq!(field(0, 10), "hello.txt\0");
        assert_eq!(field(124, 12), "00000001234\0");
        assert_eq!(field(257, 8), "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let stored: u32 = header[CHECKSUM].iter().map(|&byte| u32::from(byte)).sum();
        let expected = sum - stored + 8 * 32;
        assert_eq!(u32::from_str_radix(field(148, 6), 8), Ok(expected));
        assert_eq!(size(&header), Some(0o1234));
    }

    #[test]
    fn the_largest_file_fits_and_a_larger_one_does_not() {
        let largest = header("a", MAX_FILE_BYTES).unwrap();
        assert_eq!(size(&largest), Some(MAX_FILE_BYTES));
        assert_eq!(header("a", MAX_FILE_BYTES + 1), None);
    }

    #[test]
    fn a_damaged_name_is_still_seen() {
        let whole = header("ukernel-bundle", 1).unwrap();
        assert!(is_about(&whole, "ukernel-bundle"));
        for at in 0..NAME {
            let mut damaged = whole;
            damaged[at] ^= 0x10;
            assert!(is_about(&damaged, "ukernel-bundle"), "byte {at}");
        }
        assert!(!is_about(&whole, "ukernel-bundle.sig"));
        assert!(!is_about(&[0; BLOCK], "ukernel-bundle"));
    }

    #[test]
    fn padding_fills_blocks() {
        for size in [0, 1, 511, 512, 513] {
            assert_eq!((size + padding(size).len() as u64) % 512, 0, "{size}");
            assert!(padding(size).len() < BLOCK);
        }
    }
}
