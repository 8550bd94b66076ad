//! Linker arguments for a workload. The `main` of its build script is one line:
//!
//! ```no_run
//! ukernel_build::link();
//! ```
//!
//! Nothing else has to be set up: no linker flags in `.cargo/config.toml` and no copied script.

use std::path::PathBuf;

/// Prints the instructions that make Cargo link this package's binaries as bootable images.
///
/// Does nothing when the build is for an operating system (a host test of the workload's logic),
/// where the kernel's layout has no meaning.
pub fn link() {
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let hard_float = std::env::var_os("CARGO_CFG_UKERNEL_HARD_FLOAT").is_some();
    for line in instructions(target_os == "none" || hard_float) {
        println!("{line}");
    }
}

/// The lines for Cargo, given whether this is a build for the kernel.
fn instructions(guest: bool) -> Vec<String> {
    let script = linker_script();
    let mut lines = vec![format!("cargo:rerun-if-changed={}", script.display())];
    if guest {
        lines.extend([
            format!("cargo:rustc-link-arg-bins=-T{}", script.display()),
            // The target's default is a position-independent executable, which nobody relocates.
            "cargo:rustc-link-arg-bins=-no-pie".into(),
            // A second note section would hide the PVH note from Firecracker.
            "cargo:rustc-link-arg-bins=--build-id=none".into(),
            // Segments packed page by page: no padding to 2 MiB in the file.
            "cargo:rustc-link-arg-bins=-zmax-page-size=4096".into(),
        ]);
    }
    lines
}

/// The absolute path of the linker script, which lies in the kernel's folder beside this crate.
fn linker_script() -> PathBuf {
    let build_crate = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let kernel = build_crate.parent().expect("the crate lies in kernel/");
    kernel.join("link.ld")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_exists() {
        assert!(linker_script().is_absolute());
        assert!(linker_script().is_file());
    }

    #[test]
    fn a_guest_gets_the_layout_and_a_host_build_does_not() {
        let has_script = |guest| {
            instructions(guest)
                .iter()
                .any(|line| line.contains("link-arg-bins=-T"))
        };
        assert!(has_script(true));
        assert!(!has_script(false));
    }
}
