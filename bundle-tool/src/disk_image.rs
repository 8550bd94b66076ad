//! Makes a disk image out of files: a tar archive that ordinary tools read, the same bytes for the same
//! files whoever makes it and whenever. Called by `ukernel disk-image` and by tests.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::whole_file::{self, FOR_ALL};

/// How deep folders may be nested: a loop of links is an error instead of an endless walk.
const MAX_DEPTH: usize = 64;

/// Writes `paths` (files, or folders with all below them) to `image`. Names in the archive are relative
/// to `root`, entries are in the order of their names, and owner, time and mode are fixed. The size is a
/// multiple of 512 bytes, as a tar's always is: whole sectors.
///
/// # Errors
/// A file cannot be read or the image not written. The image is then not there, or still the old one.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("hello"), "world")?;
/// let image = folder.path().join("disk.img");
/// bundle_tool::disk_image::write(&image, folder.path(), &["hello".into()])?;
/// assert_eq!(std::fs::metadata(&image)?.len() % 512, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(image: &Path, root: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let mut files = Vec::new();
    for path in paths {
        collect(root, path, 0, &mut files)?;
    }
    files.sort();
    files.dedup();
    whole_file::write(image, FOR_ALL, |output| {
        let mut archive = Builder::new(output);
        for file in &files {
            append(&mut archive, root, file).map_err(|error| named(file, &error))?;
        }
        archive.into_inner().map(drop)
    })
}

fn collect(root: &Path, path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(named(
            path,
            &io::Error::other("folders are nested too deep"),
        ));
    }
    let full = root.join(path);
    if !fs::metadata(&full)
        .map_err(|error| named(path, &error))?
        .is_dir()
    {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(&full)? {
        collect(root, &path.join(entry?.file_name()), depth + 1, files)?;
    }
    Ok(())
}

fn append(archive: &mut Builder<impl Write>, root: &Path, file: &Path) -> io::Result<()> {
    let content = File::open(root.join(file))?;
    let size = content.metadata()?.len();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    // More or less than the header says would shift all that follows.
    let mut rest = (&content).take(size);
    archive.append_data(&mut header, file, &mut rest)?;
    if rest.limit() > 0 || (&content).read(&mut [0])? > 0 {
        return Err(io::Error::other(
            "it has another size than it says, or changed while it was read",
        ));
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("content of {name}\n")).unwrap();
        }
        folder
    }

    fn image_of(folder: &Path, paths: &[&str]) -> Vec<u8> {
        let output = tempfile::tempdir().unwrap();
        let image = output.path().join("image");
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        write(&image, folder, &paths).unwrap();
        fs::read(image).unwrap()
    }

    #[test]
    fn the_same_files_make_the_same_image() {
        let names = ["b/two", "a", "b/one"];
        let (first, second) = (tree(&names), tree(&["b/one", "b/two", "a"]));
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(second.path().join("a"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let image = image_of(first.path(), &["a", "b"]);
        assert_eq!(image, image_of(second.path(), &["b", "a", "b/one"]));
        assert_eq!(image.len() % 512, 0);
    }

    #[test]
    fn tar_reads_it() {
        let folder = tree(&["a", "b/one"]);
        let image = folder.path().join("image");
        write(&image, folder.path(), &["b".into(), "a".into()]).unwrap();
        let listing = Command::new("tar").arg("-tf").arg(&image).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&listing.stdout), "a\nb/one\n");
    }

    #[test]
    fn a_missing_file_is_named_and_leaves_no_image() {
        let folder = tree(&["a"]);
        let image = folder.path().join("image");
        let error = write(&image, folder.path(), &["a".into(), "absent".into()]).unwrap_err();
        assert!(error.to_string().starts_with("absent:"), "{error}");
        assert!(!image.exists());
    }

    /// As a file that is written to meanwhile; one of the kernel's says that it has no bytes.
    #[test]
    fn a_file_of_another_size_than_it_says_leaves_no_image() {
        let folder = tree(&["a", "c"]);
        std::os::unix::fs::symlink("/proc/version", folder.path().join("b")).unwrap();
        let image = folder.path().join("image");
        let paths = ["a", "b", "c"].map(PathBuf::from);
        let error = write(&image, folder.path(), &paths).unwrap_err();
        assert!(
            error.to_string().starts_with("b: it has another size"),
            "{error}"
        );
        assert!(!image.exists());
    }
}
