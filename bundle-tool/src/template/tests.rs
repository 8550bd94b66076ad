use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::manifest::Manifest;

fn every() -> impl Iterator<Item = (Language, Template)> {
    let languages = [Language::Rust, Language::C, Language::Python];
    languages.into_iter().flat_map(|language| {
        of(language)
            .iter()
            .map(move |template| (language, *template))
    })
}

fn files(language: Language, template: Template) -> BTreeMap<String, String> {
    fill(language, template, &"my-demo".parse().unwrap()).unwrap()
}

#[test]
fn every_template_has_what_a_project_has() {
    assert_eq!(every().count(), 6);
    for (language, template) in every() {
        let files = files(language, template);
        let names = || files.keys().collect::<Vec<_>>();
        for needed in ["ukernel.toml", "env/ukernel.env", ".gitignore"] {
            assert!(
                files.contains_key(needed),
                "{language} {template}: {:?}",
                names()
            );
        }
        assert!(
            names().iter().any(|name| name.starts_with("tests/")),
            "{language} {template}: {:?}",
            names()
        );
        let manifest = Manifest::parse(&files["ukernel.toml"], Path::new("ukernel.toml")).unwrap();
        assert_eq!(
            (manifest.project.name.as_str(), manifest.project.language),
            ("my-demo", language)
        );
        let entry = manifest.project.entry().to_str().unwrap();
        assert!(files.contains_key(entry), "{language} {template}: {entry}");
    }
}

#[test]
fn nothing_is_left_to_fill_in() {
    for (language, template) in every() {
        for (path, text) in files(language, template) {
            assert!(
                !text.contains("{{name") && !text.contains("{{crate") && !text.contains("{{rust"),
                "{path}"
            );
            assert!(!path.contains("dot-") && !path.ends_with(".in"), "{path}");
        }
    }
}

#[test]
fn the_toolchain_is_the_kernels() {
    let own = include_str!("../../../rust-toolchain.toml");
    let channel = own
        .lines()
        .find(|line| line.starts_with("channel"))
        .unwrap();
    for template in of(Language::Rust) {
        let files = files(Language::Rust, *template);
        assert!(files["rust-toolchain.toml"].contains(channel));
    }
}

#[test]
fn sources_in_rust_are_formatted() {
    for template in of(Language::Rust) {
        for (path, text) in files(Language::Rust, *template) {
            if path.ends_with(".rs") {
                assert_eq!(formatted(&text), text, "{template}: {path}");
            }
        }
    }
}

fn formatted(text: &str) -> String {
    let mut rustfmt = Command::new("rustfmt");
    let rustfmt = rustfmt.args(["--edition", "2024", "--emit", "stdout"]);
    let mut child = rustfmt
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_template_that_a_language_lacks_is_refused_with_those_it_has() {
    let error = fill(Language::C, Template::Job, &"demo".parse().unwrap()).unwrap_err();
    assert_eq!(error, "c has no template job, but echo");
}

#[test]
fn a_package_is_not_called_as_rusts_own_words() {
    for name in ["test", "std", "async", "proc-macro", "Self"] {
        assert!(
            fill(Language::Rust, Template::Job, &name.parse().unwrap()).is_err(),
            "{name}"
        );
        assert!(
            fill(Language::C, Template::Echo, &name.parse().unwrap()).is_ok(),
            "{name}"
        );
    }
}
