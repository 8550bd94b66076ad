//! The flags for programs in machines: the kernel's own, which lie in the carried sources, and those that make compilers
//! forget where things lie on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Build, BuildError};
use crate::toolchain::{Rust, TARGET};

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

impl Build<'_> {
    /// The flags for rustc, as `CARGO_ENCODED_RUSTFLAGS` has them: in place of whatever a person's own configuration says,
    /// which is no input that a lock knows.
    pub(super) fn rust_flags(&self, rust: &Rust, target: &Path) -> Result<String, BuildError> {
        let mut flags = self.kernel_flags()?;
        for (from, to) in self.forgotten(rust, target) {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
        Ok(flags.join(SEPARATOR))
    }

    /// The kernel's own flags.
    fn kernel_flags(&self) -> Result<Vec<String>, BuildError> {
        let config: Table = toml::from_str(&self.sources.read(".cargo/config.toml")?)
            .map_err(|error| BuildError::Project(format!("the carried configuration: {error}")))?;
        let flags = config
            .get("target")
            .and_then(|targets| targets.get(TARGET)?.get("rustflags"));
        let flags = flags.and_then(Value::as_array).into_iter().flatten();
        Ok(flags.filter_map(Value::as_str).map(String::from).collect())
    }

    /// Folders of this machine, and what stands in their place in what is built. Of several that fit, the last counts. Each
    /// by the name that Cargo uses, and without links, as the compiler finds the folder that it works in.
    fn forgotten(&self, rust: &Rust, target: &Path) -> Vec<(PathBuf, String)> {
        let named = self.forgotten_by_name(rust, target);
        let real = named.iter().filter_map(|(folder, instead)| {
            let real = fs::canonicalize(folder).ok()?;
            (real != *folder).then(|| (real, instead.clone()))
        });
        // The longer a path, the more it says: a folder within another counts, not the other.
        let mut pairs: Vec<_> = real.chain(named.iter().cloned()).collect();
        pairs.sort_by_key(|(folder, _)| folder.components().count());
        pairs
    }

    fn forgotten_by_name(&self, rust: &Rust, target: &Path) -> Vec<(PathBuf, String)> {
        let mut pairs = vec![
            (self.root().to_path_buf(), String::new()),
            (self.sources.folder().to_path_buf(), String::new()),
            (target.to_path_buf(), "target".into()),
        ];
        let home = cargo_home();
        let registries = fs::read_dir(home.join("registry/src"))
            .into_iter()
            .flatten()
            .flatten();
        let mut registries: Vec<_> = registries.map(|entry| entry.path()).collect();
        registries.sort();
        registries.push(home.join("git/checkouts"));
        pairs.extend(registries.into_iter().map(|folder| (folder, String::new())));
        let library = rust.sysroot.join("lib/rustlib/src/rust");
        pairs.push((library, format!("/rustc/{}", rust.commit)));
        pairs
    }
}

/// Cargo's folder.
fn cargo_home() -> PathBuf {
    let set = env::var_os("CARGO_HOME").filter(|home| !home.is_empty());
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo");
    let folder = set.map_or_else(home, PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}
