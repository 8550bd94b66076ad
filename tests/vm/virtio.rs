//! How the drivers treat a device's registers: QEMU's trace of them against Firecracker's rules.

use bundle_tool::machine::{Disk, Qemu, Trace, VmConfig};
use system_tests::demo::{Demo, demo_config, forwarding_nic};
use system_tests::firecracker_rules::{Transport, writes_in_trace};
use system_tests::image::Image;
use system_tests::vm::{boot, config};

/// Runs `use_it` on a machine with one device, and checks every register write. The trace does not say
/// which device a write was for, so there is one.
#[track_caller]
fn check(config: VmConfig, use_it: impl FnOnce(Qemu)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("trace.log");
    let events = vec!["virtio_mmio_write_offset".into()];
    use_it(Qemu::new(config).trace(Trace {
        events,
        file: file.clone(),
    }));
    let log = std::fs::read_to_string(file).expect("QEMU wrote its trace");
    let mut transport = Transport::default();
    let mut count = 0;
    for (offset, value) in writes_in_trace(&log) {
        transport
            .write(offset, value)
            .unwrap_or_else(|why| panic!("write {count}: {why}"));
        count += 1;
    }
    assert!(
        transport.is_running(),
        "after {count} writes the device does not run"
    );
}

#[test]
fn a_network_interface_is_set_up_as_firecracker_demands() {
    let config = config("demo").nic(forwarding_nic()).options("log=info");
    check(config, |qemu| {
        let demo = Demo::on(boot(qemu));
        demo.expect_healthy();
        demo.stop_and_expect_success();
    });
}

#[test]
fn a_disk_is_set_up_as_firecracker_demands() {
    let image = Image::new(1 << 20, 1);
    check(
        config("pipeline").disk(Disk::new(&image.path).read_only()),
        |qemu| {
            boot(qemu).expect_status(0);
        },
    );
}

#[test]
fn an_entropy_device_is_set_up_as_firecracker_demands() {
    check(config("job").argument("rounds=1").entropy(), |qemu| {
        boot(qemu).expect_status(0);
    });
}

#[test]
fn the_demo_runs_with_everything_attached() {
    let images = [Image::new(1 << 20, 1), Image::new(1 << 20, 2)];
    let disks = images.iter().map(|image| Disk::new(&image.path));
    let config = disks.fold(demo_config().entropy(), |config, disk| config.disk(disk));
    let demo = Demo::boot(config);
    demo.expect_healthy();
    demo.stop_and_expect_success();
}
