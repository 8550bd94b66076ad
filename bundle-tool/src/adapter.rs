//! Runs a project in Python on this machine: its interpreter, the package `ukernel` and the kernel's calls as a library for
//! Linux. Called by `ukernel adapter`, which becomes what is made here.
//!
//! The package is the one that the interpreter has installed; else the tool's own, whose library is compiled into the
//! cache at first use. The program finds the project's variables, arguments and policy, as in a machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::interpreter;
use crate::manifest::{Language, ManifestError};
use crate::project::Project;
use crate::sources::Sources;
use crate::toolchain::{ToolchainError, answer, cargo};
use crate::ui::{Amount, Ui, Verbosity};

/// The oldest Python that the package runs on.
pub const OLDEST_PYTHON: (u32, u32) = (3, 11);
/// The library for Linux, where Cargo puts it.
const LIBRARY: &str = "release/libukernel_abi.so";

/// Says the interpreter's version, and whether it has the package with a library.
const PROBE: &str = "import sys
print(sys.version_info[0], sys.version_info[1])
try:
    from ukernel.library import interface
    interface()
    print('installed')
except Exception:
    print('missing')";

/// Why the program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// It is not in Python.
    #[error("{name} is in {language}, and the adapter is for Python")]
    NotPython {
        /// The project.
        name: String,
        /// Its language.
        language: Language,
    },
    /// The interpreter is too old.
    #[error("{} is Python {}.{}, and the adapter needs {}.{}", program.display(), found.0, found.1, OLDEST_PYTHON.0, OLDEST_PYTHON.1)]
    TooOld {
        /// The interpreter.
        program: PathBuf,
        /// Its version.
        found: (u32, u32),
    },
    /// There is no interpreter, or no compiler for the library.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The library cannot be compiled, for the reason that Cargo has said.
    #[error("cannot compile the library")]
    Compile,
    /// The variables cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl AdapterError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            AdapterError::NotPython { .. } => Some("`ukernel run` runs it in a machine".into()),
            AdapterError::TooOld { .. } => Some("UKERNEL_PYTHON names another interpreter".into()),
            AdapterError::Toolchain(error) => error.hint(),
            AdapterError::Compile | AdapterError::Manifest(_) => None,
        }
    }
}

/// The command that runs the project's program, or its file `entry`. `sources` is asked for the tool's own package only
/// if it is needed; `arguments` replace the manifest's if there are any.
///
/// # Errors
/// See [`AdapterError`].
pub fn command<E: From<AdapterError>>(
    project: &Project,
    entry: Option<&Path>,
    arguments: &[OsString],
    sources: impl FnOnce() -> Result<Sources, E>,
    ui: &Ui,
) -> Result<Command, E> {
    let language = project.manifest.project.language;
    if language != Language::Python {
        let name = project.name().into();
        return Err(AdapterError::NotPython { name, language }.into());
    }
    let program = interpreter(project.root());
    let mut command = Command::new(&program);
    if !has_package(&program)? {
        let sources = sources()?;
        let library = library(&sources, ui)?;
        command
            .env("PYTHONPATH", python_path(&sources))
            .env("UKERNEL_ABI_PATH", library)
            // Nothing is written among the sources.
            .env("PYTHONPYCACHEPREFIX", sources.target().join("pycache"));
    }
    command
        .args(["-m", "ukernel", "--root"])
        .arg(project.root());
    if let Some(entry) = entry {
        command.arg("--entry").arg(entry);
    }
    match arguments {
        [] => command.args(project.manifest.arguments()),
        given => command.args(given),
    };
    set_environment(&mut command, project).map_err(AdapterError::from)?;
    Ok(command)
}

/// Whether an interpreter has the package with a library that can be loaded.
fn has_package(program: &Path) -> Result<bool, AdapterError> {
    let name = program.display().to_string();
    let words = answer(Command::new(program).args(["-c", PROBE]), &name)?;
    let mut words = words.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let found = (number(), number());
    if found < OLDEST_PYTHON {
        return Err(AdapterError::TooOld {
            program: program.into(),
            found,
        });
    }
    Ok(words.next() == Some("installed"))
}

/// Compiles the library, or sees that it is compiled.
fn library(sources: &Sources, ui: &Ui) -> Result<PathBuf, AdapterError> {
    let target = sources.target();
    let words = "the library for Python; once for a version of this tool";
    let progress = ui.progress("Compiling", words, Amount::Unknown);
    let mut cargo = Command::new(cargo());
    cargo
        .args(["build", "--release", "-p", "adapter", "--target-dir"])
        .arg(&target);
    // What a person has set for own programs is not meant for this one.
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    if ui.verbosity() < Verbosity::Verbose {
        cargo.arg("--quiet");
    }
    let status = cargo
        .current_dir(sources.folder())
        .stdin(Stdio::null())
        .status();
    drop(progress);
    let status = status.map_err(|error| ToolchainError::Missing {
        program: "cargo".into(),
        error,
    })?;
    if !status.success() {
        return Err(AdapterError::Compile);
    }
    Ok(target.join(LIBRARY))
}

/// The tool's own package, before whatever else the person has there.
fn python_path(sources: &Sources) -> OsString {
    let mut path = sources.folder().join("adapter/python").into_os_string();
    if let Some(rest) = std::env::var_os("PYTHONPATH").filter(|rest| !rest.is_empty()) {
        path.push(":");
        path.push(rest);
    }
    path
}

/// The project's variables, and its policy as the library reads it. What the person has set comes first.
fn set_environment(command: &mut Command, project: &Project) -> Result<(), ManifestError> {
    let base = project.base_variables()?;
    let own = project.manifest.env.variables.iter();
    let pairs = base.iter().map(|(name, value)| (name, value)).chain(own);
    for (name, value) in pairs {
        if std::env::var_os(name.as_str()).is_none() {
            command.env(name.as_str(), value.as_str());
        }
    }
    if let Some(capabilities) = &project.manifest.capabilities
        && std::env::var_os("UKERNEL_ALLOW").is_none()
    {
        let items: Vec<&str> = capabilities
            .allow
            .iter()
            .map(|item| item.as_str())
            .collect();
        command.env(
            "UKERNEL_ALLOW",
            if items.is_empty() {
                "none".into()
            } else {
                items.join(" ")
            },
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::ui::Verbosity;

    fn project(manifest: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let head = "[project]\nname = \"demo\"\n";
        fs::write(
            folder.path().join("ukernel.toml"),
            format!("{head}{manifest}"),
        )
        .unwrap();
        let project = Project::open(folder.path()).unwrap();
        (folder, project)
    }

    /// An interpreter that says what a test wants.
    fn with_interpreter(folder: &Path, says: &str) {
        let bin = folder.join(".venv/bin");
        fs::create_dir_all(&bin).unwrap();
        let draft = bin.join("draft");
        fs::write(&draft, format!("#!/bin/sh\nprintf '%s\\n' {says}\n")).unwrap();
        // By another process: what this one has open for writing is open, for a moment, in those that other tests
        // start, and cannot be run.
        let mut install = Command::new("install");
        install
            .args(["-m", "755"])
            .arg(draft)
            .arg(bin.join("python"));
        assert!(install.status().unwrap().success());
    }

    fn command_for(project: &Project, arguments: &[&str]) -> Result<Command, AdapterError> {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        let sources = || -> Result<Sources, AdapterError> { panic!("the package is installed") };
        command(
            project,
            None,
            &arguments,
            sources,
            &Ui::new(Verbosity::Quiet),
        )
    }

    #[test]
    fn an_installed_package_gets_the_projects_settings() {
        let (folder, project) = project(
            "language = \"python\"\n[run]\nargs = [\"1\"]\n[capabilities]\nallow = [\"log\", \"time\"]\n\
             [env.variables]\nUKERNEL_TEST_GREETING = \"hi there\"\n",
        );
        with_interpreter(folder.path(), "'3 12' installed");
        let command = command_for(&project, &[]).unwrap();
        let arguments: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            arguments,
            [
                "-m",
                "ukernel",
                "--root",
                &folder.path().to_string_lossy(),
                "1"
            ]
        );
        let set: BTreeMap<_, _> = command.get_envs().collect();
        let value = |name: &str| set[std::ffi::OsStr::new(name)].unwrap().to_str().unwrap();
        assert_eq!(value("UKERNEL_TEST_GREETING"), "hi there");
        assert_eq!(value("UKERNEL_ALLOW"), "log time");
        let given = command_for(&project, &["2", "3"]).unwrap();
        assert!(given.get_args().skip(4).eq(["2", "3"]));
    }

    #[test]
    fn other_languages_and_old_interpreters_are_refused() {
        let (_folder, rust) = project("language = \"rust\"\n");
        let error = command_for(&rust, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "demo is in rust, and the adapter is for Python"
        );
        let (folder, python) = project("language = \"python\"\n");
        with_interpreter(folder.path(), "'3 10' installed");
        let error = command_for(&python, &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("is Python 3.10, and the adapter needs 3.11"),
            "{error}"
        );
    }
}
