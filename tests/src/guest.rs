//! Finds the guest programs that `./just build` made.

use std::path::PathBuf;

/// The repository's folder.
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests' folder is in the repository")
        .to_path_buf()
}

/// The ELF of the guest program `name`.
///
/// # Panics
/// It has not been built.
pub fn guest(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| repository().join("target"));
    let elf = target.join("x86_64-unknown-none/guest").join(name);
    assert!(
        elf.exists(),
        "{} is not there; build the guests first: ./just build",
        elf.display()
    );
    elf
}
