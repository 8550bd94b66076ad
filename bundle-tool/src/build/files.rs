//! Patterns of a manifest, and the files that they mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::BuildError;
use crate::manifest::RelativePath;

/// `*` stays in a folder and passes over hidden files, as a shell has it.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};
/// What the tool itself makes is never an input.
const OUTPUTS: &[&str] = &["build", "dist", "target", ".ukernel", "ukernel.lock"];

/// The files that patterns mean, in the order of their names: name with `/` between folders, and path.
///
/// # Errors
/// A pattern is none, or means no file: somebody expects one.
pub(super) fn matching(
    root: &Path,
    patterns: &[RelativePath],
) -> Result<Vec<(String, PathBuf)>, BuildError> {
    let mut found = BTreeMap::new();
    for pattern in patterns {
        let before = found.len();
        let text = pattern.as_path().to_string_lossy();
        let whole = format!("{}/{text}", Pattern::escape(&root.to_string_lossy()));
        // `**` alone would mean folders only.
        let whole = if whole.ends_with("**") {
            format!("{whole}/*")
        } else {
            whole
        };
        let paths = glob::glob_with(&whole, OPTIONS);
        let paths = paths
            .map_err(|error| BuildError::Project(format!("'{text}' is no pattern: {error}")))?;
        let mut any = false;
        for path in paths {
            let path = path.map_err(|error| {
                BuildError::io(error.path(), std::io::Error::other(error.to_string()))
            })?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let is_output = OUTPUTS.iter().any(|output| relative.starts_with(output));
            if path.is_file() && !is_output {
                any = true;
                let name = relative.to_str().ok_or_else(|| {
                    BuildError::Project(format!(
                        "{} is no name for a file in a bundle",
                        relative.display()
                    ))
                })?;
                found.insert(name.to_string(), path.clone());
            }
        }
        if !any && found.len() == before {
            return Err(BuildError::Project(format!("no file is like '{text}'")));
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(patterns: &[&str]) -> Result<Vec<String>, BuildError> {
        let folder = tempfile::Builder::new().prefix("[x]*").tempdir().unwrap();
        for name in [
            "src/main.c",
            "src/deep/more.c",
            "src/a.h",
            "src/.hidden.c",
            "build/old.c",
            "static/a b",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let patterns: Vec<_> = patterns
            .iter()
            .map(|text| text.to_string().try_into().unwrap())
            .collect();
        let found = matching(folder.path(), &patterns)?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn patterns_mean_files_and_no_outputs() {
        assert_eq!(
            names(&["src/**/*.c"]).unwrap(),
            ["src/deep/more.c", "src/main.c"]
        );
        assert_eq!(names(&["src/*.c"]).unwrap(), ["src/main.c"]);
        assert_eq!(
            names(&["src/**"]).unwrap(),
            ["src/a.h", "src/deep/more.c", "src/main.c"]
        );
        assert_eq!(
            names(&["**/*.c", "src/main.c"]).unwrap(),
            ["src/deep/more.c", "src/main.c"]
        );
        assert_eq!(names(&["static/*"]).unwrap(), ["static/a b"]);
    }

    #[test]
    fn a_pattern_that_means_nothing_is_a_mistake() {
        let error = names(&["src/*.c", "stattic/**"]).unwrap_err();
        assert_eq!(error.to_string(), "no file is like 'stattic/**'");
        assert!(names(&["src/***"]).is_err());
        assert!(names(&["build/*.c"]).is_err());
    }
}
