//! What a build was made of: the files that compilers say they have read, and the packages of a `Cargo.lock`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use super::BuildError;
use crate::lock::digest;

/// The digest of a file.
pub(super) fn digest_of(path: &Path) -> Result<String, BuildError> {
    let bytes = fs::read(path).map_err(|error| BuildError::io(path, error))?;
    Ok(digest(&bytes))
}

/// The digests that files have now; those that are gone are left out.
pub(super) fn digests_again(
    root: &Path,
    files: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let now = files
        .keys()
        .map(|name| (name.clone(), digest_of(&root.join(name))));
    now.filter_map(|(name, digest)| Some((name, digest.ok()?)))
        .collect()
}

/// Names and digests of files, without those in the folders `but`.
pub(super) fn digests(
    root: &Path,
    files: &[PathBuf],
    but: &[&Path],
) -> Result<BTreeMap<String, String>, BuildError> {
    let mut found = BTreeMap::new();
    for file in files {
        let path = plain(&root.join(file));
        if !but.iter().any(|folder| path.starts_with(folder)) {
            found.insert(name_in(root, &path), digest_of(&path)?);
        }
    }
    Ok(found)
}

/// What a file is called in a lock: its path from the project's folder, with `..` where it lies outside.
pub(super) fn name_in(root: &Path, path: &Path) -> String {
    let (root, path) = (plain(root), plain(path));
    let above = root
        .ancestors()
        .position(|folder| path.starts_with(folder))
        .unwrap_or(0);
    let common = root.ancestors().nth(above).unwrap_or(Path::new("/"));
    let rest = path.strip_prefix(common).unwrap_or(&path);
    "../".repeat(above) + &rest.to_string_lossy()
}

/// A path without `.` and `..`, as it is written: links are not followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The files behind the first target of a list of dependencies as compilers write it, in the form of `make`'s rules.
pub(super) fn dependencies(text: &str) -> Vec<PathBuf> {
    let joined = text.replace("\\\n", " ");
    let rule = joined
        .lines()
        .find_map(|line| line.split_once(": "))
        .map_or("", |(_, files)| files);
    let mut files = Vec::new();
    let mut file = String::new();
    let mut letters = rule.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if matches!(letters.peek(), Some(' ' | '#' | '\\')) => file.extend(letters.next()),
            '$' if letters.peek() == Some(&'$') => file.extend(letters.next()),
            ' ' => files.push(std::mem::take(&mut file)),
            other => file.push(other),
        }
    }
    files.push(file);
    files
        .into_iter()
        .filter(|file| !file.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// The packages of others in a `Cargo.lock`: name and version, and what tells that they are the same.
pub(super) fn packages(path: &Path) -> Result<BTreeMap<String, String>, BuildError> {
    let text = fs::read_to_string(path).map_err(|error| BuildError::io(path, error))?;
    let lock: Table = toml::from_str(&text)
        .map_err(|error| BuildError::Project(format!("{}: {error}", path.display())))?;
    let packages = lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let package = |package: &Value| {
        let text = |key| package.get(key).and_then(Value::as_str);
        // What lies in a folder of this machine has no source; its files are inputs themselves.
        let source = text("source")?;
        let digest = match text("checksum") {
            Some(checksum) => format!("sha256:{checksum}"),
            None => source.to_string(),
        };
        Some((format!("{} {}", text("name")?, text("version")?), digest))
    };
    Ok(packages.filter_map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_dependencies_are_read_as_make_reads_them() {
        let files =
            dependencies("/t/demo: /p/src/main.rs /p/a\\ b.rs \\\n /p/c$$d.h\n\n/p/src/main.rs:\n");
        assert_eq!(
            files,
            ["/p/src/main.rs", "/p/a b.rs", "/p/c$d.h"].map(PathBuf::from)
        );
        assert!(dependencies("").is_empty() && dependencies("/t/demo:\n").is_empty());
    }

    #[test]
    fn files_are_named_from_the_projects_folder() {
        let name = |path: &str| name_in(Path::new("/home/me/demo"), Path::new(path));
        assert_eq!(name("/home/me/demo/src/main.rs"), "src/main.rs");
        assert_eq!(name("/home/me/demo/./src/../x"), "x");
        assert_eq!(name("/home/me/shared/src/lib.rs"), "../shared/src/lib.rs");
        assert_eq!(name("/usr/include/x.h"), "../../../usr/include/x.h");
    }

    #[test]
    fn packages_are_those_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Cargo.lock");
        let text = "version = 4\n[[package]]\nname = \"log\"\nversion = \"0.4.1\"\nsource = \"registry+x\"\nchecksum = \"ab\"\n\
            [[package]]\nname = \"own\"\nversion = \"1.0.0\"\n\
            [[package]]\nname = \"git\"\nversion = \"2.0.0\"\nsource = \"git+https://example.org/git#123\"\n";
        fs::write(&path, text).unwrap();
        let packages: Vec<_> = packages(&path).unwrap().into_iter().collect();
        let expected = [
            ("git 2.0.0", "git+https://example.org/git#123"),
            ("log 0.4.1", "sha256:ab"),
        ];
        assert_eq!(
            packages,
            expected.map(|(name, digest)| (name.to_string(), digest.to_string()))
        );
    }
}
