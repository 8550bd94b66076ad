//! Finds the bundle and checks it, piece by piece, so that nothing else waits long meanwhile.
//!
//! Called once, by `runtime` before there is a workload, or by `testing`. It must not trust a byte that it reads, nor
//! keep more of it than there is room for.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ::bundle::{Bundle as Layer, Digest, Error, Verifier};
use drivers::block::{Disk, DiskError};
use reactor::task::yield_now;

use super::Bundle;

/// Bytes that are read and checked at a time: some milliseconds on a slow machine.
const PIECE: usize = 64 << 10;
/// Bytes of the first look.
const SECTOR: usize = 512;

/// Where bundles may be.
pub(crate) struct Places<'a> {
    /// The one that the kernel's own file has brought along. No other is looked for on a disk then.
    pub(crate) embedded: Option<&'static [u8]>,
    /// The machine's disks, of which the first may have one.
    pub(crate) disks: &'a [Disk],
    /// The boot modules, of which the first that has one counts.
    pub(crate) modules: &'static [&'static [u8]],
    /// Bytes of memory that a bundle from a disk may take.
    pub(crate) room: u64,
}

/// Which bundle has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Whichever is there, or none.
    Nothing,
    /// Any (`bundle=required`).
    Any,
    /// The one with this digest (`bundle=<digest>`).
    Exactly(Digest),
}

impl Demand {
    /// Reads what stands behind `bundle=`; `None`: there is no such word.
    ///
    /// # Errors
    /// [`LoadError::Demand`]: it is something else. Nothing may run then: somebody wanted to be sure of something.
    pub fn parse(value: Option<&str>) -> Result<Demand, LoadError> {
        match value {
            None => Ok(Demand::Nothing),
            Some("required") => Ok(Demand::Any),
            Some(digest) => digest
                .parse()
                .map(Demand::Exactly)
                .map_err(|_| LoadError::Demand),
        }
    }
}

/// Why the machine cannot go on with its bundle, or without one. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// `bundle=` has neither a digest nor `required` behind it.
    Demand,
    /// One was demanded, and there is none.
    Missing,
    /// There is another than was demanded.
    Other {
        /// What was demanded.
        demanded: Digest,
        /// What is there.
        found: Digest,
    },
    /// It is not whole, or cannot be used.
    Bundle {
        /// Where it is.
        place: Place,
        /// What is wrong with it.
        error: Error,
    },
    /// The disk cannot be read.
    Disk(DiskError),
    /// There is no memory for it, although it is not too large for the machine.
    Memory,
    /// A volume has no disk.
    Volume {
        /// The volume.
        name: String,
        /// Which disk it would be, of those that are attached, counted from 0.
        disk: usize,
    },
}

/// Where a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the first disk.
    Disk,
    /// In a boot module.
    Module,
    /// In the kernel's own file.
    Kernel,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Disk => "disk0",
            Place::Module => "initrd",
            Place::Kernel => "kernel",
        })
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Demand => f.write_str("bundle= takes `required`, or a digest as `ukernel inspect` shows it"),
            LoadError::Missing => f.write_str(
                "missing: neither the first disk nor the initrd has one: attach the image that `ukernel pack` made \
                 as the first disk",
            ),
            LoadError::Other { demanded, found } => write!(
                f,
                "another one: bundle={demanded} was demanded, and {found} is there: attach the right image, or \
                 demand this one"
            ),
            LoadError::Bundle { place, error } => write!(f, "{place}: {error}"),
            LoadError::Disk(error) => write!(f, "disk0 cannot be read: {error}"),
            LoadError::Memory => f.write_str("no memory for it: give the machine more"),
            LoadError::Volume { name, disk } => write!(
                f,
                "the volume {name} is missing: attach it as disk {disk}, counted from 0"
            ),
        }
    }
}

impl core::error::Error for LoadError {}

/// Finds what there is, and checks it and that it is what was demanded. What is loaded stays in memory for good.
pub(crate) async fn load(
    places: &Places<'_>,
    demand: Demand,
) -> Result<Option<&'static Bundle>, LoadError> {
    let own = match (places.embedded, places.disks.first()) {
        (Some(embedded), _) => Some(from_memory(embedded, Place::Kernel).await?),
        (None, Some(disk)) => from_disk(disk, places.room).await?,
        (None, None) => None,
    };
    let in_module = match places.modules.iter().find(|module| is_one(module)) {
        Some(module) => Some(from_memory(module, Place::Module).await?),
        None => None,
    };
    // A bundle in the kernel's file takes the number of the disk that it would be on, so that those of the others do not
    // depend on how it was packed.
    let on_disk = places.embedded.is_none() && own.is_some();
    let unseen = usize::from(places.embedded.is_some());
    let first_volume = unseen + usize::from(on_disk);
    let (base, over) = match (own, in_module) {
        (Some(base), over) => (base, over),
        (None, Some(base)) => (base, None),
        (None, None) if demand == Demand::Nothing => return Ok(None),
        (None, None) => return Err(LoadError::Missing),
    };
    let bundle = Bundle {
        base,
        over,
        first_volume,
        on_disk,
    };
    check(&bundle, demand, places.disks.len(), unseen)?;
    Ok(Some(Box::leak(Box::new(bundle))))
}

/// The disks as the workload numbers them. It cannot write to the bundle's, which is what the next boot reads; and one that
/// is part of the kernel's file is no disk, but has its number.
pub(crate) fn number(disks: Vec<Disk>, bundle: Option<&Bundle>) -> Vec<Option<Disk>> {
    let mut numbered: Vec<Option<Disk>> = disks.into_iter().map(Some).collect();
    match bundle {
        Some(bundle) if bundle.on_disk => {
            numbered[0] = numbered[0].take().map(|disk| disk.read_only_view());
        }
        Some(bundle) if bundle.first_volume == 1 => numbered.insert(0, None),
        _ => {}
    }
    numbered
}

/// `disks` are there, and `unseen` in front of them have numbers.
fn check(bundle: &Bundle, demand: Demand, disks: usize, unseen: usize) -> Result<(), LoadError> {
    let found = bundle.digest();
    match demand {
        Demand::Exactly(demanded) if demanded != found => {
            return Err(LoadError::Other { demanded, found });
        }
        _ => {}
    }
    match bundle.volumes().find(|(disk, _)| *disk >= disks + unseen) {
        Some((disk, volume)) => Err(LoadError::Volume {
            name: volume.name.clone(),
            disk: disk - unseen,
        }),
        None => Ok(()),
    }
}

/// Whether something begins as a bundle does.
fn is_one(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(Verifier::recognizes)
}

async fn from_memory(image: &'static [u8], place: Place) -> Result<Layer<'static>, LoadError> {
    let broken = |error| LoadError::Bundle { place, error };
    // It is there already, so there is room.
    let mut verifier = Verifier::new(u64::MAX);
    for piece in image.chunks(PIECE) {
        verifier.push(piece).map_err(broken)?;
        yield_now().await;
    }
    Ok(Layer::of(image, verifier.finish().map_err(broken)?))
}

async fn from_disk(disk: &Disk, room: u64) -> Result<Option<Layer<'static>>, LoadError> {
    let broken = |error| LoadError::Bundle {
        place: Place::Disk,
        error,
    };
    if disk.len_bytes() < SECTOR as u64
        || !is_one(&disk.read(0, SECTOR).await.map_err(LoadError::Disk)?)
    {
        return Ok(None);
    }
    let (mut verifier, mut kept) = (Verifier::new(room), Vec::new());
    let mut at = 0;
    while at < disk.len_bytes() {
        let len = (disk.len_bytes() - at).min(PIECE as u64) as usize;
        let piece = disk.read(at, len).await.map_err(LoadError::Disk)?;
        at += len as u64;
        verifier.push(&piece).map_err(broken)?;
        keep(&mut kept, piece, verifier.kept_bytes())?;
        yield_now().await;
    }
    let verified = verifier.finish().map_err(broken)?;
    Ok(Some(Layer::of(kept.leak(), verified)))
}

/// Keeps what of a piece is to be kept: all of it until the index is known, then up to `end`.
fn keep(kept: &mut Vec<u8>, mut piece: Vec<u8>, end: Option<u64>) -> Result<(), LoadError> {
    if let Some(end) = end {
        // As much as there will be, at once; no more than fits, which the verifier has seen to.
        let left = usize::try_from(end)
            .unwrap_or(usize::MAX)
            .saturating_sub(kept.len());
        kept.try_reserve_exact(left)
            .map_err(|_| LoadError::Memory)?;
        piece.truncate(left);
    }
    kept.try_reserve(piece.len())
        .map_err(|_| LoadError::Memory)?;
    kept.extend_from_slice(&piece);
    Ok(())
}

#[cfg(test)]
mod tests;
