//! Tests of the index: what is written is read again, in one way; what breaks a rule is refused by its line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

/// A text with a right last line below it.
fn ended(above: &str) -> String {
    format!("{above}end {}\n", Digest::of(above.as_bytes()))
}

fn parse(above: &str) -> Result<Index, Error> {
    Index::parse(ended(above).as_bytes()).map(|parsed| parsed.0)
}

/// The line and the problem of an index that breaks a rule.
fn problem(lines: &str) -> (usize, &'static str) {
    match parse(&format!("ukernel-bundle 1\nname demo\n{lines}")) {
        Err(Error::Malformed { line, problem }) => (line, problem),
        other => panic!("{lines:?} gives {other:?}"),
    }
}

fn file_line(path: &str) -> String {
    format!("file {} 0 {path}\n", Digest::of(b""))
}

#[test]
fn an_index_is_a_text_for_people() {
    let mut index = Index::new("demo");
    index.options.push("env=GREETING=hello there\n\\o/".into());
    index.arguments.extend(["serve".into(), String::new()]);
    index.volumes.push(Volume {
        name: "data".into(),
        read_only: false,
    });
    index.volumes.push(Volume {
        name: "keys".into(),
        read_only: true,
    });
    index.files.push(Entry {
        path: "a b".into(),
        size: 3,
        digest: Digest::of(b"abc"),
    });
    let expected = "ukernel-bundle 1\n\
         name demo\n\
         option env=GREETING=hello there\\n\\\\o/\n\
         argument serve\n\
         argument \n\
         volume data rw\n\
         volume keys ro\n\
         file ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 a b\n";
    assert_eq!(index.to_text(), ended(expected));
    assert_eq!(parse(expected), Ok(index));
}

#[test]
fn each_rule_names_its_line() {
    for (lines, line, what) in [
        ("name again\n", 3, "order"),
        ("volume v rw\noption a\n", 4, "order"),
        ("color red\n", 3, "words"),
        ("\n", 3, "a word"),
        ("option \n", 3, "1 to"),
        ("option a\\t\n", 3, "backslash"),
        ("option a\\\n", 3, "backslash"),
        ("option a\0\n", 3, "zero byte"),
        ("volume data\n", 3, "name and"),
        ("volume data r\n", 3, "rw or ro"),
        ("volume da/ta rw\n", 3, "letters"),
        ("volume v rw\nvolume v ro\n", 4, "two volumes"),
        ("file abc 0 a\n", 3, "SHA-256"),
        (&file_line("a").replace(" 0 ", " 00 "), 3, "number"),
        (&file_line("a").replace(" 0 ", " +1 "), 3, "number"),
        (&file_line("a").replace(" 0 ", " 8589934592 "), 3, "8 GiB"),
        (&file_line("../a"), 3, "relative"),
        (
            &(file_line("b") + &file_line("a")),
            4,
            "order of their paths",
        ),
        (
            &(file_line("a") + &file_line("a")),
            4,
            "order of their paths",
        ),
        (
            &(file_line("a") + &file_line("a-b") + &file_line("a/b")),
            5,
            "is a file",
        ),
    ] {
        let (at, problem) = problem(lines);
        assert!(
            at == line && problem.contains(what),
            "{lines:?}: line {at}: {problem}"
        );
    }
}

#[test]
fn lists_have_ends() {
    let many = |line: &str, count| line.repeat(count);
    let option = "option a\n";
    assert!(
        parse(&format!(
            "ukernel-bundle 1\nname n\n{}",
            many(option, MAX_OPTIONS)
        ))
        .is_ok()
    );
    assert_eq!(problem(&many(option, MAX_OPTIONS + 1)).0, 3 + MAX_OPTIONS);
    assert_eq!(
        problem(&many("argument a\n", MAX_ARGUMENTS + 1)).0,
        3 + MAX_ARGUMENTS
    );
    let argument = format!("argument {}\n", "a".repeat(MAX_ARGUMENT_BYTES / 2 - 1));
    assert!(parse(&format!("ukernel-bundle 1\nname n\n{}", many(&argument, 2))).is_ok());
    assert!(
        problem(&(many(&argument, 2) + "argument \n"))
            .1
            .contains("8,192")
    );
    let long = format!("option {}\n", "a".repeat(MAX_OPTION_BYTES + 1));
    assert!(problem(&long).1.contains("65,536"));
    let volumes: String = (0..=MAX_VOLUMES)
        .map(|n| format!("volume v{n} rw\n"))
        .collect();
    assert_eq!(problem(&volumes).0, 3 + MAX_VOLUMES);
    let files: String = (0..=MAX_FILES)
        .map(|n| file_line(&format!("f{n:05}")))
        .collect();
    assert_eq!(problem(&files).0, 3 + MAX_FILES);
    let name = format!(
        "ukernel-bundle 1\nname {}\n",
        "n".repeat(MAX_NAME_BYTES + 1)
    );
    assert!(matches!(
        parse(&name),
        Err(Error::Malformed { line: 2, .. })
    ));
}

#[test]
fn the_beginning_is_checked() {
    for (text, line) in [
        ("", 0),
        ("\n", 1),
        ("ukernel-bundle\n", 1),
        ("ukernel-bundle 0\n", 1),
        ("ukernel-bundle 01\n", 1),
        ("ukernel-bundle 4294967296\n", 1),
        ("ukernel-bundle 1\n", 2),
        ("ukernel-bundle 1\noption a\n", 2),
        ("ukernel-bundle 1\nname \n", 2),
    ] {
        let error = parse(text).unwrap_err();
        let at = match error {
            Error::Malformed { line, .. } => line,
            Error::Corrupt { .. } => 0,
            _ => panic!("{error:?}"),
        };
        assert_eq!(at, line, "{text:?}");
    }
    let newer = ended("ukernel-bundle 2\nwhatever that has\n");
    assert_eq!(
        Index::parse(newer.as_bytes()),
        Err(Error::TooNew { version: 2 })
    );
    let broken = newer.replace('w', "v");
    assert!(matches!(
        Index::parse(broken.as_bytes()),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn values_that_would_be_other_lines_do_not_come_back() {
    let mut index = Index::new("demo\noption allow=all");
    assert_ne!(
        Index::parse(index.to_text().as_bytes()).map(|parsed| parsed.0),
        Ok(index.clone())
    );
    index.name = "demo".into();
    index.options.push("a\noption b".into());
    assert_eq!(
        Index::parse(index.to_text().as_bytes()).map(|parsed| parsed.0),
        Ok(index)
    );
}

fn an_index() -> impl Strategy<Value = Index> {
    let value = "[^\\x00]{1,12}|[\\\\n\n]{1,6}";
    let name = "[a-zA-Z0-9._-]{1,8}";
    let path = "[a-c]{1,3}(/[a-c ]{1,2}[d-f]){0,2}";
    let names = btree_set(name, 0..5);
    let files = btree_set(path, 0..9);
    (
        name,
        vec(value, 0..5),
        vec(value, 0..5),
        names,
        files,
        any::<u32>(),
    )
        .prop_map(|(name, options, arguments, names, paths, bits)| {
            let volumes = (0..).zip(names);
            let volumes = volumes.map(|(n, name)| Volume {
                name,
                read_only: bits >> n & 1 == 1,
            });
            let files = paths.into_iter().map(|path| Entry {
                digest: Digest::of(path.as_bytes()),
                size: u64::from(bits),
                path,
            });
            Index {
                name,
                options,
                arguments,
                volumes: volumes.collect(),
                files: files.collect(),
            }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(index in an_index()) {
        let text = index.to_text();
        let parsed = Index::parse(text.as_bytes());
        if index.file_in_a_file().is_some() {
            prop_assert!(parsed.is_err());
        } else {
            let (read, digest) = parsed.unwrap();
            prop_assert_eq!(&read, &index);
            let end = format!("end {}\n", digest);
            prop_assert!(text.ends_with(&end));
        }
    }

    #[test]
    fn there_is_one_way_to_write_an_index(
        lines in vec("(option|argument|volume|file|name) [a-z0-9\\\\ n]{0,8}", 0..4),
    ) {
        let mut text = "ukernel-bundle 1\nname demo\n".to_string();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        if let Ok(index) = parse(&text) {
            prop_assert_eq!(index.to_text(), ended(&text));
        }
    }

    #[test]
    fn garbage_is_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Index::parse(&bytes).is_err());
        // Behind a right last line too, where the rules are looked at.
        let mut text: Vec<u8> = bytes;
        text.push(b'\n');
        let end = format!("end {}\n", Digest::of(&text));
        text.extend(end.bytes());
        prop_assert!(Index::parse(&text).is_err());
    }
}
