//! Where unsafe code may stand, and how a source file begins.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use system_tests::guest::repository;

/// The files that may contain unsafe code, one a line, sorted. Adding one is a decision for a review:
/// `UPDATE_GOLDEN=1 cargo test -p system-tests --test host` writes the list, its difference is reviewed.
const UNSAFE_FILES: &str = "tests/host/unsafe_files.txt";

fn listed() -> BTreeSet<String> {
    let list = fs::read_to_string(repository().join(UNSAFE_FILES)).expect("the list is there");
    list.lines().map(String::from).collect()
}

/// Folders with source files.
const SOURCES: &[&str] = &[
    "abi",
    "adapter",
    "benches",
    "bundle-tool",
    "drivers",
    "kernel",
    "netstack",
    "reactor",
    "tests",
];

fn rust_files() -> Vec<(String, String)> {
    files(".rs")
}

/// All files whose names end so, by path from the repository's folder, with their content.
fn files(ending: &str) -> Vec<(String, String)> {
    let root = repository();
    let mut paths = Vec::new();
    for folder in SOURCES {
        collect(&root.join(folder), ending, &mut paths);
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let path = path.strip_prefix(&root).expect("below the repository");
        (path.to_str().expect("a UTF-8 path").to_string(), text)
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, ending, paths);
        } else if path.to_string_lossy().ends_with(ending) {
            paths.push(path);
        }
    }
}

/// The lint `unsafe_code` is denied for the whole workspace, so that only a file that opts out can
/// contain unsafe code: those that do are the list.
#[test]
fn unsafe_code_stands_only_where_the_list_says() {
    let files = rust_files();
    let opting_out = files.iter().filter(|(path, text)| {
        let dense: String = text.split_whitespace().collect();
        let opts_out = dense.contains("allow(unsafe_code") || dense.contains("expect(unsafe_code");
        opts_out && !path.ends_with("host/sources.rs")
    });
    let marked: BTreeSet<String> = opting_out.map(|(path, _)| path.clone()).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let list: String = marked.iter().flat_map(|path| [path, "\n"]).collect();
        fs::write(repository().join(UNSAFE_FILES), list).expect("the list is writable");
    }
    let listed = listed();
    let new: Vec<_> = marked.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&marked).collect();
    assert!(
        new.is_empty(),
        "allow unsafe code, but are not in unsafe_files.txt: {new:#?}"
    );
    assert!(
        stale.is_empty(),
        "in unsafe_files.txt, but allow no unsafe code: {stale:#?}"
    );
}

#[test]
fn an_exception_gives_its_reason() {
    let listed = listed();
    for (path, text) in rust_files()
        .iter()
        .filter(|(path, _)| listed.contains(path))
    {
        for (at, _) in text.match_indices("unsafe_code") {
            let attribute = text[at..].split(")]").next().unwrap_or_default();
            assert!(
                attribute.contains("reason"),
                "{path} allows unsafe code without a reason"
            );
        }
    }
}

#[test]
fn every_package_takes_the_workspaces_lints() {
    let manifests = files("Cargo.toml");
    assert!(manifests.len() > 5, "the search for manifests is broken");
    // The fuzz targets are no member of the workspace, so there is nothing that they could inherit.
    for (path, text) in manifests
        .iter()
        .filter(|(path, _)| path != "tests/fuzz/Cargo.toml")
    {
        let inherits = text.contains("[lints]\nworkspace = true");
        assert!(inherits, "{path} does not inherit the workspace's lints");
    }
}

#[test]
fn a_file_begins_by_saying_what_it_owns() {
    let begins_well = |text: &str| {
        let first = text.lines().find(|line| !line.trim().is_empty());
        first.is_some_and(|line| line.starts_with("//!"))
    };
    let files = rust_files();
    // `foo/tests.rs` says by its name that it tests `foo.rs`.
    let others: Vec<_> = files
        .iter()
        .filter(|(path, text)| !path.ends_with("/tests.rs") && !begins_well(text))
        .map(|(path, _)| path)
        .collect();
    assert!(others.is_empty(), "do not begin with //!: {others:#?}");
}

#[test]
fn modules_are_named_by_their_files() {
    for (path, _) in rust_files() {
        assert!(
            !path.ends_with("/mod.rs"),
            "{path}: foo.rs beside foo/ instead"
        );
    }
}
