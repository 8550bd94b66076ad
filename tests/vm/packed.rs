//! What `ukernel pack` makes, run: the tool as a person uses it, on a project whose program is the tests' own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use abi::exit::{BUNDLE, SUCCESS};
use bundle::{Index, archive};
use bundle_tool::machine::{Accelerator, Disk, Qemu, VmConfig};
use system_tests::guest::{guest, tool};
use system_tests::vm::boot;
use tempfile::TempDir;

/// A project that has been built: its kernel is the guest program `program`.
struct Project(TempDir);

impl Project {
    fn new(program: &str, settings: Index) -> Project {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("build")).expect("a folder");
        let manifest = "[project]\nname = \"demo\"\nlanguage = \"rust\"\n";
        fs::write(path("ukernel.toml"), manifest).expect("a file");
        fs::copy(guest(program), path("build/vmlinux")).expect("a file");
        // The tool takes an archive that is not compressed, too.
        let files: [(&str, &[u8]); 1] = [("texts/hello.txt", b"hello, bundle")];
        let bundle = archive(settings, &files).expect("valid settings");
        fs::write(path("build/bundle.tgz"), bundle).expect("a file");
        Project(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn ukernel(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(tool());
        command.args(arguments).current_dir(self.0.path());
        command.output().expect("ukernel runs")
    }

    #[track_caller]
    fn expect(&self, arguments: &[&str]) -> String {
        let output = self.ukernel(arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {words}");
        String::from_utf8(output.stdout).expect("text")
    }
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
    let project = Project::new("packed", settings());
    project.expect(&["pack"]);
    let (kernel, image) = (
        project.path("dist/demo.vmlinux"),
        project.path("dist/demo.img"),
    );
    expect_to_find(&kernel, Some(&image));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(
        size(&kernel) * 4 < size(&project.path("build/vmlinux")),
        "symbols are left out"
    );
}

#[test]
fn one_file_boots_and_a_flipped_bit_in_it_does_not() {
    let project = Project::new("packed", settings());
    project.expect(&["pack", "--image"]);
    let whole = project.path("dist/demo.elf");
    expect_to_find(&whole, None);
    let shown = project.expect(&["inspect", "dist/demo.elf"]);
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
    let refused = project.ukernel(&["verify", "dist/demo.elf"]);
    assert_eq!(refused.status.code(), Some(1));
    let vm = boot(Qemu::with_accelerator(
        VmConfig::new(&whole),
        Accelerator::Tcg,
    ));
    vm.expect_status(BUNDLE);
    vm.expect_in_log(&["bundle: kernel: texts/hello.txt is corrupt"]);
}

#[test]
fn a_program_that_asks_for_no_bundle_is_not_packed_into_one_file() {
    let project = Project::new("guest", settings());
    let output = project.ukernel(&["pack", "--image"]);
    assert_eq!(output.status.code(), Some(125));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("does not ask for a bundle") && words.contains("hint:"),
        "{words}"
    );
    assert!(!project.path("dist/demo.elf").exists());
    let warns = |project: &Project| {
        let words = project.ukernel(&["pack"]).stderr;
        String::from_utf8_lossy(&words).contains("warning: its program will not hear")
    };
    assert!(warns(&project));
    assert!(!warns(&Project::new("packed", settings())));
}
