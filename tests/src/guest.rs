//! Finds the programs that `./just build` made.

use std::path::PathBuf;

/// The repository's folder.
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests' folder is in the repository")
        .to_path_buf()
}

fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| repository().join("target"))
}

/// The ELF of the guest program `name`.
///
/// # Panics
/// It has not been built.
pub fn guest(name: &str) -> PathBuf {
    built("x86_64-unknown-none", name)
}

fn built(triple: &str, name: &str) -> PathBuf {
    let elf = target().join(triple).join("guest").join(name);
    assert!(
        elf.exists(),
        "{} is not there; build the guests first: ./just build",
        elf.display()
    );
    elf
}

/// The ELF of the program in C `name`.
///
/// # Panics
/// It has not been built.
pub fn c_guest(name: &str) -> PathBuf {
    let elf = repository().join("build/c").join(name);
    assert!(
        elf.exists(),
        "{} is not there; build the guests first: ./just build",
        elf.display()
    );
    elf
}

/// The ELF of the guest program `name`, built with the hard-float profile.
///
/// # Panics
/// It has not been built.
pub fn hard_float_guest(name: &str) -> PathBuf {
    built("x86_64-unknown-linux-musl", name)
}

/// The command `ukernel`.
///
/// # Panics
/// It has not been built.
pub fn tool() -> PathBuf {
    let tool = target().join("debug/ukernel");
    assert!(
        tool.exists(),
        "{} is not there; build it first: ./just build",
        tool.display()
    );
    tool
}

/// A program of the host, built with `--release`.
///
/// # Panics
/// It has not been built.
pub fn host_program(name: &str) -> PathBuf {
    let program = target().join("release").join(name);
    assert!(
        program.exists(),
        "{} is not there; build it first: cargo build --release -p {name}",
        program.display()
    );
    program
}
