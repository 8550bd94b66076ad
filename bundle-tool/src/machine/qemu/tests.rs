//! Golden files: each test's command line, one argument a line, stands in `bundle-tool/golden/`.
//! `UPDATE_GOLDEN=1 cargo test -p bundle-tool` rewrites them; read the difference before committing.

use super::super::config::Forward;
use super::*;

fn config() -> VmConfig {
    VmConfig::new("kernel.elf")
}

fn tcg(config: VmConfig) -> Qemu {
    Qemu::with_accelerator(config, Accelerator::Tcg)
}

#[track_caller]
fn check(name: &str, qemu: &Qemu) {
    let arguments = qemu.arguments(Path::new("/run/vm/qmp")).expect("supported");
    let mut actual = String::new();
    for argument in &arguments {
        actual.push_str(argument.to_str().expect("UTF-8"));
        actual.push('\n');
    }
    let file = format!("{}/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &actual).expect("golden file is writable");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(actual, expected, "differs from {file}");
}

#[test]
fn a_bare_microvm() {
    check("qemu-microvm", &tcg(config()));
}

#[test]
fn a_worker_with_disk_network_and_entropy() {
    let config = config()
        .memory_mib(32)
        .options("log=debug net=dhcp")
        .argument("serve")
        .disk(Disk::new("data, old.img").read_only())
        .disk(Disk::new("scratch.img"))
        .nic(Nic::user([Forward::tcp(8080, 8080), Forward::udp(7007, 7)]))
        .entropy();
    check("qemu-worker", &tcg(config));
}

#[test]
fn a_pc_takes_pci_devices_and_a_module() {
    let config = config()
        .initrd("module.bin")
        .disk(Disk::new("a.img"))
        .nic(Nic::user([]));
    check("qemu-pc", &tcg(config.clone()).machine(MachineType::Pc));
    check("qemu-q35", &tcg(config).machine(MachineType::Q35));
}

#[test]
fn a_disk_that_fails_and_is_slow() {
    let read = DiskFault {
        operation: DiskOperation::Read,
        sector: Some(8),
        once: false,
    };
    let flush = DiskFault {
        operation: DiskOperation::Flush,
        sector: None,
        once: true,
    };
    let disk = Disk::new("a.img")
        .fault(read)
        .fault(flush)
        .requests_per_second(200);
    check("qemu-disk-faults", &tcg(config().disk(disk)));
}

#[test]
fn networks_other_than_the_users() {
    let mut tap = Nic::tap("tap0");
    tap.mac = Some("52:54:00:00:00:01".into());
    check(
        "qemu-networks",
        &tcg(config().nic(tap).nic(Nic::datagram("/run/a", "/run/b"))),
    );
}

#[test]
fn kvm_with_and_without_the_processors_help() {
    for (name, hardware) in [("qemu-kvm", true), ("qemu-kvm-emulated", false)] {
        check(
            name,
            &Qemu::with_accelerator(config(), Accelerator::Kvm { hardware }),
        );
    }
}

#[test]
fn tools_that_watch_the_guest() {
    let mut qemu = tcg(config())
        .cpu("qemu64")
        .plugin(Plugin {
            path: "gauge.so".into(),
            options: vec!["start=0x100000".into()],
        })
        .trace(Trace {
            events: vec!["virtio_mmio_write_offset".into()],
            file: "trace.log".into(),
        })
        .extra(["-icount", "shift=0"]);
    qemu.gdb_port = Some(1234);
    check("qemu-tools", &qemu);
}
