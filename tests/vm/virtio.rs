//! How the drivers treat a device's registers: QEMU's trace of real runs against Firecracker's rules, which
//! are stricter, so that they are kept where there is no Firecracker too.

use bundle_tool::machine::{Disk, Qemu, Trace, VmConfig};
use drivers::testing::check_trace;
use system_tests::demo::{Demo, demo_config};
use system_tests::image::Image;
use system_tests::vm::{boot, config};

/// Runs `use_it` on a machine with `devices` devices, and checks every register write.
#[track_caller]
fn check(config: VmConfig, devices: usize, use_it: impl FnOnce(Qemu)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("trace.log");
    let events = vec!["virtio_mmio_write_offset".into()];
    use_it(Qemu::new(config).trace(Trace {
        events,
        file: file.clone(),
    }));
    let log = std::fs::read_to_string(file).expect("QEMU wrote its trace");
    let report = check_trace(&log);
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.statuses.len(), devices, "{report:#?}");
}

#[test]
fn every_device_is_set_up_as_firecracker_demands() {
    let images = [Image::new(1 << 20, 1), Image::new(1 << 20, 2)];
    let disks = images.iter().map(|image| Disk::new(&image.path));
    let config = disks.fold(demo_config().entropy(), |config, disk| config.disk(disk));
    check(config, 4, |qemu| {
        let demo = Demo::on(boot(qemu));
        demo.expect_healthy();
        demo.stop_and_expect_success();
    });
}

#[test]
fn a_disk_alone_is_set_up_as_firecracker_demands() {
    let image = Image::new(1 << 20, 1);
    check(
        config("pipeline").disk(Disk::new(&image.path).read_only()),
        1,
        |qemu| {
            boot(qemu).expect_status(0);
        },
    );
}
