//! What the documents show and name is there.

use std::fs;

use system_tests::guest::repository;

fn read(path: &str) -> String {
    let error = |error| panic!("{path}: {error}");
    fs::read_to_string(repository().join(path)).unwrap_or_else(error)
}

/// The first block of Rust in a document.
fn first_program(document: &str) -> &str {
    let (_, rest) = document.split_once("```rust\n").expect("a block of Rust");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_readme_shows_the_echo_example_as_it_is() {
    let readme = read("README.md");
    let example = read("kernel/examples/echo/src/main.rs");
    assert_eq!(first_program(&readme), example);
}

/// Words in back quotes that begin with a folder of the repository, and local links.
fn named_paths(document: &str) -> impl Iterator<Item = &str> {
    let quoted = document.split('`').skip(1).step_by(2);
    let links = document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let is_path = |word: &&str| {
        word.contains('/')
            && !word.contains(|letter: char| letter.is_whitespace() || "{*$:<".contains(letter))
    };
    let folders = [
        "kernel/",
        "reactor/",
        "netstack/",
        "drivers/",
        "bundle-tool/",
        "tests/",
        "benches/",
    ];
    quoted
        .filter(is_path)
        .filter(move |word| folders.iter().any(|folder| word.starts_with(folder)))
        .chain(links.filter(|link| !link.contains(':')))
}

#[test]
fn paths_that_the_documents_name_exist() {
    let mut named = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "BENCHMARKS.md",
    ] {
        let text = read(document);
        for path in named_paths(&text) {
            named += 1;
            let exists = repository().join(path).exists();
            assert!(exists, "{document} names {path}, which does not exist");
        }
    }
    assert!(
        named > 20,
        "only {named} paths were found: does the search work?"
    );
}
