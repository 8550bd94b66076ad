//! What a build leaves: written whole, in an order in which nobody takes a part for all of it; and its limits.

use std::fs::{self, File};
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use bundle::Index;

use super::{Adapter, Build, BuildError, Built};
use crate::image::Draft;
use crate::kernel_file;
use crate::lock::Lock;
use crate::sources::DIGEST;
use crate::whole_file::{self, FOR_ALL};

impl Build<'_> {
    /// Refuses what is larger than the manifest allows.
    pub(super) fn check_limits(
        &self,
        kernel: Option<&Path>,
        index: &Index,
    ) -> Result<(), BuildError> {
        let limits = &self.project.manifest.limits;
        let check = |bytes: u64, what: &str, key: &str, limit: NonZeroU32| {
            let size = bytes.div_ceil(1024);
            match size > limit.get().into() {
                true => Err(BuildError::Project(format!(
                    "{what} {size} KiB, and [limits] {key} is {limit}"
                ))),
                false => Ok(()),
            }
        };
        if let (Some(limit), Some(kernel)) = (limits.vmlinux_kb, kernel) {
            check(
                loaded_size(kernel)?,
                "the program needs",
                "vmlinux_kb",
                limit,
            )?;
        }
        if let Some(limit) = limits.bundle_kb {
            let bytes = index.files.iter().map(|file| file.size).sum();
            check(bytes, "the bundle's files have", "bundle_kb", limit)?;
        }
        Ok(())
    }

    /// Writes what was built. While that goes on there is no `bundle.tgz`.
    pub(super) fn write(
        &self,
        kernel: Option<&Path>,
        adapter: &Adapter,
        lock: &Lock,
        draft: &Draft,
    ) -> Result<Built, BuildError> {
        let bundle = self.project.bundle();
        remove(&bundle)?;
        let target = self.project.kernel();
        match kernel {
            Some(kernel) => copy(kernel, &target)?,
            None => remove(&target)?,
        }
        let folder = self.project.build().join("adapter");
        remove_other_adapters(&folder, &adapter.name)?;
        write_text(
            &folder.join(&adapter.name).join("adapter.toml"),
            &self.adapter_text(adapter),
        )?;
        if self.locked.is_none() {
            write_text(&self.project.lock(), &lock.to_string())?;
        }
        draft.write_compressed(&bundle)?;
        Ok(Built {
            kernel: kernel.map(|_| target),
            bundle,
        })
    }

    fn adapter_text(&self, adapter: &Adapter) -> String {
        let project = &self.project.manifest.project;
        let value = |text: &str| toml::Value::from(text).to_string();
        format!(
            "# Written by `ukernel build`: what stands between the program and the kernel.\n\
             [adapter]\nname = {}\nlanguage = {}\nversion = {}\nentry = {}\ninterface = {}\ndigest = {}\n",
            value(&adapter.name),
            value(&project.language.to_string()),
            value(&adapter.version),
            value(&project.entry().to_string_lossy()),
            value(&interface_version()),
            value(&format!("sha256:{DIGEST}")),
        )
    }
}

/// The version of the interface between program and kernel.
fn interface_version() -> String {
    let (major, minor, patch) = abi::number::VERSION;
    format!("{major}.{minor}.{patch}")
}

/// How much memory an image's code and data need, in bytes.
fn loaded_size(kernel: &Path) -> Result<u64, BuildError> {
    let bytes = fs::read(kernel).map_err(|error| BuildError::io(kernel, error))?;
    let size = kernel_file::loaded_size(&bytes);
    size.map_err(|error| BuildError::Project(format!("{}: {error}", kernel.display())))
}

fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    let mut input = File::open(from).map_err(|error| BuildError::io(from, error))?;
    let written = whole_file::write(to, FOR_ALL, |file| io::copy(&mut input, file).map(drop));
    written.map_err(|error| BuildError::io(to, error))
}

fn write_text(path: &Path, text: &str) -> Result<(), BuildError> {
    whole_file::put(path, FOR_ALL, text.as_bytes()).map_err(|error| BuildError::io(path, error))
}

fn remove(path: &Path) -> Result<(), BuildError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BuildError::io(path, error)),
        _ => Ok(()),
    }
}

/// Removes what a build with another adapter has left.
fn remove_other_adapters(folder: &Path, name: &str) -> Result<(), BuildError> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() != name {
            fs::remove_dir_all(entry.path())
                .map_err(|error| BuildError::io(&entry.path(), error))?;
        }
    }
    Ok(())
}
