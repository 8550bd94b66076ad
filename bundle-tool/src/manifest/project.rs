//! `[project]`: name, language and entry.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// What the project is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProjectTable {
    /// What the machine, the files in `dist/` and the program in `build/` are called: a letter, then at most 62 letters,
    /// digits, hyphens and underscores. For Rust also the name of the package.
    pub name: Name,
    /// The program's language: `rust`, `c` or `python`.
    pub language: Language,
    /// The file that the program starts with. Default: `src/main.rs`, `src/main.c` or `src/main.py`. For Rust, the
    /// package's own manifest decides, and this is only shown.
    entry: Option<RelativePath>,
}

impl ProjectTable {
    /// The file that the program starts with, from the project's folder.
    pub fn entry(&self) -> &Path {
        let default = match self.language {
            Language::Rust => "src/main.rs",
            Language::C => "src/main.c",
            Language::Python => "src/main.py",
        };
        self.entry
            .as_ref()
            .map_or(Path::new(default), RelativePath::as_path)
    }
}

/// A programming language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// A package of Cargo.
    Rust,
    /// Sources in C, for the kernel's C interface.
    C,
    /// An asyncio program.
    Python,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "rust",
            Language::C => "c",
            Language::Python => "python",
        })
    }
}

/// A name: a letter, then at most 62 letters, digits, hyphens and underscores. Good for a file, a package and a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Name, String> {
        let valid = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if !name.starts_with(|first: char| first.is_ascii_alphabetic())
            || name.len() > 63
            || !name.chars().all(valid)
        {
            return Err(format!(
                "'{name}' is no name: a letter, then at most 62 letters, digits, hyphens and underscores"
            ));
        }
        Ok(Name(name))
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        text.to_string().try_into()
    }
}

/// A path from the project's folder to something in it, written with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct RelativePath(PathBuf);

impl RelativePath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<String> for RelativePath {
    type Error = String;

    fn try_from(path: String) -> Result<RelativePath, String> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.is_empty()
            || path.contains(['\0', '\n', '\\'])
            || !Path::new(&path).components().all(inside)
        {
            return Err(format!(
                "'{path}' is no path from the project's folder to something in it"
            ));
        }
        Ok(RelativePath(path.into()))
    }
}
