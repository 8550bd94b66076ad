//! One project built twice, with everything different that may be: folder, home, cache, Cargo's folder, the folder that
//! Cargo compiles in, mask, language, times of files, debugger's paths. The bytes are the same.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use system_tests::guest;
use system_tests::place::Place;
use system_tests::process::Done;

use crate::builder::{home_of, tool, with_compilers};

/// What a build leaves for others, and what is packed of it.
const MADE: &[&str] = &[
    "build/vmlinux",
    "build/bundle.tgz",
    "ukernel.lock",
    "dist/demo.vmlinux",
    "dist/demo.img",
];

/// Builds and packs a project of a template in two ways, and returns both folders.
fn two_builds(place: &Place, language: &str, template: &str, mode: &[&str]) -> [PathBuf; 2] {
    let one = place.beside("one");
    let other = place.beside("another folder, \u{e4}");
    for folder in [&one, &other] {
        fs::create_dir(folder).expect("a folder");
        let init = ["init", "--lang", language, "--template", template, "demo"];
        Done::of(&mut tool(place, folder, &init)).data();
    }
    let build = [&["build"], mode].concat();
    Done::of_compiling(&mut tool(place, &one.join("demo"), &build)).data();
    Done::of(&mut tool(place, &one.join("demo"), &["pack"])).data();

    let demo = other.join("demo");
    yesterday(&demo);
    let mut elsewhere = std::process::Command::new("sh");
    let script = "umask 077; ukernel=$1; shift; \"$ukernel\" \"$@\" && exec \"$ukernel\" pack";
    elsewhere.args(["-c", script, "sh"]).arg(guest::tool());
    elsewhere.args(&build).current_dir(&demo);
    place.surround(&mut elsewhere);
    with_compilers(&mut elsewhere);
    let home = place.beside("another home");
    elsewhere
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("CARGO_HOME", another_cargo_home(place))
        .env("CARGO_TARGET_DIR", place.beside("another target"))
        .env("RUSTFLAGS", "--cfg of_another_user")
        .env("LANG", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Kiritimati");
    Done::of_compiling(&mut elsewhere).data();
    [one.join("demo"), demo]
}

/// Cargo's folder under another name, with the same packages in it.
fn another_cargo_home(place: &Place) -> PathBuf {
    let home = place.beside("another cargo");
    fs::create_dir_all(&home).expect("a folder");
    symlink(
        home_of("CARGO_HOME", ".cargo").join("registry"),
        home.join("registry"),
    )
    .expect("a link");
    home
}

/// Makes the project's files a day old.
fn yesterday(folder: &Path) {
    let then = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("a readable folder");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            yesterday(&entry.path());
        } else if kind.is_file() {
            let file = File::options()
                .append(true)
                .open(entry.path())
                .expect("its own file");
            file.set_modified(then).expect("its own file");
        }
    }
}

#[track_caller]
fn assert_same([one, other]: [PathBuf; 2]) {
    for name in MADE {
        let bytes = |folder: &Path| fs::read(folder.join(name)).expect("it was built");
        let (one, other) = (bytes(&one), bytes(&other));
        let differs = one.iter().zip(&other).position(|(a, b)| a != b);
        assert!(
            one == other,
            "{name} differs: {} and {} bytes, first at {differs:?}",
            one.len(),
            other.len()
        );
    }
}

/// Whether the name of a folder of this machine stands in a file.
fn names_a_folder(place: &Place, file: &Path) -> bool {
    let bytes = fs::read(file).expect("it was built");
    let folders = [
        place.beside(""),
        home_of("CARGO_HOME", ".cargo"),
        home_of("RUSTUP_HOME", ".rustup"),
    ];
    folders.iter().any(|folder| {
        let folder = folder
            .to_str()
            .expect("text")
            .trim_end_matches('/')
            .as_bytes();
        bytes.windows(folder.len()).any(|window| window == folder)
    })
}

#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_program_in_rust_is_the_same_wherever_it_is_built() {
    let place = Place::new();
    let builds = two_builds(&place, "rust", "http", &["--release"]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}

#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_program_in_rust_with_checks_is_the_same_wherever_it_is_built() {
    let place = Place::new();
    let builds = two_builds(&place, "rust", "job", &[]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}

#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_program_in_c_is_the_same_wherever_it_is_built() {
    let place = Place::new();
    let builds = two_builds(&place, "c", "echo", &["--release"]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}
