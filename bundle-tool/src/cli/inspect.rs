//! `ukernel inspect`: what is in something packed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bundle::{Entry, Verified, Volume};
use clap::Args;
use serde::Serialize;

use super::Failure;
use super::verify::{claimed, packed_file, verify};
use crate::ui::{FAINT, GOOD, Ui};

/// Show what was packed: name, digest, settings, volumes and files
///
/// The file is checked first. The digest is what `bundle=` on a kernel's command line demands.
#[derive(Args)]
pub(super) struct Inspect {
    /// An image, a build/bundle.tgz or a kernel with a bundle inside [default: what was packed last in this project]
    file: Option<PathBuf>,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    version: u32,
    name: String,
    digest: String,
    /// The signer's public key, which nobody has been asked about; `null`: nobody has signed.
    signed_by: Option<String>,
    options: Vec<String>,
    arguments: Vec<String>,
    volumes: Vec<NamedVolume>,
    files: Vec<PackedFile>,
}

#[derive(Serialize)]
struct NamedVolume {
    name: String,
    read_only: bool,
}

#[derive(Serialize)]
struct PackedFile {
    path: String,
    size: u64,
    sha256: String,
}

impl Inspect {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let file = packed_file(self.file)?;
        let report = report(&file, verify(&file)?)?;
        if self.json {
            ui.json(&report)?;
        } else {
            ui.print(page(&report))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn report(file: &Path, verified: Verified) -> Result<Report, Failure> {
    let signer = claimed(file, verified.digest, verified.signature.as_ref())?;
    let index = verified.index;
    let volume = |Volume { name, read_only }| NamedVolume { name, read_only };
    let packed = |Entry { path, size, digest }| PackedFile {
        path,
        size,
        sha256: digest.to_string(),
    };
    Ok(Report {
        file: file.into(),
        version: bundle::VERSION,
        name: index.name,
        digest: verified.digest.to_string(),
        signed_by: signer.map(|key| key.to_string()),
        options: index.options,
        arguments: index.arguments,
        volumes: index.volumes.into_iter().map(volume).collect(),
        files: index.files.into_iter().map(packed).collect(),
    })
}

/// The report for a person.
fn page(report: &Report) -> String {
    let mut page = String::new();
    let mut line = |word: &str, value: &str| {
        // What a bundle says must not speak to the terminal.
        let value: String = value.chars().flat_map(shown).collect();
        writeln!(page, "{GOOD}{word:>10}{GOOD:#} {value}").expect("a String takes all");
    };
    line("name", &report.name);
    line("digest", &report.digest);
    if let Some(signer) = &report.signed_by {
        line("signed by", signer);
    }
    report
        .options
        .iter()
        .for_each(|option| line("option", option));
    report
        .arguments
        .iter()
        .for_each(|argument| line("argument", argument));
    for NamedVolume { name, read_only } in &report.volumes {
        line(
            "volume",
            &format!(
                "{name} {}",
                if *read_only {
                    "read-only"
                } else {
                    "read-write"
                }
            ),
        );
    }
    for PackedFile { path, size, sha256 } in &report.files {
        writeln!(page, "{size:>10} {FAINT}{}{FAINT:#} {path}", &sha256[..16])
            .expect("a String takes all");
    }
    page
}

/// A letter, or what stands for one that would move the cursor.
fn shown(letter: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if letter.is_control() {
        (None, Some(letter.escape_default()))
    } else {
        (Some(letter), None)
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_people_and_cannot_be_abused() {
        let report = Report {
            file: "a.img".into(),
            version: 1,
            name: "demo".into(),
            digest: "d".repeat(64),
            signed_by: None,
            options: vec!["env=A=\u{1b}[2J\nx".into()],
            arguments: vec!["serve".into()],
            volumes: vec![NamedVolume {
                name: "data".into(),
                read_only: true,
            }],
            files: vec![PackedFile {
                path: "a/b".into(),
                size: 12,
                sha256: "0123456789abcdef".repeat(4),
            }],
        };
        let page = anstream::adapter::strip_str(&page(&report)).to_string();
        let expected = format!(
            "      name demo\n    digest {}\n    option env=A=\\u{{1b}}[2J\\nx\n  argument serve\n    \
             volume data read-only\n        12 0123456789abcdef a/b\n",
            "d".repeat(64)
        );
        assert_eq!(page, expected);
    }
}
