//! Each kind of file that is packed, as `ukernel inspect` and `ukernel verify` tell it: a pair, a kernel alone, one file, an
//! image alone, and `build/bundle.tgz`. And how much fits into one file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bundle::{Digest, Index, archive};
use bundle_tool::{image, kernel_file};
use serde_json::Value;
use system_tests::place::{Place, write};
use system_tests::tiny_guest::{asking_guest, exit_record};

use crate::packs::{built, refused};

/// A project that has been built, with a program that asks for its bundle.
fn asking(place: &Place) -> PathBuf {
    let folder = built(place, &[("a", b"1")]);
    fs::write(
        folder.join("build/vmlinux"),
        asking_guest(&[exit_record(0)]),
    )
    .expect("a file");
    folder
}

/// What the tool says, without colours: one line a file.
fn said(place: &Place, arguments: &[&str]) -> Vec<String> {
    let done = place.run(arguments);
    assert_eq!(done.status, Some(0), "{}", done.words);
    done.words.lines().map(|line| line.trim().into()).collect()
}

fn digest_of(path: &Path) -> String {
    Digest::of(&fs::read(path).expect("it was packed")).to_string()
}

#[test]
fn each_digest_is_told_with_what_it_is_one_of() {
    let place = Place::new();
    let folder = asking(&place);
    let packed = said(&place, &["pack"]);
    let bundle = image::verify(&folder.join("dist/demo.img")).unwrap().digest;
    let both = format!("Packed dist/demo.vmlinux and dist/demo.img (bundle {bundle})");
    assert_eq!(packed, [both]);
    let image = format!("Verified dist/demo.img: bundle {bundle}");
    let file = digest_of(&folder.join("dist/demo.vmlinux"));
    let kernel =
        format!("Unsigned dist/demo.vmlinux: file {file}: nothing says that it was not changed");
    assert_eq!(said(&place, &["verify"]), [image.clone(), kernel.clone()]);
    assert_eq!(
        said(&place, &["verify", "dist/demo.vmlinux"]),
        std::slice::from_ref(&kernel)
    );
    assert_eq!(
        said(&place, &["verify", "build/bundle.tgz"]),
        [format!("Verified build/bundle.tgz: bundle {bundle}")]
    );

    said(&place, &["pack", "--image"]);
    let file = digest_of(&folder.join("dist/demo.elf"));
    let whole = format!("Verified dist/demo.elf: bundle {bundle}, file {file}");
    assert_eq!(
        said(&place, &["verify", "dist/demo.elf"]),
        std::slice::from_ref(&whole)
    );
    assert_eq!(said(&place, &["verify"]), [image, kernel, whole]);
}

/// Of one file, the kernel's signature is that of all of it.
#[test]
fn one_file_is_signed_as_a_whole() {
    let place = Place::new();
    let folder = asking(&place);
    place.run(&["keygen", "release"]).data();
    place
        .run(&["pack", "--image", "--sign", "release.key"])
        .data();
    let demand = ["verify", "dist/demo.elf", "--key", "release.pub"];
    let words = said(&place, &demand).concat();
    assert!(
        words.contains(": bundle ") && words.contains(", file "),
        "{words}"
    );
    assert!(words.contains(", signed by "), "{words}");
    let whole = folder.join("dist/demo.elf");
    let bytes = fs::read(&whole).unwrap();
    let mut damaged = bytes.clone();
    damaged[0x201] ^= 1; // the program
    fs::write(&whole, damaged).unwrap();
    refused(
        place.run(&["verify"]),
        1,
        &["demo.elf: its signature is wrong"],
    );
    // The signature of the bundle in it does not make up for that of the kernel.
    fs::write(&whole, &bytes).unwrap();
    fs::remove_file(folder.join("dist/demo.elf.sig")).unwrap();
    refused(place.run(&demand), 1, &["demo.elf: it is not signed"]);
}

#[test]
fn a_kernel_without_a_bundle_has_nothing_to_show() {
    let place = Place::new();
    asking(&place);
    place.run(&["pack"]).data();
    refused(
        place.run(&["inspect", "dist/demo.vmlinux"]),
        125,
        &[
            "error: dist/demo.vmlinux is a kernel, and there is no bundle in it",
            "hint: settings and files of a pair are in the image beside it, NAME.img",
        ],
    );
}

#[test]
fn what_was_packed_last_is_shown() {
    let place = Place::new();
    let folder = asking(&place);
    let shown =
        || -> Value { serde_json::from_str(&place.run(&["inspect", "--json"]).data()).unwrap() };
    place.run(&["pack", "--image"]).data();
    assert_eq!(shown()["file"], "dist/demo.elf");
    place.run(&["pack"]).data();
    let old = SystemTime::now() - Duration::from_secs(60);
    let age = |name: &str| {
        File::open(folder.join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    };
    age("dist/demo.elf");
    assert_eq!(shown()["file"], "dist/demo.img");
    place.run(&["pack", "--image"]).data();
    age("dist/demo.img");
    assert_eq!(shown()["file"], "dist/demo.elf");
}

/// As a `ukernel pack` leaves it that was killed.
#[test]
fn half_a_pair_is_refused() {
    let place = Place::new();
    let folder = asking(&place);
    for (removed, words) in [
        (
            "vmlinux",
            "dist/demo.img is there without dist/demo.vmlinux",
        ),
        ("img", "dist/demo.vmlinux is there without dist/demo.img"),
    ] {
        place.run(&["pack"]).data();
        fs::remove_file(folder.join("dist/demo").with_extension(removed)).unwrap();
        refused(
            place.run(&["verify"]),
            1,
            &[words, "hint: pack it again: ukernel pack"],
        );
    }
    // A program in Python has no kernel.
    write(
        &folder.join("ukernel.toml"),
        "[project]\nname = \"demo\"\nlanguage = \"python\"\n",
    );
    fs::remove_dir_all(folder.join("dist")).unwrap();
    place.run(&["pack"]).data();
    assert_eq!(said(&place, &["verify"]).len(), 1);
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let place = Place::new();
    let folder = asking(&place);
    place.run(&["pack"]).data();
    place.run(&["pack", "--image"]).data();
    for name in ["dist/demo.elf", "dist/demo.vmlinux", "dist/demo.img"] {
        let path = folder.join(name);
        let bytes = fs::read(&path).unwrap();
        for length in [bytes.len() - 1, bytes.len() / 2, 100] {
            fs::write(&path, &bytes[..length]).unwrap();
            refused(place.run(&["verify", name]), 1, &[name]);
        }
        fs::write(&path, &bytes).unwrap();
    }
}

/// The words that the tool would write to are where no file has them.
#[test]
fn a_kernel_that_lies_about_its_words_is_refused() {
    let place = Place::new();
    let folder = asking(&place);
    let kernel = folder.join("build/vmlinux");
    let bytes = fs::read(&kernel).unwrap();
    let symbol = [0x11, 0, 1, 0];
    let at = bytes
        .windows(4)
        .rposition(|window| window == symbol)
        .unwrap()
        + symbol.len();
    let address = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    for wrong in [address + 1, 0, u64::MAX - 3, u64::MAX] {
        let mut lying = bytes.clone();
        lying[at..at + 8].copy_from_slice(&wrong.to_le_bytes());
        fs::write(&kernel, lying).unwrap();
        refused(
            place.run(&["pack", "--image"]),
            125,
            &["vmlinux: it is not a kernel"],
        );
    }
}

/// Makes the project's bundle one of so many bytes, with one file.
fn with_bundle_of(folder: &Path, bytes: usize) {
    let of = |size: usize| {
        let files: [(&str, &[u8]); 1] = [("f", &vec![7; size])];
        archive(Index::new("demo"), &files).expect("valid settings")
    };
    // Index and headers take a little; both sizes have as many digits.
    let around = of(10 << 20).len() - (10 << 20);
    let archive = of(bytes - around);
    assert_eq!(archive.len(), bytes);
    fs::write(folder.join("build/bundle.tgz"), archive).expect("a file");
}

#[test]
fn what_is_larger_than_one_file_may_be_is_refused_and_nothing_is_left() {
    let place = Place::new();
    let folder = asking(&place);
    place.run(&["keygen", "k"]).data();
    with_bundle_of(&folder, kernel_file::MAX_CARRIED);
    place.run(&["pack", "--image"]).data();
    let whole = folder.join("dist/demo.elf");
    let fits = fs::read(&whole).unwrap();
    assert!(kernel_file::carried(&fits).is_some_and(|bundle| bundle.len() == 16 << 20));
    // The signature is part of it.
    refused(
        place.run(&["pack", "--image", "--sign", "k.key"]),
        125,
        &[
            "the bundle has 16778240 bytes",
            "at most 16777216",
            "pack a pair instead",
        ],
    );
    with_bundle_of(&folder, kernel_file::MAX_CARRIED + 512);
    refused(
        place.run(&["pack", "--image"]),
        125,
        &["the bundle has 16777728 bytes"],
    );
    assert!(
        fs::read(&whole).unwrap() == fits,
        "the old one is as it was"
    );
    assert_eq!(fs::read_dir(folder.join("dist")).unwrap().count(), 1);
}

/// Nothing of it is kept in memory or on the disk: the index says how large it would be.
#[test]
fn what_is_too_large_is_refused_once_its_index_is_read() {
    let place = Place::new();
    let folder = asking(&place);
    with_bundle_of(&folder, kernel_file::MAX_CARRIED + 512);
    let archive = folder.join("build/bundle.tgz");
    File::options()
        .write(true)
        .open(&archive)
        .unwrap()
        .set_len(4096)
        .unwrap();
    refused(
        place.run(&["pack", "--image"]),
        125,
        &["the bundle has 16777728 bytes"],
    );
    refused(
        place.run(&["pack", "--size-mb", "1"]),
        125,
        &["the image would have 1048576 bytes", "hint: --size-mb 17"],
    );
    refused(place.run(&["pack"]), 125, &["f: copy or pack it again"]);
}
