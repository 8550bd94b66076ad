//! What `ukernel pack` makes, run: the tool as a person uses it, on a project whose program is the tests' own.

use std::fs;
use std::path::Path;

use abi::exit::{BUNDLE, SUCCESS, UNSUPPORTED_MACHINE};
use bundle::{Index, archive};
use bundle_tool::kernel_file::{MAX_CARRIED, carried};
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

/// The kernel's first tables need memory behind the bundle that its first instructions have mapped.
#[test]
fn the_largest_bundle_that_one_file_may_have_boots() {
    let bytes_of = |content: &[u8]| {
        let bundle = archive(Index::new("demo"), &[("large", content)]);
        bundle.expect("valid settings").len()
    };
    // Index and headers take a little; both sizes have as many digits.
    let around = bytes_of(&[1; 10 << 20]) - (10 << 20);
    let content = vec![1; MAX_CARRIED - around];
    assert_eq!(bytes_of(&content), MAX_CARRIED);
    let place = Place::new();
    let kernel = fs::read(guest("packed")).unwrap();
    place.build(&kernel, Index::new("demo"), &[("large", &content)]);
    place.run(&["pack", "--image"]).data();
    let config = VmConfig::new(place.here().join("dist/demo.elf"));
    let vm = boot(Qemu::with_accelerator(config, Accelerator::Tcg));
    vm.expect_status(SUCCESS);
    vm.expect_in_log(&[&format!(
        "packed: file path=large bytes={0} sum={0}",
        MAX_CARRIED - around
    )]);
}

/// Whoever changed the two words by which a kernel finds what it carries: it does not look at what is no memory, or no bundle.
#[test]
fn a_bundle_that_is_not_where_the_kernel_says_ends_the_machine() {
    let project = project("packed");
    project.run(&["pack", "--image"]).data();
    let whole = fs::read(project.here().join("dist/demo.elf")).unwrap();
    let length = carried(&whole).expect("it carries one").len() as u64;
    let at = words_in(&whole, length);
    for (address, length, status, expected) in [
        (
            1 << 40,
            length,
            UNSUPPORTED_MACHINE,
            "boot: a boot module lies outside of RAM or in the kernel",
        ),
        (
            0x10_0000,
            4096,
            UNSUPPORTED_MACHINE,
            "boot: a boot module lies outside of RAM or in the kernel",
        ),
        (64 << 20, 4096, BUNDLE, "bundle: kernel: this is no bundle"),
    ] {
        let mut changed = whole.clone();
        changed[at..at + 8].copy_from_slice(&u64::to_le_bytes(address));
        changed[at + 8..at + 16].copy_from_slice(&u64::to_le_bytes(length));
        let path = project.here().join("changed.elf");
        fs::write(&path, changed).unwrap();
        let vm = boot(Qemu::with_accelerator(
            VmConfig::new(&path),
            Accelerator::Tcg,
        ));
        vm.expect_status(status);
        vm.expect_in_log(&[expected]);
    }
}

/// Where in the file the words are: a page's address, and the length, behind each other, as no header has them.
fn words_in(kernel: &[u8], length: u64) -> usize {
    let is_page =
        |bytes: &[u8]| bytes[0] == 0 && bytes[1] & 0xf == 0 && bytes[8..16] == length.to_le_bytes();
    let found: Vec<usize> = (0x1000..kernel.len() - 16)
        .step_by(8)
        .filter(|&at| is_page(&kernel[at..at + 16]) && kernel[at..at + 8] != [0; 8])
        .collect();
    found[0]
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
