use std::collections::BTreeSet;
use std::process::Command;

use super::*;

fn unpacked() -> (tempfile::TempDir, Sources) {
    let cache = tempfile::tempdir().unwrap();
    let sources = Sources::unpack(cache.path()).unwrap();
    (cache, sources)
}

#[test]
fn they_are_a_workspace_whose_versions_are_the_repositorys() {
    let (_cache, sources) = unpacked();
    let lock = || sources.read("Cargo.lock").unwrap();
    let versions = |text: &str| -> BTreeSet<String> {
        let versions = text.split("[[package]]").skip(1);
        versions
            .map(|package| package.lines().take(3).collect())
            .collect()
    };
    let before = versions(&lock());
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(sources.folder())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !words.contains("warning"),
        "{words}"
    );
    let after = versions(&lock());
    assert!(after.is_subset(&before) && after.len() < before.len());
    // What Cargo has taken out is no change of the sources.
    sources.compare().unwrap();
}

#[test]
fn what_programs_need_is_there_and_the_rest_is_not() {
    let (_cache, sources) = unpacked();
    for needed in [
        ".cargo/config.toml",
        "adapter/python/ukernel/__main__.py",
        "kernel/include/ukernel_abi.h",
        "kernel/link.ld",
        "kernel/src/arch/boot.s",
        "rust-toolchain.toml",
        "seed.lock",
    ] {
        assert!(
            sources.folder().join(needed).is_file(),
            "{needed} is missing"
        );
    }
    for other in [
        "bundle-tool",
        "tests",
        "benches",
        "kernel/examples",
        "adapter/python/tests",
    ] {
        assert!(!sources.folder().join(other).exists(), "{other} is there");
    }
}

#[test]
fn a_changed_file_is_noticed_and_named() {
    let (cache, sources) = unpacked();
    let changed = sources.folder().join("kernel/src/lib.rs");
    fs::write(&changed, "// nothing").unwrap();
    let error = Sources::unpack(cache.path()).unwrap_err();
    assert!(error.to_string().contains("kernel/src/lib.rs"), "{error}");
    let folder = sources.folder().display().to_string();
    assert_eq!(error.hint(), Some(format!("remove {folder}")));
}

#[test]
fn what_a_killed_process_left_is_removed_and_never_used() {
    let cache = tempfile::tempdir().unwrap();
    let left = cache.path().join(format!(".{PARTIAL}.abcdef.partial"));
    fs::create_dir_all(left.join("kernel")).unwrap();
    let sources = Sources::unpack(cache.path()).unwrap();
    assert!(!left.exists() && sources.folder().join("kernel/src/lib.rs").is_file());
}

#[test]
fn many_at_once_unpack_the_same() {
    let cache = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let unpack = || Sources::unpack(cache.path()).unwrap().folder;
        let folders: Vec<_> = (0..8).map(|_| scope.spawn(unpack)).collect();
        let folders: Vec<_> = folders
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert!(folders.iter().all(|folder| *folder == folders[0]));
    });
    // The sources, and the lock.
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
}

#[test]
fn a_link_to_other_sources_is_replaced_and_they_look_new() {
    let (cache, sources) = unpacked();
    let file = sources.folder().join("kernel/src/lib.rs");
    let link = cache.path().join("project/.ukernel/kernel");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/nowhere", &link).unwrap();
    let old = SystemTime::UNIX_EPOCH;
    File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .set_modified(old)
        .unwrap();
    sources.link(&link).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), sources.folder());
    assert_ne!(fs::metadata(&file).unwrap().modified().unwrap(), old);
    File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .set_modified(old)
        .unwrap();
    sources.link(&link).unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().modified().unwrap(),
        old,
        "the same link costs a compilation"
    );
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let with = |variables: &[(&str, &str)]| {
        let value = |name: &str| {
            variables
                .iter()
                .find(|pair| pair.0 == name)
                .map(|pair| pair.1.into())
        };
        cache_folder_from(value).map(|path| path.display().to_string())
    };
    let all = [
        ("UKERNEL_CACHE", "/c"),
        ("XDG_CACHE_HOME", "/x"),
        ("HOME", "/h"),
    ];
    assert_eq!(with(&all).unwrap(), "/c");
    assert_eq!(with(&all[1..]).unwrap(), "/x/ukernel");
    assert_eq!(with(&all[2..]).unwrap(), "/h/.cache/ukernel");
    assert_eq!(
        with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(),
        "/h/.cache/ukernel"
    );
    assert!(matches!(with(&[("HOME", "")]), Err(SourcesError::NoCache)));
}
