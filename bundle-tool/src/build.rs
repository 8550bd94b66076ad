//! Builds a project: `build/vmlinux`, `build/bundle.tgz`, `build/adapter/NAME/adapter.toml` and `ukernel.lock`. Called by
//! `ukernel build`; starts compilers and writes below the project's folder and the cache.
//!
//! The same sources make the same bytes, whoever builds them, where and when: flags tell the compilers to forget the paths
//! of project, cache, Cargo's folder and Rust's own. What is written appears whole, `bundle.tgz` last: a folder without it
//! is no build.
//!
//! | file | owns |
//! | --- | --- |
//! | `rust.rs` | a program in Rust, through Cargo |
//! | `flags.rs` | the flags for programs in machines |
//! | `c.rs` | a program in C |
//! | `python.rs` | a program in Python, whose sources are all there is to it |
//! | `inputs.rs` | what a build was made of |
//! | `output.rs` | writing what came of it |
//! | `files.rs` | patterns, and the files they mean |

mod c;
mod files;
mod flags;
mod inputs;
mod output;
mod python;
mod rust;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bundle::{Index, Volume};

use crate::image::{Draft, ImageError, Source};
use crate::lock::{self, Lock};
use crate::manifest::{Language, ManifestError};
use crate::project::Project;
use crate::sources::{DIGEST, Sources, SourcesError};
use crate::toolchain::ToolchainError;
use crate::ui::Ui;

pub use python::interpreter;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    /// Small and fast, instead of quickly compiled and with checks.
    pub release: bool,
    /// Only of what `ukernel.lock` says.
    pub locked: bool,
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The manifest or a file beside it has a mistake.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The carried sources cannot be unpacked.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// There is no compiler.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A compiler or linker has failed, and has said why.
    #[error("{0} failed")]
    Failed(&'static str),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// `--locked`, and what is there is something else.
    #[error("ukernel.lock does not allow this build:\n  {}", .0.join("\n  "))]
    Locked(Vec<String>),
    /// The project has something that no build can be made of.
    #[error("{0}")]
    Project(String),
}

impl BuildError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            BuildError::Sources(error) => error.hint(),
            BuildError::Toolchain(error) => error.hint(),
            BuildError::Locked(_) => {
                Some("`ukernel build` without --locked writes a new one".into())
            }
            _ => None,
        }
    }

    fn io(path: &Path, error: io::Error) -> BuildError {
        BuildError::Io {
            path: path.into(),
            error,
        }
    }
}

/// What came of a build.
#[derive(Debug)]
pub struct Built {
    /// The program with the kernel; none for Python.
    pub kernel: Option<PathBuf>,
    /// The bundle.
    pub bundle: PathBuf,
}

/// What a language's part of the build has made.
struct Program {
    /// The bootable image, still where the compiler wrote it.
    kernel: Option<PathBuf>,
    /// Files for the bundle beside those of the manifest: path in the bundle, path on this machine.
    files: Vec<(String, PathBuf)>,
    /// What it was made of, as far as the language is concerned.
    inputs: Lock,
    adapter: Adapter,
}

/// What stands between program and kernel.
struct Adapter {
    /// Such as `python-3.12`: what its folder in `build/adapter` is called.
    name: String,
    /// The version of the language.
    version: String,
}

/// Everything that the parts of a build need.
struct Build<'a> {
    project: &'a Project,
    sources: &'a Sources,
    request: Request,
    ui: &'a Ui,
    /// What is allowed, with `--locked`.
    locked: Option<Lock>,
}

/// Builds a project of the carried `sources`.
///
/// # Errors
/// See [`BuildError`]. What an earlier build made is then still there, or `bundle.tgz` is missing.
pub fn build(
    project: &Project,
    sources: &Sources,
    request: Request,
    ui: &Ui,
) -> Result<Built, BuildError> {
    let _alone = alone(project, ui)?;
    let locked = request
        .locked
        .then(|| Lock::read(&project.lock()))
        .transpose()?;
    let build = Build {
        project,
        sources,
        request,
        ui,
        locked,
    };
    build.check_known_inputs()?;
    let program = match project.manifest.project.language {
        Language::Rust => build.rust()?,
        Language::C => build.c()?,
        Language::Python => build.python()?,
    };
    build.finish(program)
}

impl Build<'_> {
    fn root(&self) -> &Path {
        self.project.root()
    }

    /// Refuses before anything is compiled, where that can be known.
    fn check_known_inputs(&self) -> Result<(), BuildError> {
        let Some(locked) = &self.locked else {
            return Ok(());
        };
        let now = Lock {
            kernel: kernel_inputs(),
            sources: inputs::digests_again(self.root(), &locked.sources),
            ..locked.clone()
        };
        self.compare(&now)
    }

    /// The same for compilers and packages, once they are known.
    fn check_tools(
        &self,
        toolchain: &BTreeMap<String, String>,
        dependencies: &BTreeMap<String, String>,
    ) -> Result<(), BuildError> {
        let Some(locked) = &self.locked else {
            return Ok(());
        };
        self.compare(&Lock {
            toolchain: toolchain.clone(),
            dependencies: dependencies.clone(),
            ..locked.clone()
        })
    }

    fn compare(&self, now: &Lock) -> Result<(), BuildError> {
        match self.locked.as_ref().map(|locked| locked.differences(now)) {
            Some(differences) if !differences.is_empty() => Err(BuildError::Locked(differences)),
            _ => Ok(()),
        }
    }

    /// Checks limits and the lock, then writes everything.
    fn finish(&self, program: Program) -> Result<Built, BuildError> {
        let mut files = program.files;
        files.extend(self.bundle_files()?);
        files.sort();
        files.dedup();
        let draft = self.draft(files)?;
        let mut lock = program.inputs;
        // What goes in is an input, of the very bytes that go in.
        let packed = draft.index().files.iter();
        lock.sources
            .extend(packed.map(|file| (file.path.clone(), lock::word(&file.digest))));
        lock.kernel = kernel_inputs();
        lock.adapter = [
            ("name".to_string(), program.adapter.name.clone()),
            ("version".to_string(), program.adapter.version.clone()),
        ]
        .into();
        for path in self.settings() {
            let name = inputs::name_in(self.root(), &path);
            lock.sources.insert(name, inputs::digest_of(&path)?);
        }
        self.compare(&lock)?;
        self.check_limits(program.kernel.as_deref(), draft.index())?;
        self.write(program.kernel.as_deref(), &program.adapter, &lock, &draft)
    }

    /// The files that settings stand in.
    fn settings(&self) -> Vec<PathBuf> {
        let base = self.project.manifest.env.base.as_ref();
        let base = base.map(|base| self.root().join(base.as_path()));
        [Some(self.root().join(crate::manifest::FILE)), base]
            .into_iter()
            .flatten()
            .collect()
    }

    fn bundle_files(&self) -> Result<Vec<(String, PathBuf)>, BuildError> {
        files::matching(self.root(), &self.project.manifest.build.files)
    }

    fn draft(&self, files: Vec<(String, PathBuf)>) -> Result<Draft, BuildError> {
        let manifest = &self.project.manifest;
        let mut index = Index::new(self.project.name());
        index.options = self.project.options()?;
        index.arguments = manifest.arguments();
        let volumes = manifest.volumes.iter();
        index.volumes = volumes
            .map(|(name, volume)| Volume {
                name: name.as_str().into(),
                read_only: volume.read_only,
            })
            .collect();
        let sources = files
            .into_iter()
            .map(|(name, path)| (name, Source::File(path)));
        Ok(Draft::new(index, sources.collect())?)
    }
}

/// Waits until no other build of the project goes on; held until it is dropped, or the process is gone.
fn alone(project: &Project, ui: &Ui) -> Result<File, BuildError> {
    let path = project.state().join("build.lock");
    let open = || {
        fs::create_dir_all(project.state())?;
        let file = File::options().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                ui.say("waiting for another build of this project");
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        Ok(file)
    };
    open().map_err(|error| BuildError::io(&path, error))
}

fn kernel_inputs() -> BTreeMap<String, String> {
    [
        ("version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("digest".to_string(), format!("sha256:{DIGEST}")),
    ]
    .into()
}
