//! A tool that is killed, wherever it just is: what it leaves is whole or is not taken for anything, and the next command
//! goes on from there.
//!
//! Where a kill lands is up to the machine; what is asserted holds wherever that is.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bundle_tool::image;
use bundle_tool::lock::Lock;
use rustix::process::{Signal, kill_process_group};
use system_tests::place::Place;
use system_tests::process::{Done, Process};

use crate::builder::{project, run, tool};
use crate::packs::built;

/// Between one kill and the next.
const STEP: Duration = Duration::from_millis(3);
/// The longest step, as a part of the time up to it: a machine that is slow, or busy, does not make a thousand kills of a hundred.
const FINENESS: u32 = 32;
/// Longer than any of these commands takes to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command again and again, each time killed a little later (by `step`, or more where it takes long), until it gets to
/// its end. `check` sees what each has left. Returns how many were killed.
pub(crate) fn kill_everywhere(
    command: impl Fn() -> Command,
    step: Duration,
    mut check: impl FnMut(),
) -> u32 {
    let mut killed = 0;
    let mut after = Duration::ZERO;
    while after < PATIENCE {
        let process = Process::start(command().process_group(0));
        if process.ends_within(after) {
            let done = process.finish();
            assert_eq!(done.status, Some(0), "after {killed} kills: {}", done.words);
            return killed;
        }
        kill_process_group(process.id(), Signal::KILL).expect("a group of its own");
        process.kill();
        killed += 1;
        after += step.max(after / FINENESS);
        check();
    }
    panic!("it does not get to its end within {PATIENCE:?}");
}

/// What killed tools have left below a folder that nobody will read.
fn left_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        if path.to_str().expect("text").ends_with(".partial") {
            found.push(path);
        } else if path.is_dir() && !path.is_symlink() {
            found.extend(left_in(&path));
        }
    }
    found
}

#[test]
fn a_killed_init_leaves_no_project_or_all_of_one() {
    let place = Place::new();
    let demo = place.here().join("demo");
    let init = || tool(&place, &place.here(), &["init", "--lang", "rust", "demo"]);
    let check = || {
        if demo.exists() {
            let names = |folder: &str| fs::read_dir(demo.join(folder)).unwrap().count();
            assert_eq!((names("src"), names("tests")), (4, 1));
            assert!(
                demo.join("ukernel.toml").is_file()
                    && demo.join(".ukernel/kernel/Cargo.toml").is_file()
            );
            fs::remove_dir_all(&demo).unwrap();
        }
    };
    let killed = kill_everywhere(init, STEP, check);
    assert!(killed > 3, "only {killed} kills landed in it");
    assert_eq!(left_in(&place.beside("")), Vec::<PathBuf>::new());
    // What was unpacked is whole: the tool compares it with what it carries.
    run(&place, &place.here(), &["init", "another"]).data();
}

#[test]
fn a_killed_build_leaves_no_bundle_or_a_whole_one() {
    let place = Place::new();
    let folder = project(&place, "python", "http");
    run(&place, &folder, &["build"]).data();
    let whole = fs::read(folder.join("build/bundle.tgz")).unwrap();
    let killed = kill_everywhere(
        || tool(&place, &folder, &["build"]),
        STEP,
        || assert_nothing_is_half(&folder),
    );
    assert!(killed > 3, "only {killed} kills landed in it");
    assert_eq!(fs::read(folder.join("build/bundle.tgz")).unwrap(), whole);
    assert_eq!(left_in(&folder), Vec::<PathBuf>::new());
    run(&place, &folder, &["build", "--locked"]).data();
}

fn assert_nothing_is_half(folder: &Path) {
    let bundle = folder.join("build/bundle.tgz");
    if bundle.exists() {
        image::verify(&bundle).expect("a bundle that is there is whole");
    }
    Lock::read(&folder.join("ukernel.lock")).expect("a lock is always whole");
}

/// Who was to write a file has written it, or it is as it was.
#[test]
fn a_killed_command_leaves_no_half_file() {
    let place = Place::new();
    let folder = built(&place, &[("large", &[1; 300_000])]);
    let tool = |words: &str| place.tool(&words.split(' ').collect::<Vec<_>>());
    Done::of(&mut tool("keygen release")).data();
    let whole = |name: &str| fs::read(folder.join(name)).unwrap();
    let makes = |words: &str, made: &[&str]| {
        Done::of(&mut tool(words)).data();
        let first: Vec<Vec<u8>> = made.iter().map(|name| whole(name)).collect();
        let check = || {
            for (name, first) in made.iter().zip(&first) {
                assert!(
                    !folder.join(name).exists() || whole(name) == *first,
                    "{words}: half of {name}"
                );
            }
        };
        let killed = kill_everywhere(|| tool(words), STEP / 10, check);
        assert!(killed > 0, "{words} was never killed");
        check();
    };
    let pair = [
        "dist/demo.img",
        "dist/demo.vmlinux",
        "dist/demo.vmlinux.sig",
    ];
    makes("pack --sign release.key", &pair);
    Done::of(&mut tool("verify --key release.pub")).data();
    makes(
        "disk-image --output disk.img build/bundle.tgz build/vmlinux",
        &["disk.img"],
    );
}

#[test]
fn a_killed_keygen_leaves_no_half_key() {
    let place = Place::new();
    let here = place.here();
    let remove = || {
        for name in ["k.key", "k.pub"] {
            let path = here.join(name);
            if path.exists() {
                assert!(
                    fs::read_to_string(&path).unwrap().ends_with(" KEY-----\n"),
                    "half of {name}"
                );
                fs::remove_file(path).unwrap();
            }
        }
    };
    let killed = kill_everywhere(|| place.tool(&["keygen", "k"]), STEP / 20, remove);
    assert!(killed > 0, "it was never killed");
}

/// Kills all of a build in C: the compilation of the kernel, that of the program, the linker, the writing.
#[test]
#[ignore = "compiles the kernel: ./just test-tool-long"]
fn a_killed_build_in_c_leaves_no_program_or_a_whole_one() {
    let place = Place::new();
    let folder = project(&place, "c", "echo");
    Done::of_compiling(&mut tool(&place, &folder, &["build"])).data();
    let whole = fs::read(folder.join("build/vmlinux")).unwrap();
    let check = || {
        assert_nothing_is_half(&folder);
        let kernel = fs::read(folder.join("build/vmlinux")).unwrap_or_default();
        assert!(kernel.is_empty() || kernel == whole, "half a program");
    };
    let killed = kill_everywhere(|| tool(&place, &folder, &["build"]), 10 * STEP, check);
    assert!(killed > 3, "only {killed} kills landed in it");
    assert_eq!(fs::read(folder.join("build/vmlinux")).unwrap(), whole);
}

/// Kills all of a first build in Rust, again and again: the fetching, the compilation of each package and of the program, the
/// writing. What comes of it in the end is what comes of a build that nobody has killed.
#[test]
#[ignore = "compiles the kernel twice: ./just test-tool-long"]
fn a_killed_build_in_rust_leaves_no_program_or_a_whole_one() {
    let place = Place::new();
    let folder = project(&place, "rust", "job");
    let build = |target: &str| {
        let mut build = tool(&place, &folder, &["build"]);
        build.env("CARGO_TARGET_DIR", place.beside(target));
        build
    };
    Done::of_compiling(&mut build("undisturbed")).data();
    let made = ["build/vmlinux", "build/bundle.tgz", "ukernel.lock"].map(|name| folder.join(name));
    let whole = made.each_ref().map(|path| fs::read(path).unwrap());
    fs::remove_dir_all(folder.join("build")).unwrap();
    let check = || {
        assert_nothing_is_half(&folder);
        for (path, whole) in made.iter().zip(&whole) {
            let left = fs::read(path).unwrap_or_default();
            assert!(
                left.is_empty() || left == *whole,
                "half of {}",
                path.display()
            );
        }
        // Without the bundle it is no build.
        assert!(made[0].exists() || !made[1].exists());
    };
    let killed = kill_everywhere(|| build("disturbed"), 500 * STEP, check);
    assert!(killed > 3, "only {killed} kills landed in it");
    check();
    assert_eq!(left_in(&folder), Vec::<PathBuf>::new());
    // Cargo, too, takes nothing half for whole: each source anew, the writing is killed more often.
    let main = folder.join("src/main.rs");
    let text = fs::read_to_string(&main).unwrap();
    let again = || {
        fs::write(&main, &text).unwrap();
        build("disturbed")
    };
    let killed = kill_everywhere(again, 50 * STEP, check);
    assert!(killed > 3, "only {killed} kills landed in it");
    check();
}
