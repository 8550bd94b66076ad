//! Templates of projects: which there are, and filling one in. What `ukernel init` writes; knows nothing of where.
//!
//! A template is what lies in `templates/common`, in the folder of its language and in its own, the later ones coming
//! before the earlier. In texts, `{{name}}` stands for the project's name, `{{crate}}` for the same as Rust's identifier
//! and `{{rust}}` for the toolchain's version. `dot-` at the beginning of a file's name is a dot, and `.in` at its end is
//! nothing: it keeps tools from taking the file for what it will be.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use flate2::read::GzDecoder;

use crate::manifest::{Language, Name};

static TEMPLATES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/templates.tgz"));

/// The version of Rust that projects are built with: the kernel's own.
pub const RUST: &str = concat!(env!("CARGO_PKG_RUST_VERSION"), ".0");

/// Words that cannot be a package's name: Rust's own, those of its libraries, and Cargo's folders.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "ukernel",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What a new project begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Template {
    /// An HTTP server
    Http,
    /// A server that sends back what it is sent
    Echo,
    /// Work that ends
    Job,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Template::Http => "http",
            Template::Echo => "echo",
            Template::Job => "job",
        })
    }
}

/// The templates of a language; the first is the one that is taken where nobody chooses.
pub fn of(language: Language) -> &'static [Template] {
    match language {
        Language::Rust => &[Template::Http, Template::Echo, Template::Job],
        Language::C => &[Template::Echo],
        Language::Python => &[Template::Http, Template::Job],
    }
}

/// The files of a project, by their paths, with `/` between folders.
///
/// # Errors
/// The language has no such template, or the name cannot be a package's.
///
/// ```
/// use bundle_tool::manifest::Language;
/// use bundle_tool::template::{self, Template};
///
/// let files = template::fill(Language::Rust, Template::Http, &"my-site".parse()?)?;
/// assert!(files["Cargo.toml"].contains("name = \"my-site\""));
/// assert!(files["src/main.rs"].contains("my_site::serve"));
/// # Ok::<(), String>(())
/// ```
pub fn fill(
    language: Language,
    template: Template,
    name: &Name,
) -> Result<BTreeMap<String, String>, String> {
    if !of(language).contains(&template) {
        let known: Vec<String> = of(language).iter().map(Template::to_string).collect();
        return Err(format!(
            "{language} has no template {template}, but {}",
            known.join(", ")
        ));
    }
    let identifier = name.as_str().replace('-', "_");
    if language == Language::Rust && TAKEN.contains(&identifier.to_ascii_lowercase().as_str()) {
        return Err(format!("a package in Rust cannot be called {name}"));
    }
    let archive = read();
    let mut files = BTreeMap::new();
    for layer in [
        "common".to_string(),
        language.to_string(),
        format!("{language}-{template}"),
    ] {
        let prefix = format!("templates/{layer}/");
        for (path, text) in &archive {
            if let Some(path) = path.strip_prefix(&prefix) {
                let text = text.replace("{{name}}", name.as_str());
                let text = text
                    .replace("{{crate}}", &identifier)
                    .replace("{{rust}}", RUST);
                files.insert(place(path), text);
            }
        }
    }
    Ok(files)
}

/// What a file of a template is called in a project.
fn place(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.strip_prefix("dot-") {
        Some(rest) => format!(".{rest}"),
        None => part.into(),
    });
    let path = parts.collect::<Vec<_>>().join("/");
    path.strip_suffix(".in").map_or(path.clone(), String::from)
}

/// All templates, as they were packed.
fn read() -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(GzDecoder::new(TEMPLATES));
    let entries = archive.entries().expect("the tool's own archive is whole");
    let file = entries.map(|entry| {
        let mut entry = entry.expect("the tool's own archive is whole");
        let path = entry.path().expect("paths in it are text");
        let path = path.to_str().expect("paths in it are text").to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("templates are text");
        (path, text)
    });
    file.collect()
}

#[cfg(test)]
mod tests;
