//! A project: the folder with a `ukernel.toml`, and where things lie in it. Found by every command that works on one, from
//! the folder it is called in upwards. Writes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bundle::MAX_VARIABLES;

use crate::manifest::{EnvName, EnvValue, FILE, Manifest, ManifestError, env_file, env_option};

/// A project's folder and settings.
///
/// ```
/// use bundle_tool::project::Project;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::create_dir(folder.path().join("src"))?;
/// std::fs::write(folder.path().join("ukernel.toml"), "[project]\nname = \"demo\"\nlanguage = \"c\"")?;
/// let project = Project::find(&folder.path().join("src"))?;
/// assert_eq!(project.kernel(), project.root().join("build/vmlinux"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    /// Its settings.
    pub manifest: Manifest,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// No folder from there upwards has a manifest.
    #[error("there is no {FILE} in {} or a folder above it", .0.display())]
    NotFound(PathBuf),
    /// There is one, with a mistake.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The folder itself cannot be looked at.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl ProjectError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProjectError::NotFound(_) => Some("`ukernel init` makes a project".into()),
            _ => None,
        }
    }
}

impl Project {
    /// The project that `folder` lies in: the nearest folder with a manifest, going upwards.
    ///
    /// # Errors
    /// There is none, or its manifest has a mistake.
    pub fn find(folder: &Path) -> Result<Project, ProjectError> {
        let absolute = std::path::absolute(folder).map_err(|error| ProjectError::Folder {
            path: folder.into(),
            error,
        })?;
        let root = Project::root_of(&absolute);
        Project::open(&root.ok_or(ProjectError::NotFound(absolute))?)
    }

    /// The folder of the project that `folder` lies in, whatever stands in its manifest; `None`: it lies in none.
    pub fn root_of(folder: &Path) -> Option<PathBuf> {
        let absolute = std::path::absolute(folder).ok()?;
        let mut folders = absolute.ancestors();
        let root = folders.find(|folder| folder.join(FILE).is_file());
        root.map(Path::to_path_buf)
    }

    /// The project of the folder that this process is in.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn current() -> Result<Project, ProjectError> {
        Project::find(Path::new("."))
    }

    /// The project whose folder is `root`.
    ///
    /// # Errors
    /// It has no manifest, or one with a mistake.
    pub fn open(root: &Path) -> Result<Project, ProjectError> {
        let manifest = Manifest::read(&root.join(FILE))?;
        Ok(Project {
            root: root.into(),
            manifest,
        })
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path as a person in the project's folder would write it.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        self.manifest.project.name.as_str()
    }

    /// `build/`: what `ukernel build` makes.
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// `build/vmlinux`: the program with the kernel.
    pub fn kernel(&self) -> PathBuf {
        self.root.join("build/vmlinux")
    }

    /// `build/bundle.tgz`: the bundle.
    pub fn bundle(&self) -> PathBuf {
        self.root.join("build/bundle.tgz")
    }

    /// `dist/`: what `ukernel pack` makes.
    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// `dist/NAME.vmlinux`: the kernel of a pair, without symbols. It is there only if the image beside it is its own.
    pub fn packed_kernel(&self) -> PathBuf {
        self.packed("vmlinux")
    }

    /// `dist/NAME.img`: the image of a pair.
    pub fn packed_image(&self) -> PathBuf {
        self.packed("img")
    }

    /// `dist/NAME.elf`: the kernel with the bundle inside.
    pub fn packed_whole(&self) -> PathBuf {
        self.packed("elf")
    }

    /// Whether what was packed last is that one file, and not the pair: it is there, and the pair's image is not or is
    /// older.
    pub fn is_packed_whole(&self) -> bool {
        let written = |path: PathBuf| fs::metadata(path)?.modified();
        match (written(self.packed_whole()), written(self.packed_image())) {
            (Ok(whole), Ok(image)) => whole > image,
            (whole, _) => whole.is_ok(),
        }
    }

    fn packed(&self, ending: &str) -> PathBuf {
        self.dist().join(format!("{}.{ending}", self.name()))
    }

    /// `.ukernel/`: what the tool keeps to itself.
    pub fn state(&self) -> PathBuf {
        self.root.join(".ukernel")
    }

    /// `ukernel.lock`: the digests of what the project is built of.
    pub fn lock(&self) -> PathBuf {
        self.root.join("ukernel.lock")
    }

    /// The words for the kernel's command line that the project stands for: those of `[env] base`, then the manifest's
    /// own, as the last word about a variable counts.
    ///
    /// # Errors
    /// The file of variables cannot be read, has a mistake, or there are too many variables in all.
    pub fn options(&self) -> Result<Vec<String>, ManifestError> {
        let base = self.base_variables()?;
        let own = &self.manifest.env.variables;
        let fresh = base.iter().filter(|(name, _)| !own.contains_key(name));
        let mut words: Vec<String> = fresh.map(|(name, value)| env_option(name, value)).collect();
        if words.len() + own.len() > MAX_VARIABLES {
            let problem = format!(
                "with those of [env.variables] there are more than {MAX_VARIABLES} variables"
            );
            return Err(ManifestError::of_file(
                &self.base().unwrap_or_default(),
                problem,
            ));
        }
        words.extend(self.manifest.options());
        Ok(words)
    }

    /// The variables of `[env] base`; none without one.
    ///
    /// # Errors
    /// The file cannot be read or has a mistake.
    pub fn base_variables(&self) -> Result<Vec<(EnvName, EnvValue)>, ManifestError> {
        self.base()
            .map_or(Ok(Vec::new()), |path| env_file::read(&path))
    }

    fn base(&self) -> Option<PathBuf> {
        let base = self.manifest.env.base.as_ref()?;
        Some(self.root.join(base.as_path()))
    }
}

#[cfg(test)]
mod tests;
