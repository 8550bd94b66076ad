//! Files under their names, as a compressed tar that is the same for the same files.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// Folders that are never carried, wherever they lie; hidden ones neither.
const NEVER: &[&str] = &["target", "__pycache__"];
/// What carried files are called; a file of another kind is nothing that a program is compiled with.
const KINDS: &[&str] = &[
    "c", "h", "html", "in", "ld", "md", "py", "rs", "s", "toml", "typed", "env",
];

/// Files by their names, with `/` between folders.
pub(crate) struct Archive(BTreeMap<String, Vec<u8>>);

impl Archive {
    pub(crate) fn new() -> Archive {
        Archive(BTreeMap::new())
    }

    /// Adds a file, or a folder with all below it that is carried. `path` is relative to `root`. What is `left_out` is a
    /// path, or the name of a folder wherever it lies.
    pub(crate) fn add(
        &mut self,
        root: &Path,
        path: &str,
        left_out: &[&str],
    ) -> Result<(), Box<dyn Error>> {
        let full = root.join(path);
        if !full.is_dir() {
            let content = fs::read(&full).map_err(|error| format!("{path}: {error}"))?;
            self.put(path, content);
            return Ok(());
        }
        for entry in fs::read_dir(&full)? {
            let entry = entry?;
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| format!("{path}: {name:?}"))?;
            let inner = format!("{path}/{name}");
            let is_folder = entry.file_type()?.is_dir();
            let is_left_out = left_out.contains(&inner.as_str())
                || is_folder && left_out.contains(&name.as_str());
            if !is_left_out && is_carried(&name, is_folder) {
                self.add(root, &inner, left_out)?;
            }
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, path: &str, content: Vec<u8>) {
        self.0.insert(path.into(), content);
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Writes the archive to `path`. Returns its digest: SHA-256 of the tar, in hexadecimal digits.
    pub(crate) fn write(&self, path: &Path) -> Result<String, Box<dyn Error>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            tar.append_data(&mut header, name, content.as_slice())?;
        }
        let bytes = tar.into_inner()?;
        let mut compressed = GzBuilder::new().write(fs::File::create(path)?, Compression::best());
        std::io::Write::write_all(&mut compressed, &bytes)?;
        compressed.finish()?;
        let mut digest = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(digest, "{byte:02x}")?;
        }
        Ok(digest)
    }
}

fn is_carried(name: &str, is_folder: bool) -> bool {
    if is_folder {
        return !name.starts_with('.') && !NEVER.contains(&name);
    }
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    name == "dot-gitignore" || KINDS.contains(&kind)
}
