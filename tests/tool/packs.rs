//! `ukernel pack`, `inspect`, `verify` and `keygen`: what they make of what was built, and that nothing damaged or half
//! written is taken for whole. `tests/vm/packed.rs` boots it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bundle::{Index, Volume};
use bundle_tool::{image, kernel_file};
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;
use system_tests::place::{Place, write};
use system_tests::process::{Done, Process, soon};
use system_tests::tiny_guest::{exit_record, tiny_guest};

use crate::full_disk::with_room;

/// Bytes of the file that is not small.
const LARGE: usize = 300_000;

/// Makes a project that has been built, and is called demo.
pub(crate) fn built(place: &Place, files: &[(&str, &[u8])]) -> PathBuf {
    let mut settings = Index::new("demo");
    settings.options = vec!["log=info".into(), "env=GREETING=hello there".into()];
    settings.arguments.push("serve".into());
    settings.volumes.push(Volume {
        name: "data".into(),
        read_only: false,
    });
    let mut kernel = fs::read(tiny_guest(&[exit_record(0)]).path()).expect("a small ELF");
    kernel.extend(b"what a debugger reads");
    place.build(&kernel, settings, files);
    place.here()
}

#[track_caller]
pub(crate) fn refused(done: Done, status: i32, words: &[&str]) {
    assert_eq!(done.status, Some(status), "{}", done.words);
    for expected in words {
        assert!(
            done.words.contains(expected),
            "{expected:?} is not in {}",
            done.words
        );
    }
}

#[test]
fn a_pair_is_the_same_wherever_it_is_packed() {
    let pack = || {
        let place = Place::new();
        let folder = built(&place, &[("a", b"1"), ("b/c", b"2")]);
        place.run(&["pack"]).data();
        ["dist/demo.vmlinux", "dist/demo.img"].map(|name| fs::read(folder.join(name)).unwrap())
    };
    let [kernel, image] = pack();
    assert!(pack() == [kernel.clone(), image.clone()]);
    assert!(!kernel.ends_with(b"what a debugger reads"));
    assert_eq!(kernel_file::stripped(&kernel), Ok(kernel));
    let bundle = bundle::Bundle::verify(&image).unwrap();
    assert_eq!(bundle.file("b/c"), Some(&b"2"[..]));
}

#[test]
fn an_image_is_as_large_as_was_asked_for() {
    let place = Place::new();
    let folder = built(&place, &[("large", &[1; 2 << 20])]);
    let image = folder.join("dist/demo.img");
    refused(
        place.run(&["pack", "--size-mb", "2"]),
        125,
        &["2097152 bytes", "hint: --size-mb 3 is enough"],
    );
    assert!(!image.exists() && !folder.join("dist/demo.vmlinux").exists());
    place.run(&["pack", "--size-mb", "3", "--readonly"]).data();
    let metadata = fs::metadata(&image).unwrap();
    let mode = |metadata: &fs::Metadata| metadata.permissions().mode() & 0o777;
    // Whoever may read an ordinary file, as the mask of this process has it.
    let readable = mode(&fs::metadata(folder.join("build/vmlinux")).unwrap()) & 0o444;
    assert_eq!((metadata.len(), mode(&metadata)), (3 << 20, readable));
    place.run(&["verify"]).data();
    place.run(&["pack"]).data();
    assert!(fs::metadata(&image).unwrap().len() < 3 << 20);
}

#[test]
fn who_signed_is_told_and_demanded() {
    let place = Place::new();
    built(&place, &[("a", b"1")]);
    for name in ["release", "other"] {
        place.run(&["keygen", name]).data();
    }
    refused(
        place.run(&["keygen", "other"]),
        125,
        &["other.key is there already"],
    );
    place.run(&["pack"]).data();
    refused(
        place.run(&["verify", "--key", "release.pub"]),
        1,
        &["dist/demo.img: it is not signed"],
    );
    place.run(&["pack", "--sign", "release.key"]).data();
    let verified = place.run(&["verify", "--key", "release.pub"]);
    assert!(
        verified.words.contains(", signed by "),
        "{}",
        verified.words
    );
    refused(
        place.run(&["verify", "--key", "other.pub"]),
        1,
        &["somebody else has signed it"],
    );
    refused(
        place.run(&["verify", "--key", "other.key"]),
        125,
        &["no public ed25519 key", "hint:"],
    );
    refused(
        place.run(&["pack", "--sign", "release.pub"]),
        125,
        &["no private ed25519 key", "hint:"],
    );
}

/// A kernel is not checked by anybody but who has its signature.
#[test]
fn a_kernel_is_signed_too() {
    let place = Place::new();
    let folder = built(&place, &[("a", b"1")]);
    place.run(&["keygen", "release"]).data();
    place.run(&["pack", "--sign", "release.key"]).data();
    let kernel = folder.join("dist/demo.vmlinux");
    let verified = place.run(&["verify", "--key", "release.pub"]);
    assert!(
        verified.words.contains("dist/demo.vmlinux: "),
        "{}",
        verified.words
    );
    let whole = fs::read(&kernel).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&kernel, damaged).unwrap();
    refused(
        place.run(&["verify"]),
        1,
        &["dist/demo.vmlinux: its signature is wrong"],
    );
    refused(
        place.run(&["verify", "--key", "release.pub"]),
        1,
        &["demo.vmlinux: its signature is wrong"],
    );
    fs::write(&kernel, whole).unwrap();
    write(&folder.join("dist/demo.vmlinux.sig"), "ed25519 ");
    refused(
        place.run(&["verify"]),
        1,
        &["dist/demo.vmlinux.sig is not a signature"],
    );
    place.run(&["pack"]).data();
    assert!(
        !folder.join("dist/demo.vmlinux.sig").exists(),
        "it was of another kernel"
    );
    place.run(&["verify"]).data();
    refused(
        place.run(&["verify", "dist/demo.vmlinux", "--key", "release.pub"]),
        1,
        &["it is not signed"],
    );
}

/// A signature that is whole, but of something else: only the key finds it out.
#[test]
fn a_signature_of_another_bundle_is_none() {
    let place = Place::new();
    let folder = built(&place, &[("a", b"1")]);
    place.run(&["keygen", "release"]).data();
    place.run(&["pack", "--sign", "release.key"]).data();
    let signed = fs::read(folder.join("dist/demo.img")).unwrap();
    let signature = &signed[signed.len() - 4 * 512..];
    built(&place, &[("a", b"2")]);
    place.run(&["pack"]).data();
    let mut forged = fs::read(folder.join("dist/demo.img")).unwrap();
    forged.truncate(forged.len() - 1024);
    forged.extend_from_slice(signature);
    let path = folder.join("forged.img");
    fs::write(&path, forged).unwrap();
    assert!(image::verify(&path).is_ok(), "its digests are right");
    for arguments in [
        &["verify", "forged.img"][..],
        &["verify", "forged.img", "--key", "release.pub"],
        &["inspect", "forged.img"],
    ] {
        refused(
            place.run(arguments),
            1,
            &["forged.img: its signature is wrong"],
        );
    }
}

#[test]
fn what_was_packed_is_shown() {
    let place = Place::new();
    let folder = built(&place, &[("a/b", b"12345")]);
    refused(
        place.run(&["inspect"]),
        125,
        &["nothing was packed", "hint: pack it first: ukernel pack"],
    );
    place.run(&["pack"]).data();
    let json: Value = serde_json::from_str(&place.run(&["inspect", "--json"]).data()).unwrap();
    let digest = image::verify(&folder.join("build/bundle.tgz"))
        .unwrap()
        .digest
        .to_string();
    assert_eq!(json["digest"], digest);
    assert_eq!(json["options"][1], "env=GREETING=hello there");
    assert_eq!(json["volumes"][0]["name"], "data");
    assert_eq!(json["files"][0]["path"], "a/b");
    assert_eq!(json["files"][0]["size"], 5);
    assert_eq!(json["signed_by"], Value::Null);
    let page = place.run(&["inspect", "build/bundle.tgz"]).data();
    assert!(page.contains(&digest) && page.contains("a/b"), "{page}");
}

#[test]
fn what_was_not_built_is_not_packed() {
    let place = Place::new();
    let folder = built(&place, &[]);
    fs::remove_file(folder.join("build/vmlinux")).unwrap();
    refused(
        place.run(&["pack"]),
        125,
        &[
            "build/vmlinux is not there",
            "hint: build it first: ukernel build",
        ],
    );
    write(&folder.join("build/vmlinux"), "#!/bin/sh");
    refused(place.run(&["pack"]), 125, &["vmlinux: it is not a kernel"]);
    write(&folder.join("build/bundle.tgz"), "no bundle");
    refused(
        place.run(&["verify", "build/bundle.tgz"]),
        1,
        &["build/bundle.tgz: "],
    );
}

/// Bytes between two that are damaged: the crate `bundle` tests every bit.
const APART: usize = 7;

/// As the guest does, which has the same code: wherever it is, and the file is named.
#[test]
fn a_flipped_bit_in_an_image_is_found() {
    let place = Place::new();
    let folder = built(&place, &[("a", b"some content"), ("b", b"")]);
    place.run(&["keygen", "k"]).data();
    place.run(&["pack", "--sign", "k.key"]).data();
    let path = folder.join("dist/demo.img");
    let mut image = fs::read(&path).unwrap();
    for at in (0..image.len()).step_by(APART) {
        image[at] ^= 1 << (at % 8);
        fs::write(&path, &image).unwrap();
        let error = image::verify(&path).expect_err("a flipped bit").to_string();
        let named = [
            "ukernel-bundle",
            ": a is corrupt",
            ": b is corrupt",
            "the end of the archive",
        ];
        assert!(
            named.iter().any(|name| error.contains(name)),
            "byte {at}: {error}"
        );
        image[at] ^= 1 << (at % 8);
    }
    fs::write(&path, &image).unwrap();
    assert!(image::verify(&path).is_ok());
    image[700] ^= 1;
    fs::write(&path, &image).unwrap();
    refused(
        place.run(&["verify"]),
        1,
        &[
            "error: dist/demo.img: ukernel-bundle is corrupt",
            "copy or pack",
        ],
    );
}

#[test]
fn a_full_disk_leaves_no_pair() {
    let place = Place::new();
    let folder = built(&place, &[("large", &[1; LARGE])]);
    place.run(&["pack"]).data();
    let old = fs::read(folder.join("dist/demo.img")).unwrap();
    for (blocks, arguments) in [(8, "pack"), (400, "pack --size-mb 1")] {
        refused(
            with_room(&place, blocks, arguments),
            125,
            &["cannot write ", "demo.img: File too large"],
        );
        assert!(
            fs::read(folder.join("dist/demo.img")).unwrap() == old,
            "the old image is as it was"
        );
        assert!(
            !folder.join("dist/demo.vmlinux").exists(),
            "but there is no pair"
        );
        assert_eq!(
            fs::read_dir(folder.join("dist")).unwrap().count(),
            1,
            "and nothing else"
        );
    }
    place.run(&["pack"]).data();
    assert!(folder.join("dist/demo.vmlinux").exists());
}

/// Makes `path` something that the tool reads until the test has written it.
fn pipe(path: &Path) {
    fs::remove_file(path).expect("it was there");
    mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).expect("a folder that takes pipes");
}

/// The tool waits for the rest of what it reads when it is killed: nothing depends on how fast it is.
#[test]
fn a_killed_pack_leaves_no_pair_and_no_half_image() {
    let place = Place::new();
    let folder = built(&place, &[("large", &[1; LARGE])]);
    place.run(&["pack"]).data();
    let (archive, image) = (
        folder.join("build/bundle.tgz"),
        folder.join("dist/demo.img"),
    );
    let (content, old) = (fs::read(&archive).unwrap(), fs::read(&image).unwrap());
    pipe(&archive);
    let pack = Process::start(&mut place.tool(&["pack"]));
    // More than a pipe holds: when it is written, the tool has read some of it.
    let (path, some) = (archive.clone(), content[..200_000].to_vec());
    let writer = soon("the tool reads", move || {
        let mut writer = fs::OpenOptions::new().write(true).open(path)?;
        writer.write_all(&some).map(|()| writer)
    });
    assert!(pack.is_running(), "it waits for the rest");
    pack.kill();
    drop(writer.expect("the tool reads"));
    assert!(
        fs::read(&image).unwrap() == old,
        "the old image is as it was"
    );
    assert!(
        !folder.join("dist/demo.vmlinux").exists(),
        "but there is no pair"
    );
    let left = fs::read_dir(folder.join("dist"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    for name in left.map(|name| name.into_string().unwrap()) {
        assert!(name == "demo.img" || name.ends_with(".partial"), "{name}");
    }
    fs::remove_file(&archive).unwrap();
    fs::write(&archive, &content).unwrap();
    place.run(&["pack"]).data();
    assert!(fs::read(&image).unwrap() == old && folder.join("dist/demo.vmlinux").exists());
    assert_eq!(
        fs::read_dir(folder.join("dist")).unwrap().count(),
        2,
        "what the killed one was writing is gone"
    );
}
