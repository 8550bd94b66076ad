//! What `ukernel pack` makes, a pair of files or one: whether it is there, and of what the project is now. Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Failure;
use crate::image::{self, ImageError};
use crate::project::Project;

/// The most files that are looked at for their age. A project with more is run as it is.
const MAX_FILES: usize = 20_000;

/// The command that makes the pair.
const PACK: &str = "ukernel pack";
/// The command that makes the one file.
const PACK_WHOLE: &str = "ukernel pack --image";

/// What to boot.
pub(super) struct Packed {
    pub(super) kernel: PathBuf,
    /// The first disk; `None`: the kernel has its bundle inside.
    pub(super) image: Option<PathBuf>,
    /// The ELF with symbols.
    pub(super) symbols: PathBuf,
    /// The bundle's identity; `None`: the image is none.
    pub(super) digest: Option<String>,
}

impl Packed {
    /// What was packed last in the project: the pair, of which one file or both may be others, or the one file.
    pub(super) fn of(
        project: &Project,
        kernel: Option<PathBuf>,
        image: Option<PathBuf>,
    ) -> Result<Packed, Failure> {
        // Another image is of no use to a kernel that has one inside, and the other way round.
        match kernel.is_none() && image.is_none() && project.is_packed_whole() {
            true => Packed::whole(project),
            false => Packed::pair(project, kernel, image),
        }
    }

    fn whole(project: &Project) -> Result<Packed, Failure> {
        let kernel = project.packed_whole();
        check_age(project, &[&kernel], PACK_WHOLE)?;
        Ok(Packed {
            symbols: with_symbols(project, &kernel),
            digest: Some(digest(&kernel).map_err(damaged(PACK_WHOLE))?),
            image: None,
            kernel,
        })
    }

    fn pair(
        project: &Project,
        kernel: Option<PathBuf>,
        image: Option<PathBuf>,
    ) -> Result<Packed, Failure> {
        let (packed_kernel, packed_image) = (project.packed_kernel(), project.packed_image());
        let own = [(&kernel, &packed_kernel), (&image, &packed_image)];
        let own: Vec<&Path> = own
            .into_iter()
            .filter(|(other, _)| other.is_none())
            .map(|(_, own)| own.as_path())
            .collect();
        check_age(project, &own, PACK)?;

        let symbols = match &kernel {
            Some(other) => other.clone(),
            None => with_symbols(project, &packed_kernel),
        };
        let digest = match &image {
            None => Some(digest(&packed_image).map_err(damaged(PACK))?),
            // Whoever brings his own may bring something else.
            Some(other) => digest(other).ok(),
        };
        Ok(Packed {
            kernel: kernel.unwrap_or(packed_kernel),
            image: Some(image.unwrap_or(packed_image)),
            symbols,
            digest,
        })
    }
}

/// What is packed is what was built without its debug information.
fn with_symbols(project: &Project, packed: &Path) -> PathBuf {
    let built = project.kernel();
    match built.is_file() {
        true => built,
        false => packed.into(),
    }
}

/// The identity of a bundle, all of which is checked.
fn digest(file: &Path) -> Result<String, ImageError> {
    Ok(image::verify(file)?.digest.to_string())
}

/// What the project has packed is not whole; `pack` is the command that makes it.
fn damaged(pack: &str) -> impl FnOnce(ImageError) -> Failure {
    move |error| Failure::from(error).hint(format_args!("make it anew: {pack}"))
}

/// Refuses files that are not there, or older than something they are made of; `pack` is the command that makes them.
fn check_age(project: &Project, files: &[&Path], pack: &str) -> Result<(), Failure> {
    let mut oldest: Option<SystemTime> = None;
    for file in files {
        match modified(file) {
            Ok(time) => oldest = Some(oldest.map_or(time, |oldest| oldest.min(time))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = format!("there is no {} yet", project.relative(file).display());
                let commands = commands(project.kernel().is_file(), pack);
                return Err(Failure::new(what).hint(format_args!("make it: {commands}")));
            }
            Err(error) => {
                return Err(
                    Failure::from(error).context(format_args!("cannot read {}", file.display()))
                );
            }
        }
    }
    let Some(oldest) = oldest else {
        return Ok(());
    };
    let is_newer = |file: &PathBuf| modified(file).is_ok_and(|time| time > oldest);
    let Some(newer) = sources(project).into_iter().find(is_newer) else {
        return Ok(());
    };
    let commands = commands(newer == project.kernel(), pack);
    let newer = project.relative(&newer).display();
    let what = format!("{newer} is newer than what is in dist/");
    Err(Failure::new(what).hint(format_args!("make that anew: {commands}")))
}

/// What to type; what was built may be good as it is.
fn commands(is_built: bool, pack: &str) -> String {
    match is_built {
        true => pack.into(),
        false => format!("ukernel build && {pack}"),
    }
}

fn modified(file: &Path) -> io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}

/// The files that it is made of, those that a person changes first.
fn sources(project: &Project) -> Vec<PathBuf> {
    let root = project.root();
    let mut files: Vec<PathBuf> = ["ukernel.toml", "Cargo.toml", "Cargo.lock"]
        .map(|name| root.join(name))
        .into();
    files.extend(
        project
            .manifest
            .env
            .base
            .as_ref()
            .map(|base| root.join(base.as_path())),
    );
    add_below(&root.join("src"), &mut files);
    files.push(project.kernel());
    files
}

/// Adds the files below a folder. Links are not followed: they may lead in circles.
fn add_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(_) => {}
            }
            if files.len() >= MAX_FILES {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::Duration;

    struct Folder(tempfile::TempDir);

    impl Folder {
        /// A project whose files are as old as they should be.
        fn new() -> Folder {
            let folder = Folder(tempfile::tempdir().unwrap());
            folder.put(
                "ukernel.toml",
                "[project]\nname = \"demo\"\nlanguage = \"c\"\n",
                10,
            );
            folder.put("src/deep/main.c", "", 10);
            folder.put("build/vmlinux", "", 20);
            folder.put("dist/demo.vmlinux", "", 30);
            let image = folder.0.path().join("dist/demo.img");
            let draft = image::Draft::new(bundle::Index::new("demo"), Vec::new()).unwrap();
            draft.write(&image).unwrap();
            folder.age("dist/demo.img", 30);
            folder
        }

        fn put(&self, name: &str, text: &str, second: u64) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            self.age(name, second);
        }

        fn age(&self, name: &str, second: u64) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let file = File::options().write(true).open(self.0.path().join(name));
            file.unwrap().set_modified(time).unwrap();
        }

        /// Adds the one file, which has the bundle inside.
        fn put_whole(&self, second: u64) {
            let image = self.0.path().join("dist/demo.img");
            fs::copy(image, self.0.path().join("dist/demo.elf")).unwrap();
            self.age("dist/demo.elf", second);
        }

        fn packed(&self) -> Result<Packed, String> {
            self.packed_with(None, None)
        }

        fn packed_with(
            &self,
            kernel: Option<PathBuf>,
            image: Option<PathBuf>,
        ) -> Result<Packed, String> {
            let project = Project::open(self.0.path()).unwrap();
            Packed::of(&project, kernel, image).map_err(|failure| format!("{failure:?}"))
        }
    }

    #[test]
    fn a_pair_that_is_as_old_as_its_sources_or_younger_is_run() {
        let folder = Folder::new();
        let pair = folder.packed().unwrap();
        assert!(pair.kernel.ends_with("dist/demo.vmlinux"));
        assert!(pair.symbols.ends_with("build/vmlinux"));
        assert_eq!(pair.digest.map(|digest| digest.len()), Some(64));
        folder.age("src/deep/main.c", 30);
        assert!(folder.packed().is_ok(), "of the same instant");
        fs::remove_dir_all(folder.0.path().join("build")).unwrap();
        assert!(
            folder
                .packed()
                .unwrap()
                .symbols
                .ends_with("dist/demo.vmlinux")
        );
    }

    #[test]
    fn an_older_pair_is_refused_with_what_to_type() {
        for (newer, commands) in [
            ("src/deep/main.c", "ukernel build && ukernel pack"),
            ("ukernel.toml", "ukernel build && ukernel pack"),
            ("build/vmlinux", "anew: ukernel pack"),
        ] {
            let folder = Folder::new();
            folder.age(newer, 31);
            let error = folder.packed().err().unwrap();
            assert!(error.contains(&format!("{newer} is newer")), "{error}");
            assert!(error.contains(commands), "{error}");
        }
    }

    #[test]
    fn a_missing_pair_is_refused_with_what_to_type() {
        let folder = Folder::new();
        fs::remove_file(folder.0.path().join("dist/demo.img")).unwrap();
        let error = folder.packed().err().unwrap();
        assert!(error.contains("no dist/demo.img"), "{error}");
        assert!(error.contains("make it: ukernel pack"), "{error}");
        fs::remove_file(folder.0.path().join("build/vmlinux")).unwrap();
        let error = folder.packed().err().unwrap();
        assert!(error.contains("ukernel build && ukernel pack"), "{error}");
    }

    #[test]
    fn what_was_packed_last_is_run() {
        let folder = Folder::new();
        for (second, is_whole) in [(29, false), (30, false), (31, true)] {
            folder.put_whole(second);
            let packed = folder.packed().unwrap();
            assert_eq!(packed.kernel.ends_with("dist/demo.elf"), is_whole);
            assert_eq!(packed.image.is_none(), is_whole);
            assert!(packed.symbols.ends_with("build/vmlinux"));
            assert_eq!(packed.digest.map(|digest| digest.len()), Some(64));
        }
        for name in ["dist/demo.img", "dist/demo.vmlinux"] {
            fs::remove_file(folder.0.path().join(name)).unwrap();
        }
        folder.age("dist/demo.elf", 20);
        assert_eq!(folder.packed().unwrap().image, None, "as old as its kernel");
        // Whoever brings one half of a pair wants the other.
        let error = folder.packed_with(None, Some("x".into())).err().unwrap();
        assert!(error.contains("no dist/demo.vmlinux"), "{error}");
    }

    #[test]
    fn an_older_or_damaged_file_with_everything_is_refused_with_what_to_type() {
        let folder = Folder::new();
        folder.put_whole(31);
        folder.age("src/deep/main.c", 32);
        let error = folder.packed().err().unwrap();
        assert!(error.contains("src/deep/main.c is newer"), "{error}");
        assert!(
            error.contains("ukernel build && ukernel pack --image"),
            "{error}"
        );
        folder.put("dist/demo.elf", "no kernel", 33);
        let error = folder.packed().err().unwrap();
        assert!(error.contains("dist/demo.elf"), "{error}");
        assert!(
            error.contains("make it anew: ukernel pack --image"),
            "{error}"
        );
    }

    #[test]
    fn files_of_somebody_elses_have_no_age() {
        let folder = Folder::new();
        folder.age("src/deep/main.c", 99);
        let other = folder.0.path().join("ukernel.toml");
        let pair = folder
            .packed_with(Some(other.clone()), Some(other.clone()))
            .unwrap();
        assert_eq!(
            (pair.kernel, pair.symbols, pair.digest),
            (other.clone(), other, None)
        );
    }

    #[test]
    fn a_damaged_image_is_not_started() {
        let folder = Folder::new();
        folder.put("dist/demo.img", "no image", 30);
        assert!(folder.packed().err().unwrap().contains("dist/demo.img"));
    }
}
