//! What a guest writes to a disk is in the image when the machine has ended; what fails, fails the
//! request that had it.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Disk, DiskFault, DiskOperation, Qemu};
use system_tests::client::Pattern;
use system_tests::image::Image;
use system_tests::vm::{TestVm, boot, config};

const SECTOR: usize = 512;
const MIB: usize = 1 << 20;
/// Sectors of a piece of the guest's mode `disk-places`.
const PLACE: usize = 4;

/// The guest with one disk. QEMU may not merge requests that lie side by side: an error of one would be an
/// error of all.
fn guest(disk: Disk, arguments: &[&str]) -> TestVm {
    let config = arguments
        .iter()
        .fold(config("guest").disk(disk), |config, argument| {
            config.argument(*argument)
        });
    boot(Qemu::new(config).extra(["-global", "virtio-blk-device.request-merging=off"]))
}

fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Pattern::new(seed).fill(&mut bytes);
    bytes
}

/// A number behind `name=` on a line.
#[track_caller]
fn number(line: &str, name: &str) -> usize {
    let value = line.split(&format!(" {name}=")).nth(1);
    let digits = value.and_then(|value| value.split(' ').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {line}"))
}

#[test]
fn a_pattern_is_in_the_image_and_nothing_beside_it() {
    const FIRST: usize = 13;
    const COUNT: usize = 8001;
    let image = Image::new(4 * MIB + 3 * SECTOR, 11);
    let vm = guest(
        Disk::new(&image.path),
        &["disk-pattern", "77", &FIRST.to_string(), &COUNT.to_string()],
    );
    let line = vm.expect_line("guest: disk written");
    assert!(
        number(&line, "requests") > number(&line, "pieces"),
        "a large piece takes several: {line}"
    );
    assert_eq!(number(&line, "flushes"), 1, "{line}");
    // There are some seven hundred at once: the driver takes 256, the device 64 of them.
    assert_eq!(number(&line, "in_flight"), 64, "{line}");
    assert_eq!(number(&line, "queued"), 256, "{line}");
    vm.expect_line("guest: disk read back");
    vm.expect_status(SUCCESS);

    let mut expected = image.content.clone();
    expected[FIRST * SECTOR..][..COUNT * SECTOR].copy_from_slice(&pattern(77, COUNT * SECTOR));
    assert_same(&std::fs::read(&image.path).unwrap(), &expected);
}

#[track_caller]
fn assert_same(actual: &[u8], expected: &[u8]) {
    assert_eq!(actual.len(), expected.len());
    let differing = (0..actual.len()).find(|&at| actual[at] != expected[at]);
    assert_eq!(differing, None, "offset of the first byte that differs");
}

#[test]
fn an_error_fails_the_write_that_met_it_and_no_other() {
    let fault = |operation, sector, once| DiskFault {
        operation,
        sector,
        once,
    };
    let image = Image::new(MIB, 12);
    let disk = Disk::new(&image.path)
        .fault(fault(DiskOperation::Write, Some(402), false))
        .fault(fault(DiskOperation::Write, Some(1001), true))
        .fault(fault(DiskOperation::Flush, None, true));
    let vm = guest(disk, &["disk-places", "5"]);
    vm.expect_line("guest: write failed round=1 sector=400 error=Io");
    vm.expect_line("guest: write failed round=1 sector=1000 error=Io");
    vm.expect_line("guest: round over round=1 succeeded=510 flush=Err(Io)");
    vm.expect_line("guest: write failed round=2 sector=400 error=Io");
    vm.expect_line("guest: round over round=2 succeeded=511 flush=Ok(())");
    vm.expect_status(SUCCESS);

    let mut expected = pattern(6, MIB);
    let failed = 400 * SECTOR..(400 + PLACE) * SECTOR;
    expected[failed.clone()].copy_from_slice(&image.content[failed]);
    assert_same(&std::fs::read(&image.path).unwrap(), &expected);
}

#[test]
fn a_read_only_disk_refuses_writes_and_is_read() {
    let image = Image::new(MIB, 13);
    let vm = guest(Disk::new(&image.path).read_only(), &["disk-refused"]);
    let sum: u64 = image.content[..SECTOR]
        .iter()
        .map(|&byte| u64::from(byte))
        .sum();
    vm.expect_line(&format!(
        "guest: writes refused results=[Err(ReadOnly), Err(ReadOnly), Err(ReadOnly)] flush=Ok(()) sum={sum}"
    ));
    vm.expect_status(SUCCESS);
    assert_same(&std::fs::read(&image.path).unwrap(), &image.content);
}
