//! The pair of files that `ukernel pack` makes: whether it is there, and of what the project is now. Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Failure;
use crate::image;
use crate::project::Project;

/// The most files that are looked at for their age. A project with more is run as it is.
const MAX_FILES: usize = 20_000;

/// What to boot.
pub(super) struct Pair {
    pub(super) kernel: PathBuf,
    pub(super) image: PathBuf,
    /// The ELF with symbols.
    pub(super) symbols: PathBuf,
    /// The bundle's identity; `None`: the image is none.
    pub(super) digest: Option<String>,
}

impl Pair {
    /// The project's pair, of which one file or both may be others.
    pub(super) fn of(
        project: &Project,
        kernel: Option<PathBuf>,
        image: Option<PathBuf>,
    ) -> Result<Pair, Failure> {
        let (packed_kernel, packed_image) = (project.packed_kernel(), project.packed_image());
        let own = [(&kernel, &packed_kernel), (&image, &packed_image)];
        let own: Vec<&Path> = own
            .into_iter()
            .filter(|(other, _)| other.is_none())
            .map(|(_, own)| own.as_path())
            .collect();
        check_age(project, &own)?;

        let built = project.kernel();
        let symbols = match &kernel {
            Some(other) => other.clone(),
            // What is packed is the same without its debug information.
            None if built.is_file() => built,
            None => packed_kernel.clone(),
        };
        let digest = match &image {
            None => Some(digest(&packed_image)?),
            // Whoever brings his own may bring something else.
            Some(other) => digest(other).ok(),
        };
        Ok(Pair {
            kernel: kernel.unwrap_or(packed_kernel),
            image: image.unwrap_or(packed_image),
            symbols,
            digest,
        })
    }
}

fn digest(image: &Path) -> Result<String, Failure> {
    let verified = image::verify(image)
        .map_err(|error| Failure::from(error).hint("make it anew: ukernel pack"))?;
    Ok(verified.digest.to_string())
}

/// Refuses a pair that is not there, or older than something it is made of.
fn check_age(project: &Project, pair: &[&Path]) -> Result<(), Failure> {
    let mut oldest: Option<SystemTime> = None;
    for file in pair {
        match modified(file) {
            Ok(time) => oldest = Some(oldest.map_or(time, |oldest| oldest.min(time))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = format!("there is no {} yet", project.relative(file).display());
                return Err(Failure::new(what).hint(how_to_make_it(project)));
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
    let commands = match newer == project.kernel() {
        true => "ukernel pack",
        false => "ukernel build && ukernel pack",
    };
    let newer = project.relative(&newer).display();
    let what = format!("{newer} is newer than what is in dist/");
    Err(Failure::new(what).hint(format_args!("make that anew: {commands}")))
}

fn how_to_make_it(project: &Project) -> String {
    let whole = project.packed_whole();
    if whole.is_file() {
        let whole = project.relative(&whole).display();
        return format!("boot the one file: ukernel run --kernel {whole}");
    }
    let commands = match project.kernel().is_file() {
        true => "ukernel pack",
        false => "ukernel build && ukernel pack",
    };
    format!("make it: {commands}")
}

fn modified(file: &Path) -> io::Result<SystemTime> {
    fs::metadata(file)?.modified()
}

/// The files that a pair is made of, those that a person changes first.
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

        fn pair(&self) -> Result<Pair, String> {
            self.pair_with(None, None)
        }

        fn pair_with(
            &self,
            kernel: Option<PathBuf>,
            image: Option<PathBuf>,
        ) -> Result<Pair, String> {
            let project = Project::open(self.0.path()).unwrap();
            Pair::of(&project, kernel, image).map_err(|failure| format!("{failure:?}"))
        }
    }

    #[test]
    fn a_pair_that_is_as_old_as_its_sources_or_younger_is_run() {
        let folder = Folder::new();
        let pair = folder.pair().unwrap();
        assert!(pair.kernel.ends_with("dist/demo.vmlinux"));
        assert!(pair.symbols.ends_with("build/vmlinux"));
        assert_eq!(pair.digest.map(|digest| digest.len()), Some(64));
        folder.age("src/deep/main.c", 30);
        assert!(folder.pair().is_ok(), "of the same instant");
        fs::remove_dir_all(folder.0.path().join("build")).unwrap();
        assert!(
            folder
                .pair()
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
            let error = folder.pair().err().unwrap();
            assert!(error.contains(&format!("{newer} is newer")), "{error}");
            assert!(error.contains(commands), "{error}");
        }
    }

    #[test]
    fn a_missing_pair_is_refused_with_what_to_type() {
        let folder = Folder::new();
        fs::remove_file(folder.0.path().join("dist/demo.img")).unwrap();
        let error = folder.pair().err().unwrap();
        assert!(error.contains("no dist/demo.img"), "{error}");
        assert!(error.contains("make it: ukernel pack"), "{error}");
        folder.put("dist/demo.elf", "", 30);
        let error = folder.pair().err().unwrap();
        assert!(
            error.contains("ukernel run --kernel dist/demo.elf"),
            "{error}"
        );
        fs::remove_file(folder.0.path().join("dist/demo.elf")).unwrap();
        fs::remove_file(folder.0.path().join("build/vmlinux")).unwrap();
        let error = folder.pair().err().unwrap();
        assert!(error.contains("ukernel build && ukernel pack"), "{error}");
    }

    #[test]
    fn files_of_somebody_elses_have_no_age() {
        let folder = Folder::new();
        folder.age("src/deep/main.c", 99);
        let other = folder.0.path().join("ukernel.toml");
        let pair = folder
            .pair_with(Some(other.clone()), Some(other.clone()))
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
        assert!(folder.pair().err().unwrap().contains("dist/demo.img"));
    }
}
