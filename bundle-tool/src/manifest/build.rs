//! `[build]`: what a bundle is made of.

use serde::Deserialize;

use super::{Language, RelativePath};

/// What `ukernel build` makes the bundle of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct BuildTable {
    /// What stands between the program and the kernel, by name: `python-3.12` for that version of Python's interpreter.
    /// Only for Python. Default: the version of the `python3` that is found.
    pub adapter: Option<String>,
    /// Files that the program finds in its bundle, as patterns from the project's folder, such as `static/**`.
    pub files: Vec<RelativePath>,
    /// The sources of a program in C, as patterns. Default: `src/**/*.c`.
    pub sources: Vec<RelativePath>,
    /// Folders where a program in C finds its headers. Default: `src`.
    pub include: Vec<RelativePath>,
    /// More arguments for the C compiler, such as `-DPORT=7`.
    pub cflags: Vec<String>,
    /// Features of the package to turn on. Only for Rust.
    pub features: Vec<String>,
}

impl BuildTable {
    /// The keys of another language do nothing, so they are mistakes.
    pub(super) fn check(&self, language: Language) -> Result<(), String> {
        let given = [
            ("adapter", self.adapter.is_some(), Language::Python),
            ("sources", !self.sources.is_empty(), Language::C),
            ("include", !self.include.is_empty(), Language::C),
            ("cflags", !self.cflags.is_empty(), Language::C),
            ("features", !self.features.is_empty(), Language::Rust),
        ];
        match given
            .iter()
            .find(|(_, given, of)| *given && *of != language)
        {
            Some((key, _, of)) => Err(format!(
                "`{key}` is for projects in {of}, this one is in {language}"
            )),
            None => Ok(()),
        }
    }
}
