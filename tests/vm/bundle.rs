//! What is packed beside a program: found and checked before anything runs, or a clear end.

use std::fs;
use std::path::PathBuf;

use abi::exit::{BUNDLE, SUCCESS};
use bundle::{Digest, INDEX, Index, Volume, archive, tar};
use bundle_tool::machine::{Accelerator, Disk, Qemu, VmConfig};
use system_tests::vm::{TestVm, boot, c_config, config};
use tempfile::TempDir;

const HELLO: (&str, &[u8]) = ("texts/hello.txt", b"hello, bundle");

/// Images in a folder of their own.
struct Images(TempDir);

impl Images {
    fn new() -> Images {
        Images(tempfile::tempdir().expect("a temporary folder"))
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a temporary file");
        path
    }

    /// A machine with the test program and these disks, whose second and later ones may be written.
    fn machine(&self, disks: &[&[u8]]) -> VmConfig {
        (0..)
            .zip(disks)
            .fold(config("packed"), |config, (number, disk)| {
                config.disk(Disk::new(self.put(&format!("disk{number}"), disk)))
            })
    }
}

fn start(config: VmConfig) -> TestVm {
    boot(Qemu::with_accelerator(config, Accelerator::Tcg))
}

/// Checks what a machine says and that it ends well. It is gone then: a test that has two at once waits for others.
fn expect_success(config: VmConfig, words: &[&str]) {
    let vm = start(config);
    vm.expect_status(SUCCESS);
    vm.expect_in_log(words);
}

fn settings(name: &str) -> Index {
    let mut index = Index::new(name);
    index.options.push("env=GREETING=hello there".into());
    index.options.push("net=off".into());
    index.arguments.extend(["serve".into(), "two words".into()]);
    index
}

fn with_volumes() -> Index {
    let mut index = settings("demo");
    for (name, read_only) in [("data", false), ("keys", true)] {
        let name = name.into();
        index.volumes.push(Volume { name, read_only });
    }
    index
}

fn image() -> Vec<u8> {
    archive(settings("demo"), &[HELLO]).expect("valid settings")
}

fn digest(image: &[u8]) -> Digest {
    bundle::Bundle::verify(image).expect("it is whole").digest()
}

/// Checks that a machine ends before its workload begins, and says why.
fn expect_refused(config: VmConfig, words: &[&str]) {
    let vm = start(config);
    vm.expect_status(BUNDLE);
    vm.expect_in_log(words);
    let log = vm.log().text();
    assert!(!log.contains("packed:"), "the workload began:\n{log}");
}

#[test]
fn files_settings_and_volumes_are_there() {
    let images = Images::new();
    let large: Vec<u8> = (0..1_000_001_u32).map(|n| (n % 251) as u8).collect();
    let sum: u64 = large.iter().map(|&byte| u64::from(byte)).sum();
    let image = archive(with_volumes(), &[HELLO, ("large", &large)]).unwrap();
    let config = images.machine(&[&image, &[7; 512], &[9; 512]]);
    expect_success(
        config.options(&format!("bundle={}", digest(&image))),
        &[
            "bundle: verified name=demo files=2 volumes=2",
            "packed: began arguments=[\"serve\", \"two words\"] greeting=Some(\"hello there\")",
            "packed: networks=0 disks=3",
            "packed: file path=texts/hello.txt bytes=13 sum=1242 beginning=\"hello, bundle\"",
            &format!("packed: file path=large bytes=1000001 sum={sum} "),
            "packed: volume name=data beginning=[7] written=Ok(())",
            "packed: volume name=keys beginning=[9] written=Err(ReadOnly)",
            "packed: disk 0 read_only=true",
        ],
    );
    let disk = |number| fs::read(images.0.path().join(format!("disk{number}"))).unwrap();
    assert_eq!(disk(1), [8; 512]);
    assert_eq!(disk(2), [9; 512]);
    assert!(disk(0) == image);
}

#[test]
fn a_flipped_bit_ends_the_machine_before_the_workload() {
    let images = Images::new();
    let whole = image();
    let content = whole
        .windows(5)
        .rposition(|bytes| bytes == b"hello")
        .unwrap();
    let index = whole
        .windows(8)
        .position(|bytes| bytes == b"GREETING")
        .unwrap();
    for (at, words) in [
        (
            content,
            "bundle: disk0: texts/hello.txt is corrupt: its content is not what its SHA-256 says",
        ),
        (index, "bundle: disk0: ukernel-bundle is corrupt"),
        (3, "bundle: disk0: ukernel-bundle is corrupt: its header"),
        (
            whole.len() - 1,
            "bundle: disk0: the end of the archive is corrupt",
        ),
    ] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        expect_refused(images.machine(&[&damaged]), &[words]);
    }
    expect_refused(
        images.machine(&[&whole[..1536]]),
        &["bundle: disk0: the bundle is cut off in texts/hello.txt"],
    );
}

#[test]
fn the_bundle_that_is_demanded_must_be_there() {
    let images = Images::new();
    let image = image();
    let other = digest(&archive(settings("other"), &[]).unwrap());
    let config = images
        .machine(&[&image])
        .options(&format!("bundle={other}"));
    expect_refused(
        config,
        &[&format!("bundle: another one: bundle={other} was demanded")],
    );
    let missing = "bundle: missing: neither the first disk nor the initrd has one";
    expect_refused(
        images.machine(&[&[0; 4096]]).options("bundle=required"),
        &[missing],
    );
    expect_refused(
        config_without_disk().options(&format!("bundle={other}")),
        &[missing],
    );
    expect_refused(
        images.machine(&[&image]).options("bundle=yes"),
        &["bundle= takes `required`"],
    );
    let image = archive(with_volumes(), &[]).unwrap();
    let volume = "bundle: the volume keys is missing: attach it as disk 2";
    expect_refused(images.machine(&[&image, &[0; 512]]), &[volume]);
}

fn config_without_disk() -> VmConfig {
    config("packed")
}

#[test]
fn a_program_goes_on_without_a_bundle_that_nobody_demands() {
    expect_success(
        config_without_disk().argument("now"),
        &[
            "packed: began arguments=[\"now\"]",
            "packed: nothing was packed",
        ],
    );
}

#[test]
fn what_is_too_new_or_too_large_says_so() {
    let images = Images::new();
    let mut text = "ukernel-bundle 2\nsomething new\n".to_string();
    text += &format!("end {}\n", Digest::of(text.as_bytes()));
    let size = text.len() as u64;
    let mut newer = tar::header(INDEX, size).unwrap().to_vec();
    newer.extend(text.bytes());
    newer.extend(tar::padding(size));
    newer.extend(tar::END);
    let words = "bundle: disk0: ukernel-bundle has version 2, and this reads versions up to 1";
    expect_refused(images.machine(&[&newer]), &[words]);
    let large = archive(settings("large"), &[("large", &vec![1; 12 << 20])]).unwrap();
    let words = [
        "bundle: disk0: the bundle takes ",
        "give the machine more memory",
    ];
    expect_refused(images.machine(&[&large]).memory_mib(16), &words);
}

#[test]
fn the_initrd_is_a_bundle_too_and_comes_on_top() {
    let images = Images::new();
    let mut over = Index::new("run");
    over.options.push("env=GREETING=from the initrd".into());
    let module = images.put("module", &archive(over, &[]).unwrap());
    let config = images.machine(&[&image()]).initrd(&module).argument("line");
    expect_success(
        config,
        &[
            "bundle: verified name=demo",
            "bundle: more in the initrd name=run",
            "packed: began arguments=[\"line\"] greeting=Some(\"from the initrd\")",
        ],
    );
    let alone = images.put("alone", &image());
    expect_success(
        config_without_disk().initrd(&alone),
        &[
            "packed: began arguments=[\"serve\", \"two words\"]",
            "path=texts/hello.txt",
        ],
    );
    let mut damaged = image();
    let at = damaged
        .windows(5)
        .rposition(|bytes| bytes == b"hello")
        .unwrap();
    damaged[at] ^= 1;
    let damaged = images.put("damaged", &damaged);
    expect_refused(
        config_without_disk().initrd(&damaged),
        &["bundle: initrd: texts/hello.txt is corrupt"],
    );
}

#[test]
fn a_program_in_c_reads_what_was_packed() {
    let images = Images::new();
    let image = archive(with_volumes(), &[HELLO]).unwrap();
    let mut config = c_config("packed");
    config.disks = images.machine(&[&image, &[7; 512], &[9; 512]]).disks;
    expect_success(config, &["hello, bundle", "two words"]);
}
