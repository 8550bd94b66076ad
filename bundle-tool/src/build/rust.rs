//! A program in Rust: Cargo builds the project's package, with the kernel's flags and profile.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Adapter, Build, BuildError, Program, inputs};
use crate::lock::Lock;
use crate::sources::SEED;
use crate::toolchain::{Rust, TARGET, ToolchainError, cargo};
use crate::ui::Verbosity;
use crate::whole_file::{self, FOR_ALL};

/// Files that decide about a build in Rust without being compiled.
const SETTINGS: &[&str] = &[
    "Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
    "rust-toolchain",
    "build.rs",
];

impl Build<'_> {
    /// Compiles the package.
    pub(super) fn rust(&self) -> Result<Program, BuildError> {
        let manifest = self.root().join("Cargo.toml");
        if !manifest.is_file() {
            return Err(BuildError::Project(format!(
                "there is no {}",
                manifest.display()
            )));
        }
        let rust = Rust::find(self.root())?;
        self.sources.link(&self.project.state().join("kernel"))?;
        self.seed_lock()?;
        // Before the first fetch there is no folder of sources whose name could be forgotten.
        self.fetch(self.root())?;
        let toolchain = [("rustc".to_string(), rust.version.clone())].into();
        let dependencies = inputs::packages(&self.root().join("Cargo.lock"))?;
        self.check_tools(&toolchain, &dependencies)?;
        let target = self.target_folder()?;
        let mut cargo = self.cargo("build", self.root());
        cargo
            .args([
                "--bins",
                "--target",
                TARGET,
                "--message-format",
                "json-render-diagnostics",
            ])
            .args(["--profile", self.profile()])
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags(&rust, &target)?);
        let features = &self.project.manifest.build.features;
        if !features.is_empty() {
            cargo.arg("--features").arg(features.join(","));
        }
        let kernel = self.chosen(executables(&mut cargo)?)?;
        Ok(Program {
            inputs: Lock {
                toolchain,
                dependencies,
                sources: self.rust_sources(&kernel, &target)?,
                ..Lock::default()
            },
            kernel: Some(kernel),
            files: Vec::new(),
            adapter: Adapter {
                name: "rust".into(),
                version: rust.version,
            },
        })
    }

    /// Cargo with the kernel's profiles, in a folder.
    pub(super) fn cargo(&self, command: &str, folder: &Path) -> Command {
        let mut cargo = Command::new(cargo());
        cargo.arg(command).current_dir(folder).stdin(Stdio::null());
        cargo
            .arg("--config")
            .arg(self.sources.folder().join("guest.toml"));
        match self.ui.verbosity() {
            Verbosity::Quiet => cargo.arg("--quiet"),
            Verbosity::Normal => &mut cargo,
            Verbosity::Verbose => cargo.arg("--verbose"),
        };
        if self.request.locked && folder == self.root() {
            cargo.arg("--locked");
        }
        // Would come before the flags that this tool passes.
        cargo
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET");
        // What is compiled in increments is other code, and whether it is is a person's own setting.
        cargo.env("CARGO_INCREMENTAL", "0");
        cargo
    }

    /// The profile's name.
    pub(super) fn profile(&self) -> &'static str {
        if self.request.release {
            "guest"
        } else {
            "guest-dev"
        }
    }

    /// Downloads what is missing.
    pub(super) fn fetch(&self, folder: &Path) -> Result<(), BuildError> {
        let mut fetch = self.cargo("fetch", folder);
        run(
            fetch.args(["--target", TARGET]).stdout(Stdio::null()),
            "cargo fetch",
        )
    }

    /// A package without a lock file begins with the versions that the kernel is tested with.
    fn seed_lock(&self) -> Result<(), BuildError> {
        let path = self.root().join("Cargo.lock");
        if path.exists() || self.request.locked {
            return Ok(());
        }
        let seed = self.sources.read(SEED)?;
        whole_file::put(&path, FOR_ALL, seed.as_bytes())
            .map_err(|error| BuildError::io(&path, error))
    }

    /// Where Cargo puts what it compiles of the project.
    fn target_folder(&self) -> Result<PathBuf, BuildError> {
        let mut metadata = self.cargo("metadata", self.root());
        metadata
            .args(["--format-version", "1", "--no-deps"])
            .stderr(Stdio::inherit());
        let words = crate::toolchain::answer(&mut metadata, "cargo metadata")?;
        let metadata: Value = serde_json::from_str(&words).unwrap_or_default();
        let folder = metadata["target_directory"].as_str().map(PathBuf::from);
        Ok(folder.unwrap_or_else(|| self.root().join("target")))
    }

    /// The project's program among the package's: the only one, or the one of the project's name.
    fn chosen(&self, executables: Vec<PathBuf>) -> Result<PathBuf, BuildError> {
        let name = self.project.name();
        let named = executables
            .iter()
            .find(|path| path.file_name().is_some_and(|file| file == name));
        match (named, executables.as_slice()) {
            (Some(path), _) | (None, [path]) => Ok(path.clone()),
            (None, []) => Err(BuildError::Project("the package has no program".into())),
            (None, _) => Err(BuildError::Project(format!(
                "none of the package's programs is called {name}"
            ))),
        }
    }

    /// The files that the program was compiled of, as Cargo lists them, and those that decide about it.
    fn rust_sources(
        &self,
        kernel: &Path,
        target: &Path,
    ) -> Result<BTreeMap<String, String>, BuildError> {
        let list = kernel.with_added_extension("d");
        let text = fs::read_to_string(&list).map_err(|error| BuildError::io(&list, error))?;
        let mut files = inputs::dependencies(&text);
        let settings = SETTINGS.iter().map(|name| self.root().join(name));
        files.extend(settings.filter(|path| path.is_file()));
        // The kernel's sources have a digest of their own.
        let but = [&self.project.state(), self.sources.folder(), target];
        inputs::digests(self.root(), &files, &but.map(|path: &Path| path))
    }
}

/// Runs Cargo, and returns the programs that it has built.
fn executables(cargo: &mut Command) -> Result<Vec<PathBuf>, BuildError> {
    let missing = |error| ToolchainError::Missing {
        program: "cargo".into(),
        error,
    };
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(missing)?;
    let output = child.stdout.take().expect("it is piped");
    let mut found = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(path) = message["executable"].as_str() {
            found.push(path.into());
        }
    }
    match child.wait().map_err(missing)?.success() {
        true => Ok(found),
        false => Err(BuildError::Failed("cargo build")),
    }
}

/// Runs a command that says itself what is wrong.
pub(super) fn run(command: &mut Command, name: &'static str) -> Result<(), BuildError> {
    let status = command.status().map_err(|error| ToolchainError::Missing {
        program: name.into(),
        error,
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(BuildError::Failed(name)),
    }
}
