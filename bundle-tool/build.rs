//! Packs what the installed tool carries along: the sources that a project's program is compiled with, as a workspace of
//! their own, and the templates of projects. The same bytes for the same files, in whatever folder.

#[path = "build/archive.rs"]
mod archive;
#[path = "build/workspace.rs"]
mod workspace;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use archive::Archive;

/// What is carried as it is: folders, and single files.
const CARRIED: &[&str] = &[
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "adapter",
    "clippy.toml",
    "drivers",
    "kernel",
    "netstack",
    "reactor",
    "rust-toolchain.toml",
];
/// What is left out of these folders: what no program is compiled with.
const LEFT_OUT: &[&str] = &[
    "benches",
    "tests",
    "adapter/python/README.md",
    "adapter/python/native",
    "adapter/python/pyproject.toml",
    "adapter/python/python.sh",
    "adapter/python/requirements.in",
    "adapter/python/requirements.txt",
    "adapter/python/venv.sh",
    "adapter/python/wheel.sh",
    "kernel/build/c-all.sh",
    "kernel/build/c.sh",
    "kernel/build/guests.sh",
    "kernel/examples",
];

fn main() -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = package
        .parent()
        .ok_or("the package lies in the repository")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=build.rs");

    let mut sources = Archive::new();
    for path in CARRIED {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
        sources.add(root, path, LEFT_OUT)?;
    }
    let read = |path: &str| {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
        fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = workspace::reduce(&read("Cargo.toml")?, root, &sources)?;
    sources.put("Cargo.toml", manifest.into_bytes());
    // Whose versions new projects and the carried workspace itself begin with; Cargo takes out what they do not need.
    sources.put("seed.lock", read("Cargo.lock")?.into_bytes());
    sources.put(
        ".cargo/config.toml",
        read(".cargo/config.toml")?.into_bytes(),
    );
    sources.put(
        "guest.toml",
        workspace::profiles(&read("Cargo.toml")?)?.into_bytes(),
    );
    let digest = sources.write(&out.join("sources.tgz"))?;
    println!("cargo:rustc-env=UKERNEL_SOURCES_DIGEST={digest}");

    let mut templates = Archive::new();
    println!("cargo:rerun-if-changed=templates");
    templates.add(&package, "templates", &[])?;
    templates.write(&out.join("templates.tgz"))?;
    Ok(())
}
