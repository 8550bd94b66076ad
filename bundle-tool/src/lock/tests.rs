use proptest::prelude::*;

use super::*;

fn path() -> &'static Path {
    Path::new("ukernel.lock")
}

fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn lock() -> Lock {
    Lock {
        kernel: table(&[("version", "0.1.0"), ("digest", "sha256:aa")]),
        adapter: table(&[("name", "rust")]),
        toolchain: table(&[("rustc", "1.95.0 (x)")]),
        sources: table(&[("src/lib.rs", "sha256:01"), ("src/main.rs", "sha256:02")]),
        dependencies: table(&[("log 0.4.35", "sha256:03")]),
        ..Lock::default()
    }
}

#[test]
fn the_text_is_what_it_always_was() {
    crate::manifest::compare_golden("golden/ukernel.lock", &lock().to_string());
}

#[test]
fn everything_that_differs_is_named() {
    let mut now = lock();
    assert!(lock().differences(&now).is_empty());
    now.kernel = table(&[("version", "0.2.0"), ("digest", "sha256:bb")]);
    now.toolchain = table(&[("rustc", "1.96.0 (y)")]);
    now.sources = table(&[("src/main.rs", "sha256:99"), ("src/new.rs", "sha256:02")]);
    now.dependencies.clear();
    assert_eq!(
        lock().differences(&now),
        [
            "kernel: digest has changed",
            "kernel: version is 0.2.0, locked is 0.1.0",
            "toolchain: rustc is 1.96.0 (y), locked is 1.95.0 (x)",
            "sources: src/lib.rs is gone",
            "sources: src/main.rs has changed",
            "sources: src/new.rs is new",
            "dependencies: log 0.4.35 is gone",
        ]
    );
}

#[test]
fn a_lock_that_is_none_is_refused_with_its_line() {
    let good = lock().to_string();
    for (from, to, line) in [
        ("version = 1", "version = 2", 2),
        ("version = 1", "version = one", 2),
        ("[kernel]", "<<<<<<< HEAD", 4),
        ("[toolchain]", "[tools]", 11),
        ("rustc = \"1.95.0 (x)\"", "rustc = 1", 12),
    ] {
        let error = Lock::parse(&good.replace(from, to), path()).unwrap_err();
        assert_eq!(error.line(), Some(line), "{error}");
    }
    assert!(Lock::parse("", path()).is_err());
    // Cut off anywhere: a lock that is not whole is none, except where only the last package is missing.
    let whole = good.lines().count();
    for kept in 0..whole - 1 {
        let cut: String = good
            .lines()
            .take(kept)
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(Lock::parse(&cut, path()).is_err(), "{cut}");
    }
}

#[test]
fn digests_are_sha256() {
    // FIPS 180-2, appendix B.1.
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest(b"abc"), abc);
}

proptest! {
    #[test]
    fn what_is_written_is_read(names in prop::collection::btree_map(".{1,20}", ".{0,20}", 0..5)) {
        let mut lock = lock();
        lock.sources = names;
        let read = Lock::parse(&lock.to_string(), path()).unwrap();
        prop_assert!(lock.differences(&read).is_empty());
        prop_assert_eq!(read, lock);
    }

    #[test]
    fn garbage_is_an_error_that_can_be_shown(text in "([\\[\\]=\"a-z0-9.:\u{e4} -]{0,40}\n){0,8}") {
        if let Err(error) = Lock::parse(&text, path()) {
            prop_assert!(error.to_string().starts_with("ukernel.lock"));
        }
    }
}
