//! The compilers that a build uses, and what they are: found by asking them, nothing is installed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What programs in a machine are compiled for.
pub const TARGET: &str = "x86_64-unknown-none";
/// The oldest Rust that compiles the kernel: the one that the workspace asks for.
pub const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Rust's compiler and what belongs to it.
#[derive(Debug, Clone)]
pub struct Rust {
    /// The version, such as `1.95.0 (59807616e 2026-04-14)`.
    pub version: String,
    /// Rust's own commit, all of it; empty where the compiler does not know it.
    pub commit: String,
    /// Where its libraries lie.
    pub sysroot: PathBuf,
    /// The linker that Rust brings along.
    pub linker: PathBuf,
}

/// Why there is no compiler.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// It cannot be run.
    #[error("cannot run {program}: {error}")]
    Missing {
        /// Which.
        program: String,
        /// What the system said.
        error: io::Error,
    },
    /// It runs, and fails.
    #[error("{program} fails: {words}")]
    Fails {
        /// Which.
        program: String,
        /// What it said.
        words: String,
    },
    /// It is too old.
    #[error("rustc is {found}, and the kernel needs {needed}")]
    TooOld {
        /// Its version.
        found: String,
        /// The least.
        needed: &'static str,
    },
    /// It cannot compile for the machine.
    #[error("Rust's target {TARGET} is not installed")]
    NoTarget,
}

impl ToolchainError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ToolchainError::NoTarget => Some(format!("rustup target add {TARGET}")),
            ToolchainError::TooOld { .. } => Some("rustup update".into()),
            ToolchainError::Missing { .. } => {
                Some("`ukernel doctor` says what is missing, and how to get it".into())
            }
            ToolchainError::Fails { .. } => None,
        }
    }
}

impl Rust {
    /// The toolchain that counts in `folder`, where a file `rust-toolchain.toml` may choose one.
    ///
    /// # Errors
    /// There is none, it is too old, or cannot compile for the machine.
    pub fn find(folder: &Path) -> Result<Rust, ToolchainError> {
        let ask = |arguments: &[&str]| {
            let mut command = Command::new(rustc());
            answer(command.args(arguments).current_dir(folder), "rustc")
        };
        let words = ask(&["-vV"])?;
        let value = |key: &str| {
            let line = words.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().to_string()
        };
        let version = words
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("rustc ")
            .to_string();
        if numbers(&version) < numbers(OLDEST_RUST) {
            return Err(ToolchainError::TooOld {
                found: version,
                needed: OLDEST_RUST,
            });
        }
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        if !has_target(&sysroot) {
            return Err(ToolchainError::NoTarget);
        }
        let host = value("host:");
        let commit = value("commit-hash:");
        Ok(Rust {
            linker: sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"),
            commit: if commit == "unknown" {
                String::new()
            } else {
                commit
            },
            version,
            sysroot,
        })
    }
}

/// Whether the Rust in `sysroot` can compile for the machine.
pub fn has_target(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    libraries.is_dir()
}

/// The program `cargo`: `$CARGO`, if it is set.
pub fn cargo() -> OsString {
    named("CARGO", "cargo")
}

/// Rust's compiler: `$RUSTC`, else `rustc`.
pub fn rustc() -> OsString {
    named("RUSTC", "rustc")
}

/// The C compiler: `$CC`, else `cc`.
pub fn cc() -> OsString {
    named("CC", "cc")
}

/// Python's interpreter, where a project has none of its own: `$UKERNEL_PYTHON`, else `python3`.
pub fn python() -> OsString {
    named("UKERNEL_PYTHON", "python3")
}

/// The program that a variable names; one that is empty names none.
fn named(variable: &str, otherwise: &str) -> OsString {
    let name = std::env::var_os(variable).filter(|name| !name.is_empty());
    name.unwrap_or(otherwise.into())
}

/// The first line that a program says of its version.
///
/// # Errors
/// It cannot be run, or fails.
pub fn version_of(program: &Path) -> Result<String, ToolchainError> {
    let name = program.display().to_string();
    let words = answer(Command::new(program).arg("--version"), &name)?;
    Ok(words.lines().next().unwrap_or_default().trim().to_string())
}

/// What a command says on its standard output.
///
/// # Errors
/// It cannot be run, or fails.
pub fn answer(command: &mut Command, name: &str) -> Result<String, ToolchainError> {
    let program = name.to_string();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().map_err(|error| ToolchainError::Missing {
        program: program.clone(),
        error,
    })?;
    if !status.success() {
        let words = String::from_utf8_lossy(&stderr).trim().to_string();
        return Err(ToolchainError::Fails { program, words });
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// The first two numbers with a dot between them in what a program says about its version.
pub fn numbers(says: &str) -> Option<(u32, u32)> {
    says.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .find_map(|word| {
            let mut numbers = word.split('.');
            Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.100.0 (x)") > numbers("1.95"));
        assert!(numbers("1.95.0-nightly (abc 2026-01-01)") >= numbers("1.95"));
        assert!(numbers("nonsense") < numbers("1.95"));
    }

    #[test]
    fn a_version_is_the_first_one_said() {
        assert_eq!(numbers("rustc 1.95.0 (abc 2026-04-14)"), Some((1, 95)));
        assert_eq!(numbers("Firecracker v1.17.0-dev"), Some((1, 17)));
        assert_eq!(
            numbers("QEMU emulator version 7.2.22 (Debian 1:7.2)"),
            Some((7, 2))
        );
        assert_eq!(numbers("cc (Debian 12.2.0-14) 12.2.0"), Some((12, 2)));
        assert_eq!(numbers("no. 5"), None);
    }

    #[test]
    fn this_repositorys_toolchain_can_build_and_brings_a_linker() {
        let rust = Rust::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(rust.linker.is_file(), "{}", rust.linker.display());
        assert_eq!(rust.commit.len(), 40);
    }

    #[test]
    fn a_program_that_is_not_there_or_fails_is_named() {
        let missing = version_of(Path::new("/nowhere/cc")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot run /nowhere/cc"));
        let fails =
            answer(Command::new("sh").args(["-c", "echo oh >&2; exit 3"]), "sh").unwrap_err();
        assert_eq!(fails.to_string(), "sh fails: oh");
    }
}
