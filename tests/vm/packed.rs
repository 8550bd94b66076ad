//! What `ukernel pack` makes, run: the tool as a person uses it, on a project whose program is the tests' own.

use std::fs;
use std::path::Path;

use abi::exit::{BUNDLE, SUCCESS};
use bundle::Index;
use bundle_tool::machine::{Accelerator, Disk, Qemu, VmConfig};
use system_tests::guest::guest;
use system_tests::place::Place;
use system_tests::vm::boot;

/// A project that has been built: its kernel is the guest program `program`.
fn project(program: &str) -> Place {
    let place = Place::new();
    let kernel = fs::read(guest(program)).expect("a readable file");
    place.build(
        &kernel,
        settings(),
        &[("texts/hello.txt", b"hello, bundle")],
    );
    place
}

fn settings() -> Index {
    let mut index = Index::new("demo");
    index
        .options
        .extend(["env=GREETING=hi".into(), "net=off".into()]);
    index.volumes.push(bundle::Volume {
        name: "data".into(),
        read_only: false,
    });
    index
}

/// Boots a kernel with a disk of one sector as its last one, and checks what the program finds.
fn expect_to_find(kernel: &Path, image: Option<&Path>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::write(&data, [7; 512]).expect("a file");
    let config = VmConfig::new(kernel);
    let config = image.into_iter().fold(config, |config, image| {
        config.disk(Disk::new(image).read_only())
    });
    let vm = boot(Qemu::with_accelerator(
        config.disk(Disk::new(&data)),
        Accelerator::Tcg,
    ));
    vm.expect_status(SUCCESS);
    vm.expect_in_log(&[
        "packed: began arguments=[] greeting=Some(\"hi\")",
        "packed: file path=texts/hello.txt bytes=13",
        "packed: volume name=data beginning=[7] written=Ok(())",
    ]);
    assert_eq!(fs::read(&data).expect("a file"), [8; 512]);
}

#[test]
fn a_pair_boots() {
    let project = project("packed");
    project.run(&["pack"]).data();
    let path = |name: &str| project.here().join(name);
    let kernel = path("dist/demo.vmlinux");
    expect_to_find(&kernel, Some(&path("dist/demo.img")));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(
        size(&kernel) * 4 < size(&path("build/vmlinux")),
        "symbols are left out"
    );
}

#[test]
fn one_file_boots_and_a_flipped_bit_in_it_does_not() {
    let project = project("packed");
    project.run(&["pack", "--image"]).data();
    let whole = project.here().join("dist/demo.elf");
    expect_to_find(&whole, None);
    let shown = project.run(&["inspect", "dist/demo.elf"]).data();
    assert!(
        shown.contains("texts/hello.txt") && shown.contains("env=GREETING=hi"),
        "{shown}"
    );
    let mut bytes = fs::read(&whole).unwrap();
    let at = bytes
        .windows(5)
        .rposition(|window| window == b"hello")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&whole, bytes).unwrap();
    let refused = project.run(&["verify", "dist/demo.elf"]);
    assert_eq!(refused.status, Some(1), "{}", refused.words);
    let vm = boot(Qemu::with_accelerator(
        VmConfig::new(&whole),
        Accelerator::Tcg,
    ));
    vm.expect_status(BUNDLE);
    vm.expect_in_log(&["bundle: kernel: texts/hello.txt is corrupt"]);
}

#[test]
fn a_program_that_asks_for_no_bundle_is_not_packed_into_one_file() {
    let deaf = project("guest");
    let refused = deaf.run(&["pack", "--image"]);
    assert_eq!(refused.status, Some(125));
    let words = refused.words;
    assert!(
        words.contains("does not ask for a bundle") && words.contains("hint:"),
        "{words}"
    );
    assert!(!deaf.here().join("dist/demo.elf").exists());
    let warns = |project: &Place| {
        let packed = project.run(&["pack"]);
        packed.words.contains("warning: its program will not hear")
    };
    assert!(warns(&deaf));
    assert!(!warns(&project("packed")));
}
