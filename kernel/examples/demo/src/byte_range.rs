//! Which bytes of a disk a request asks for: `?offset=<bytes>&length=<bytes>`.
//!
//! Pure; called by the disk routes for every request.

use core::fmt;

use crate::number::decimal;

/// A range that lies on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Where it begins, in bytes from the start of the disk.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// Why a query names no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeError {
    /// The query cannot be read; answered with 400.
    Malformed(&'static str),
    /// The range leaves the disk; answered with 416.
    Outside,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::Malformed(problem) => f.write_str(problem),
            RangeError::Outside => f.write_str("the range leaves the disk"),
        }
    }
}

/// What a query asks for, before it is known how long the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeQuery {
    offset: Option<u64>,
    length: Option<u64>,
}

impl RangeQuery {
    /// Reads the query of a request. What is absent means the whole disk, or the rest of it.
    pub fn parse(query: &str) -> Result<Self, RangeError> {
        let mut parsed = RangeQuery::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "offset" => &mut parsed.offset,
                "length" => &mut parsed.length,
                _ => {
                    return Err(RangeError::Malformed(
                        "the parameters are offset and length",
                    ));
                }
            };
            if place.replace(number(value)?).is_some() {
                return Err(RangeError::Malformed("a parameter is given twice"));
            }
        }
        Ok(parsed)
    }

    /// The range on a disk of `disk_length` bytes.
    pub fn on(self, disk_length: u64) -> Result<ByteRange, RangeError> {
        let offset = self.offset.unwrap_or(0);
        let rest = disk_length.checked_sub(offset).ok_or(RangeError::Outside)?;
        let length = self.length.unwrap_or(rest);
        if length > rest {
            return Err(RangeError::Outside);
        }
        Ok(ByteRange { offset, length })
    }
}

impl ByteRange {
    /// Takes the next read off the front, of at most `length` bytes, a power of two; `None` at the
    /// end. Reads begin and end at multiples of it, so that only the first and the last can be off
    /// a device's blocks.
    pub fn take_chunk(&mut self, length: u64) -> Option<ByteRange> {
        let whole = length - self.offset % length;
        let chunk = ByteRange {
            offset: self.offset,
            length: whole.min(self.length),
        };
        self.offset += chunk.length;
        self.length -= chunk.length;
        (chunk.length > 0).then_some(chunk)
    }
}

fn number(text: &str) -> Result<u64, RangeError> {
    decimal(text).ok_or(RangeError::Malformed(
        "offset and length are decimal numbers of bytes",
    ))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const DISK: u64 = 4096;

    fn parse(query: &str) -> Result<(u64, u64), RangeError> {
        RangeQuery::parse(query)?
            .on(DISK)
            .map(|range| (range.offset, range.length))
    }

    #[test]
    fn what_is_absent_means_the_rest() {
        assert_eq!(parse(""), Ok((0, DISK)));
        assert_eq!(parse("offset=96"), Ok((96, 4000)));
        assert_eq!(parse("length=10"), Ok((0, 10)));
        assert_eq!(parse("length=10&offset=1"), Ok((1, 10)));
    }

    #[test]
    fn the_end_of_the_disk_is_exact() {
        assert_eq!(parse("offset=4096"), Ok((4096, 0)));
        assert_eq!(parse("offset=4097"), Err(RangeError::Outside));
        assert_eq!(parse("offset=4095&length=1"), Ok((4095, 1)));
        assert_eq!(parse("offset=4095&length=2"), Err(RangeError::Outside));
        assert_eq!(
            parse("offset=1&length=18446744073709551615"),
            Err(RangeError::Outside)
        );
    }

    #[test]
    fn what_is_no_number_is_malformed() {
        for query in [
            "offset=",
            "offset=-1",
            "offset=+1",
            "offset=0x10",
            "length=1e3",
            "start=1",
            "offset",
            "offset=1&offset=1",
            "length=18446744073709551616",
            "offset=%31",
        ] {
            assert!(
                matches!(parse(query), Err(RangeError::Malformed(_))),
                "{query}"
            );
        }
    }

    #[test]
    fn chunks_cover_the_range_exactly() {
        for (offset, length) in [
            (0, 4096),
            (1, 1),
            (511, 2),
            (512, 512),
            (1000, 3000),
            (4096, 0),
        ] {
            let mut range = ByteRange { offset, length };
            let mut at = offset;
            while let Some(chunk) = range.take_chunk(1024) {
                assert!((1..=1024).contains(&chunk.length));
                assert_eq!(chunk.offset, at);
                assert!(at == offset || at % 1024 == 0);
                at += chunk.length;
            }
            assert_eq!(at, offset + length);
        }
    }

    #[test]
    fn an_aligned_range_is_read_in_full_chunks() {
        let mut range = ByteRange {
            offset: 0,
            length: 2500,
        };
        let chunks = core::iter::from_fn(|| range.take_chunk(1024));
        let lengths: Vec<_> = chunks.map(|chunk| chunk.length).collect();
        assert_eq!(lengths, [1024, 1024, 452]);
    }
}
