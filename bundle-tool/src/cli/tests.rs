//! Golden help: what `--help` says of every command stands in `bundle-tool/golden/help/`, one file a command.
//! `UPDATE_GOLDEN=1 cargo test -p bundle-tool` rewrites them; read the difference before committing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::{Command, CommandFactory};

use super::Cli;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/help")
}

/// Every command below `command` and itself, by its words: `ukernel`, `ukernel-run`.
fn walk(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
    found.push((name.into(), command.clone()));
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        walk(below, &format!("{name}-{}", below.get_name()), found);
    }
}

fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command().term_width(100);
    root.build(); // hands global options and the width down
    let mut found = Vec::new();
    walk(&root, "ukernel", &mut found);
    found
}

#[test]
fn every_command_helps() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut expected_files = BTreeSet::new();
    for (name, mut command) in commands() {
        let actual = command.render_long_help().to_string();
        let file = folder().join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(folder()).expect("golden files are writable");
            fs::write(&file, &actual).expect("golden files are writable");
        }
        let expected =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(actual, expected, "differs from {}", file.display());
        expected_files.insert(file);
    }
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let file = entry.expect("a readable folder").path();
        if update && !expected_files.contains(&file) {
            fs::remove_file(&file).expect("golden files are writable");
            continue;
        }
        assert!(
            expected_files.contains(&file),
            "{} is of no command",
            file.display()
        );
    }
}

/// Someone who reads only `-h` learns what each word is for.
#[test]
fn every_command_and_option_says_what_it_is_for() {
    for (name, command) in commands() {
        assert!(
            command.get_about().is_some(),
            "{name} says nothing about itself"
        );
        for argument in command.get_arguments() {
            let says = argument.get_help().or(argument.get_long_help());
            assert!(says.is_some(), "{name}: {} says nothing", argument.get_id());
        }
    }
}

#[test]
fn the_parser_is_consistent() {
    Cli::command().debug_assert();
}
