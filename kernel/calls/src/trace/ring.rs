//! What is over, until it is drained: the oldest is overwritten where there is no room.

use alloc::vec::Vec;

use abi::Error;

use super::buffer::places;
use super::name::Name;

/// The most records that are kept. Beyond, the oldest is overwritten and counted.
pub(super) const MAX_RECORDS: usize = 2048;

/// A span that is over, or an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The task it began in, and the one it ended in.
    pub(super) tasks: (u32, u32),
    /// The span, or the one that an event is in.
    pub(super) span: u64,
    pub(super) parent: u64,
    pub(super) name: Name,
    /// An event's; a span has none.
    pub(super) text: Option<Name>,
}

/// Records in the order in which they were made.
#[derive(Debug)]
pub(super) struct Ring {
    places: Vec<Past>,
    /// The place of the oldest.
    first: usize,
    len: usize,
    /// How many were overwritten, or never made.
    pub(super) lost: u64,
}

impl Ring {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn new() -> Result<Ring, Error> {
        Ok(Ring {
            places: places(MAX_RECORDS)?,
            first: 0,
            len: 0,
            lost: 0,
        })
    }

    /// The place of the next record, in which another one may have been.
    #[inline]
    pub(super) fn next(&mut self) -> &mut Past {
        let place = (self.first + self.len) % MAX_RECORDS;
        if self.len < MAX_RECORDS {
            self.len += 1;
        } else {
            self.first = (self.first + 1) % MAX_RECORDS;
            self.lost += 1;
        }
        &mut self.places[place]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes the oldest one.
    pub(super) fn take_oldest(&mut self) -> Option<Past> {
        self.len = self.len.checked_sub(1)?;
        let oldest = self.places[self.first].clone();
        self.first = (self.first + 1) % MAX_RECORDS;
        Some(oldest)
    }

    /// How many were lost since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }
}
