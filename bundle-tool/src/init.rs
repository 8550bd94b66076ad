//! Makes a new project: all of it or nothing. Called by `ukernel init`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{FILE, Language};
use crate::partial;
use crate::sources::{SEED, Sources, SourcesError};
use crate::whole_file::{self, FOR_ALL};

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Files are in the way.
    #[error("{} already has {}", folder.display(), names.join(", "))]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// Which, some of them.
        names: Vec<String>,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The kernel's sources cannot be unpacked.
    #[error(transparent)]
    Sources(#[from] SourcesError),
}

/// Most names in a message.
const MAX_NAMES: usize = 5;

/// Writes a project's `files` into `folder`. A folder that is not there appears with everything in it. In one that is
/// there, the manifest comes last: until then it is no project, and whoever was interrupted can begin again, since a
/// file that is there already as it should be is in nobody's way.
///
/// For Rust, the sources that the package depends on are linked, so that Cargo can be used at once.
///
/// # Errors
/// Another file is in the way (nothing was written then), or something cannot be written.
///
/// ```
/// use bundle_tool::{init, manifest::Language, template};
/// let parent = tempfile::tempdir()?;
/// let folder = parent.path().join("demo");
/// let files = template::fill(Language::C, template::Template::Echo, &"demo".parse()?)?;
/// init::create(&folder, &files, Language::C, None)?;
/// assert!(folder.join("src/main.c").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create(
    folder: &Path,
    files: &BTreeMap<String, String>,
    language: Language,
    sources: Option<&Sources>,
) -> Result<(), InitError> {
    let mut files = files.clone();
    if let Some(sources) = sources.filter(|_| language == Language::Rust) {
        files.insert("Cargo.lock".into(), sources.read(SEED)?);
    }
    if folder.exists() {
        check(folder, &files)?;
        return fill(folder, &files, sources);
    }
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| io_error(parent, error))?;
    let partial =
        partial::folder(parent, "ukernel-init").map_err(|error| io_error(parent, error))?;
    fill(partial.path(), &files, sources)?;
    partial
        .persist(folder)
        .map_err(|error| io_error(folder, error))
}

/// Whether something is in the way.
fn check(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), InitError> {
    let differs = |(name, text): &(&String, &String)| {
        let path = folder.join(name);
        path.symlink_metadata().is_ok() && fs::read(&path).ok().as_deref() != Some(text.as_bytes())
    };
    let in_the_way = files.iter().filter(differs);
    let names: Vec<String> = in_the_way
        .map(|(name, _)| name.clone())
        .take(MAX_NAMES)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(InitError::Exists {
        folder: folder.into(),
        names,
    })
}

fn fill(
    folder: &Path,
    files: &BTreeMap<String, String>,
    sources: Option<&Sources>,
) -> Result<(), InitError> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        whole_file::put(&path, FOR_ALL, text.as_bytes()).map_err(|error| io_error(&path, error))
    };
    for (name, text) in files.iter().filter(|(name, _)| *name != FILE) {
        write(name, text)?;
    }
    if let Some(sources) = sources {
        sources.link(&folder.join(".ukernel/kernel"))?;
    }
    files.get(FILE).map_or(Ok(()), |text| write(FILE, text))
}

fn io_error(path: &Path, error: io::Error) -> InitError {
    InitError::Io {
        path: path.into(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeMap<String, String> {
        let files = [
            ("ukernel.toml", "the manifest"),
            ("src/main.c", "the program"),
        ];
        files
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .into()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_folder_appears_whole_and_nothing_else_does() {
        let parent = tempfile::tempdir().unwrap();
        create(&parent.path().join("demo"), &files(), Language::C, None).unwrap();
        assert_eq!(names(parent.path()), ["demo"]);
        assert_eq!(names(&parent.path().join("demo")), ["src", "ukernel.toml"]);
        let mode = fs::metadata(parent.path().join("demo"))
            .unwrap()
            .permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode) & 0o700,
            0o700
        );
    }

    #[test]
    fn what_is_there_already_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/main.c"), "mine").unwrap();
        let error = create(folder.path(), &files(), Language::C, None).unwrap_err();
        assert!(
            error.to_string().ends_with("already has src/main.c"),
            "{error}"
        );
        assert_eq!(names(folder.path()), ["src"]);
        assert_eq!(
            fs::read_to_string(folder.path().join("src/main.c")).unwrap(),
            "mine"
        );
    }

    #[test]
    fn who_was_interrupted_can_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/main.c"), "the program").unwrap();
        create(folder.path(), &files(), Language::C, None).unwrap();
        create(folder.path(), &files(), Language::C, None).unwrap();
        assert_eq!(names(folder.path()), ["src", "ukernel.toml"]);
    }

    #[test]
    fn what_fails_in_the_middle_leaves_no_project() {
        let folder = tempfile::tempdir().unwrap();
        // A file where a folder has to be: writing fails at it, behind the manifest by name.
        fs::write(folder.path().join("zone"), "").unwrap();
        let mut files = files();
        files.insert("zone/file".into(), "text".into());
        assert!(create(folder.path(), &files, Language::C, None).is_err());
        assert_eq!(names(folder.path()), ["src", "zone"]);
    }

    #[test]
    fn a_package_in_rust_begins_with_the_kernels_versions_and_sources() {
        let parent = tempfile::tempdir().unwrap();
        let sources = Sources::unpack(&parent.path().join("cache")).unwrap();
        let folder = parent.path().join("demo");
        create(&folder, &files(), Language::Rust, Some(&sources)).unwrap();
        assert!(folder.join(".ukernel/kernel/kernel/Cargo.toml").is_file());
        assert!(
            fs::read_to_string(folder.join("Cargo.lock"))
                .unwrap()
                .contains("\"picoserve\"")
        );
    }
}
