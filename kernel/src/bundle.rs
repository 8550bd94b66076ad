//! The bundle of a workload: the files and settings that `ukernel pack` put beside it, found and checked before
//! anything else runs.
//!
//! A workload asks for it with `#[ukernel::main(bundle)]`; without that, nothing of this is in its image. It lies on
//! the first disk or in the kernel's own file, or in the boot module (the initrd), in the format of the crate
//! [`bundle`]. Where there are both, the module's settings and files come on top: it is how `ukernel run` passes
//! variables and arguments that a command line has no room for. On top of both comes the command line.
//!
//! | what | which counts |
//! | --- | --- |
//! | options | all, in the order disk, module, command line; of two words about one thing the last. The first `allow=` of each begins anew |
//! | arguments | the last of the three that has any |
//! | files | all; of two of one path the module's |
//! | volumes | the last of the two that has any. They are the disks behind the bundle's |
//!
//! `bundle=<digest>` on the command line demands that very bundle, `bundle=required` any. A bundle that is missing
//! then, or damaged, or too large or too new, or that lacks a disk for a volume, ends the machine with status
//! [`abi::exit::BUNDLE`] and a line of the log that says what to do.

pub(crate) mod load;

use core::fmt;

use ::bundle::{Digest, Volume};

pub use load::{Demand, LoadError};

use crate::command_line::CommandLine;

/// The files and settings beside a workload, all of it in memory, for as long as the machine runs.
///
/// ```
/// use ukernel::{Context, Result};
///
/// fn page<'a>(ctx: &Context, path: &str) -> Result<&'static [u8]> {
///     let bundle = ctx.bundle().ok_or("there is no bundle")?;
///     Ok(bundle.file(path).ok_or("there is no such page")?)
/// }
/// # let machine = ukernel::testing::Machine::new();
/// # assert!(page(&machine.context(), "index.html").is_err());
/// ```
pub struct Bundle {
    base: Layer,
    /// What comes on top of it.
    over: Option<Layer>,
    /// The number of the first disk that can be a volume: the one behind the bundle's.
    first_volume: usize,
    /// Whether disk 0 is the bundle's.
    on_disk: bool,
}

type Layer = ::bundle::Bundle<'static>;

impl Bundle {
    /// Its name, which the project's manifest gives.
    pub fn name(&self) -> &str {
        &self.base.index().name
    }

    /// What `bundle=` on the command line can demand.
    pub fn digest(&self) -> Digest {
        self.base.digest()
    }

    /// The content of a file.
    pub fn file(&self, path: &str) -> Option<&'static [u8]> {
        let over = self.over.as_ref().and_then(|over| over.file(path));
        over.or_else(|| self.base.file(path))
    }

    /// All files with their contents, in no order that means anything.
    pub fn files(&self) -> impl Iterator<Item = (&str, &'static [u8])> {
        let over = self.over.as_ref();
        let hidden = move |path| over.is_some_and(|over| over.file(path).is_some());
        let base = self.base.files().filter(move |(path, _)| !hidden(path));
        base.chain(over.into_iter().flat_map(Layer::files))
    }

    /// The volumes, each with the number of its disk.
    pub fn volumes(&self) -> impl Iterator<Item = (usize, &Volume)> {
        let of = |layer: &Layer| !layer.index().volumes.is_empty();
        let layer = self
            .over
            .as_ref()
            .filter(|over| of(over))
            .unwrap_or(&self.base);
        (self.first_volume..).zip(&layer.index().volumes)
    }

    /// The volume of that name, and the number of its disk.
    pub fn volume(&self, name: &str) -> Option<(usize, &Volume)> {
        self.volumes().find(|(_, volume)| volume.name == name)
    }

    /// Says what there is.
    #[cfg(any(target_os = "none", ukernel_hard_float))]
    pub(crate) fn announce(&self) {
        let (name, digest) = (self.name(), self.digest());
        let (files, volumes) = (self.files().count(), self.volumes().count());
        log::info!("bundle: verified name={name} files={files} volumes={volumes} digest={digest}");
        if let Some(over) = &self.over {
            log::info!(
                "bundle: more in the initrd name={} digest={}",
                over.index().name,
                over.digest()
            );
        }
    }

    /// What the bundle says in front of the command line, and what was wrong with it.
    pub(crate) fn command_line(&self) -> CommandLine<'_> {
        let layers = core::iter::once(&self.base).chain(&self.over);
        CommandLine::of_layers(layers.map(|layer| {
            let index = layer.index();
            (index.options.as_slice(), index.arguments.as_slice())
        }))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("name", &self.name())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}
