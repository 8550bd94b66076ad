//! Which bytes of a disk a request asks for: `?offset=<bytes>&length=<bytes>`.
//!
//! Pure; called by the disk routes for every request. Devices read whole sectors, so a range is
//! also cut into the [chunks](ByteRange::chunks) to read.

use core::fmt;

/// What a device reads at least, and where it can begin (virtio 1.2, section 5.2.4).
const SECTOR: u64 = 512;

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

/// One read: whole sectors, of which a part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where to read, in bytes; a multiple of the sector.
    pub offset: u64,
    /// How much to read, in bytes; a multiple of the sector.
    pub length: usize,
    /// How many of the first bytes read are not wanted.
    pub skip: usize,
    /// How many bytes behind those are wanted.
    pub take: usize,
}

impl ByteRange {
    /// Reads the query of a request. What is absent means the whole disk, or the rest of it.
    pub fn parse(query: Option<&str>, disk_length: u64) -> Result<Self, RangeError> {
        let (mut offset, mut length) = (None, None);
        for part in query
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "offset" => &mut offset,
                "length" => &mut length,
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
        let offset = offset.unwrap_or(0);
        let rest = disk_length.checked_sub(offset).ok_or(RangeError::Outside)?;
        let length = length.unwrap_or(rest);
        if length > rest {
            return Err(RangeError::Outside);
        }
        Ok(ByteRange { offset, length })
    }

    /// The reads that cover the range, each of at most `chunk_length` bytes, a positive multiple of
    /// the sector.
    pub fn chunks(self, chunk_length: usize) -> impl Iterator<Item = Chunk> {
        let end = self.offset + self.length;
        let mut at = self.offset;
        core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let start = at - at % SECTOR;
            let stop = end
                .next_multiple_of(SECTOR)
                .min(start + chunk_length as u64);
            let skip = at - start;
            let take = stop.min(end) - at;
            at += take;
            Some(Chunk {
                offset: start,
                length: (stop - start) as usize,
                skip: skip as usize,
                take: take as usize,
            })
        })
    }
}

fn number(text: &str) -> Result<u64, RangeError> {
    // `parse` alone would accept a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RangeError::Malformed(
            "offset and length are decimal numbers of bytes",
        ));
    }
    text.parse()
        .map_err(|_| RangeError::Malformed("the number is too large"))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const DISK: u64 = 4096;

    fn parse(query: &str) -> Result<(u64, u64), RangeError> {
        ByteRange::parse(Some(query), DISK).map(|range| (range.offset, range.length))
    }

    #[test]
    fn what_is_absent_means_the_rest() {
        assert_eq!(
            ByteRange::parse(None, DISK),
            Ok(ByteRange {
                offset: 0,
                length: DISK
            })
        );
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
            let mut at = offset;
            for chunk in (ByteRange { offset, length }).chunks(1024) {
                assert_eq!(chunk.offset % SECTOR, 0);
                assert_eq!(chunk.length as u64 % SECTOR, 0);
                assert!(chunk.length <= 1024 && chunk.skip + chunk.take <= chunk.length);
                assert!(chunk.take > 0);
                assert_eq!(chunk.offset + chunk.skip as u64, at);
                at += chunk.take as u64;
            }
            assert_eq!(at, offset + length);
        }
    }

    #[test]
    fn an_aligned_range_is_read_in_full_chunks() {
        let lengths: Vec<_> = (ByteRange {
            offset: 0,
            length: 2500,
        })
        .chunks(1024)
        .map(|chunk| (chunk.length, chunk.take))
        .collect();
        assert_eq!(lengths, [(1024, 1024), (1024, 1024), (512, 452)]);
    }
}
