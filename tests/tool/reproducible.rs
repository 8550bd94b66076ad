//! One project built and packed twice, as by two users on two days: folder, home, cache, temporary files, Cargo's folder, the
//! folder that Cargo compiles in, mask, language, time zone, names of user and machine, times of files. The bytes are the
//! same, those in `dist/` too.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use system_tests::guest;
use system_tests::place::Place;
use system_tests::process::Done;

use crate::builder::{home_of, tool, with_compilers};

/// What is left for others.
const MADE: &[&str] = &[
    "build/vmlinux",
    "build/bundle.tgz",
    "ukernel.lock",
    "dist/demo.vmlinux",
    "dist/demo.img",
    "dist/demo.elf",
];
/// What makes the last three of what a build has made.
const PACKS: &[&[&str]] = &[&["pack"], &["pack", "--image"]];

/// Makes a project of a template in two ways, and returns both folders.
fn made_twice(place: &Place, language: &str, template: &str, mode: &[&str]) -> [PathBuf; 2] {
    let build = [&["build"][..], mode].concat();
    let one = place.beside("one");
    make(&one, language, template, &build, |folder, words| {
        tool(place, folder, words)
    });
    let other = place.beside("another folder, \u{e4}");
    make(&other, language, template, &build, |folder, words| {
        yesterday(folder);
        as_another_user(place, folder, words)
    });
    [one.join("demo"), other.join("demo")]
}

/// Makes a project below `folder`, builds and packs it, each with what `command` gives.
fn make(
    folder: &Path,
    language: &str,
    template: &str,
    build: &[&str],
    command: impl Fn(&Path, &[&str]) -> Command,
) {
    fs::create_dir(folder).expect("a folder");
    let init = ["init", "--lang", language, "--template", template, "demo"];
    Done::of(&mut command(folder, &init)).data();
    let demo = folder.join("demo");
    for words in [build].iter().chain(PACKS) {
        Done::of_compiling(&mut command(&demo, words)).data();
    }
}

/// The tool with nothing around it that is as for the first user, but for the compilers.
fn as_another_user(place: &Place, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(guest::tool())
        .args(words)
        .current_dir(folder);
    place.surround(&mut command);
    with_compilers(&mut command);
    let home = place.beside("another home");
    let temporary = home.join("tmp");
    fs::create_dir_all(&temporary).expect("a folder");
    command
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("TMPDIR", temporary)
        .env("CARGO_HOME", another_cargo_home(place))
        .env("CARGO_TARGET_DIR", place.beside("another target"))
        .env("CARGO_INCREMENTAL", "1")
        .env("RUSTFLAGS", "--cfg of_another_user")
        .env("CFLAGS", "-DOF_ANOTHER_USER")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Kiritimati")
        .env("USER", "another")
        .env("LOGNAME", "another")
        .env("HOSTNAME", "elsewhere")
        .env("SOURCE_DATE_EPOCH", "1");
    command
}

/// Cargo's folder under another name, with the same packages in it.
fn another_cargo_home(place: &Place) -> PathBuf {
    let home = place.beside("another cargo");
    if !home.exists() {
        fs::create_dir(&home).expect("a folder");
        let packages = home_of("CARGO_HOME", ".cargo").join("registry");
        symlink(packages, home.join("registry")).expect("a link");
    }
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
    let builds = made_twice(&place, "rust", "http", &["--release"]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}

#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_program_in_rust_with_checks_is_the_same_wherever_it_is_built() {
    let place = Place::new();
    let builds = made_twice(&place, "rust", "job", &[]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}

#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_program_in_c_is_the_same_wherever_it_is_built() {
    let place = Place::new();
    let builds = made_twice(&place, "c", "echo", &["--release"]);
    assert!(!names_a_folder(&place, &builds[0].join("build/vmlinux")));
    assert_same(builds);
}
