//! What a machine is told when it is started: variables and arguments, as a bundle of settings without files in its boot
//! module. Not on the kernel's command line, which other users of the host see and which is short. The file is there only
//! until the VMM has read it.

use std::path::{Path, PathBuf};

use bundle::Index;
use serde::{Deserialize, Serialize};

use crate::image::{Draft, ImageError};

/// The file, in the machine's folder.
const FILE: &str = "settings.img";

/// Settings for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Words for the kernel, such as `env=GREETING=hello there`. A later one counts.
    pub options: Vec<String>,
    /// The program's arguments; none: the bundle's own.
    pub arguments: Vec<String>,
}

impl Settings {
    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty() && self.arguments.is_empty()
    }

    /// Writes the settings into a machine's folder, for nobody else to read. Returns the file.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<PathBuf, ImageError> {
        let index = Index {
            name: name.into(),
            options: self.options.clone(),
            arguments: self.arguments.clone(),
            ..Index::default()
        };
        let path = folder.join(FILE);
        Draft::new(index, Vec::new())?.write_for_owner(&path)?;
        Ok(path)
    }
}

/// Removes the settings from a machine's folder, if they are there.
pub(super) fn remove(folder: &Path) {
    // There are none, mostly.
    let _ = std::fs::remove_file(folder.join(FILE));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn settings_are_an_image_for_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            options: vec!["env=GREETING=hello there".into()],
            arguments: vec!["serve it".into()],
        };
        let path = settings.write(folder.path(), "demo").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let index = crate::image::verify(&path).unwrap().index;
        assert_eq!(index.options, settings.options);
        assert_eq!(index.arguments, settings.arguments);
        remove(folder.path());
        assert!(!path.exists());
    }
}
