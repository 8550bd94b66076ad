//! What is concluded from machines of all kinds, none of which is this one.

use super::*;
use crate::machine::KvmState;

fn found(says: &str) -> Program {
    Program::Found {
        path: "/usr/bin/x".into(),
        says: says.into(),
    }
}

/// A machine on which everything is as it should be.
fn good() -> Facts {
    Facts {
        root: false,
        user: "ann".into(),
        packages: Some(PackageManager::Apt),
        kvm: Kvm {
            state: KvmState::Works,
            hardware: Some("vmx".into()),
            permissions: Some("crw-rw---- root:kvm".into()),
            group: Some("kvm".into()),
        },
        firecracker: found("Firecracker v1.13.1"),
        qemu: found("QEMU emulator version 7.2.22"),
        tap: Tap {
            tun: Ok(()),
            net_admin: false,
            devices: vec!["tap0".into()],
        },
        rust: Rust {
            compiler: found("rustc 1.95.0 (x)"),
            cargo: found("cargo 1.95.0"),
            target: true,
            rustup: true,
        },
        compiler: found("cc (Debian 12.2.0-14) 12.2.0"),
        python: found("Python 3.11.2"),
        rsync: found("rsync  version 3.2.7  protocol version 31"),
        cache: Disk {
            folder: "/home/ann/.cache/ukernel".into(),
            free: Some(64 << 30),
        },
    }
}

/// A good machine, but for something.
fn but(change: impl FnOnce(&mut Facts)) -> Report {
    let mut facts = good();
    change(&mut facts);
    Report::of(&facts)
}

impl Check {
    #[track_caller]
    fn fix(&self) -> &str {
        match &self.fix {
            Some(Fix::Command(text) | Fix::Advice(text)) => text,
            None => panic!("what is not good has a fix: {self:?}"),
        }
    }
}

impl Report {
    #[track_caller]
    fn check(&self, name: &str) -> &Check {
        let check = self.checks.iter().find(|check| check.name == name);
        check.expect("a check of that name")
    }

    /// The command that is to fix the only thing that is not good.
    #[track_caller]
    fn only_fix(&self, name: &str) -> &str {
        let bad: Vec<&str> = self
            .checks
            .iter()
            .filter(|check| check.status != Status::Good)
            .map(|check| check.name.as_str())
            .collect();
        assert_eq!(bad, [name]);
        self.check(name).fix()
    }
}

#[test]
fn a_good_machine_needs_nothing() {
    let report = but(|_| ());
    for check in &report.checks {
        assert_eq!(
            (check.status, &check.fix),
            (Status::Good, &None),
            "{check:?}"
        );
    }
    assert!(report.build.possible);
    assert_eq!(
        (report.run.possible, report.run.how.as_str()),
        (true, "Firecracker")
    );
}

#[test]
fn a_device_that_may_not_be_opened_wants_its_group() {
    let closed = |facts: &mut Facts| facts.kvm.state = KvmState::Closed("Permission denied".into());
    let report = but(closed);
    assert_eq!(
        report.only_fix("kvm"),
        "sudo usermod -aG kvm ann # then log in again"
    );
    assert!(report.check("kvm").detail.contains("crw-rw---- root:kvm"));
    assert_eq!(
        report.run.how,
        "QEMU with TCG, which needs no rights and is slower than KVM"
    );
    let of_root = but(|facts| {
        closed(facts);
        facts.kvm.group = Some("root".into());
    });
    assert_eq!(of_root.only_fix("kvm"), "sudo setfacl -m u:ann:rw /dev/kvm");
}

#[test]
fn a_device_that_opens_is_not_yet_a_hypervisor() {
    let nothing = but(|facts| {
        facts.kvm.state = KvmState::Closed("Permission denied".into());
        facts.kvm.hardware = None;
    });
    assert!(nothing.only_fix("kvm").contains("nested"), "no group helps");
    let busy = but(|facts| facts.kvm.state = KvmState::NoVm("Device or resource busy".into()));
    assert!(busy.check("kvm").detail.contains("Device or resource busy"));
    assert!(busy.run.how.contains("TCG"));
    let emulated = but(|facts| facts.kvm.hardware = None);
    assert_eq!(emulated.check("kvm").status, Status::Limited);
    assert!(emulated.only_fix("kvm").contains("nested"));
    assert!(emulated.run.how.contains("TCG"));
}

#[test]
fn a_missing_device_wants_the_processors_module() {
    for (flag, module) in [("vmx", "kvm_intel"), ("svm", "kvm_amd")] {
        let report = but(|facts| {
            facts.kvm.state = KvmState::NoDevice;
            facts.kvm.hardware = Some(flag.into());
        });
        assert_eq!(report.only_fix("kvm"), format!("sudo modprobe {module}"));
    }
}

#[test]
fn either_vmm_is_enough_with_kvm() {
    let no_qemu = but(|facts| facts.qemu = Program::Missing);
    assert!(no_qemu.run.possible && no_qemu.run.how.contains("forwarded ports need qemu"));
    assert_eq!(
        no_qemu.only_fix("qemu"),
        "sudo apt-get install -y qemu-system-x86"
    );
    let no_firecracker = but(|facts| facts.firecracker = Program::Missing);
    assert_eq!(no_firecracker.run.how, "QEMU with KVM");
    let fix = no_firecracker.only_fix("firecracker");
    assert!(
        fix.contains("curl ") && fix.contains("sudo install"),
        "{fix}"
    );
}

/// What the shell is told, with a network and root of its own. `latest` is where the page of the latest release leads to.
fn installed(fix: &str, latest: &str) -> (bool, String) {
    let script = format!(
        r#"page={latest}
curl() {{
    case "$*" in
        "-fsSLI -o /dev/null -w %{{url_effective}} https://github.com/firecracker-microvm/firecracker/releases/latest")
            [ -n "$page" ] && echo "$page" ;;
        "-fL https://github.com/firecracker-microvm/firecracker/releases/download/v9.8.7/firecracker-v9.8.7-x86_64.tgz")
            mkdir release-v9.8.7-x86_64 && echo the program > release-v9.8.7-x86_64/firecracker-v9.8.7-x86_64 &&
                tar -cz release-v9.8.7-x86_64 ;;
        *) return 22 ;;
    esac
}}
sudo() {{ cat "$2" && echo "$1 $3"; }}
{fix}"#
    );
    let folder = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new("sh")
        .env("TMPDIR", folder.path())
        .args(["-c", &script])
        .output();
    let output = output.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text)
}

#[test]
fn the_latest_firecracker_is_installed_whatever_its_number() {
    let report = but(|facts| facts.firecracker = Program::Missing);
    let fix = report.only_fix("firecracker");
    let latest = "https://github.com/firecracker-microvm/firecracker/releases/tag/v9.8.7";
    let expected = "the program\ninstall /usr/local/bin/firecracker\n";
    assert_eq!(installed(fix, latest), (true, expected.into()));
    assert_eq!(installed(fix, "''"), (false, String::new()), "no network");
    assert!(!installed(fix, "https://github.com/login").0, "no release");
}

#[test]
fn without_kvm_only_qemu_will_do() {
    let report = but(|facts| {
        facts.kvm.hardware = None;
        facts.qemu = Program::Missing;
    });
    assert!(!report.run.possible);
    assert!(report.build.possible);
    assert_eq!(report.check("qemu").status, Status::Missing);
    assert!(report.run.how.contains("qemu"), "{}", report.run.how);
}

#[test]
fn a_vmm_that_does_not_run_is_as_good_as_none() {
    let report = but(|facts| {
        let fails = Program::Fails {
            path: "/usr/bin/x".into(),
            error: "cannot execute binary file".into(),
        };
        facts.qemu = fails.clone();
        facts.firecracker = fails;
    });
    assert!(!report.run.possible);
    assert!(
        report
            .check("firecracker")
            .detail
            .contains("cannot execute")
    );
}

#[test]
fn what_is_too_old_is_told() {
    let old = but(|facts| facts.rust.compiler = found("rustc 1.80.1 (x)"));
    assert_eq!(old.check("rust").status, Status::Missing);
    assert!(old.check("rust").detail.contains("1.95"));
    assert!(old.only_fix("rust").starts_with("rustup toolchain install"));
    assert_eq!(old.build.how, "needs: rust");
    let old = but(|facts| facts.firecracker = found("Firecracker v1.7.0"));
    assert_eq!(old.check("firecracker").status, Status::Limited);
    let old = but(|facts| facts.python = found("Python 3.9.1"));
    assert_eq!(old.check("python").status, Status::Limited);
    assert!(old.build.possible, "only Python's projects need it");
}

#[test]
fn building_needs_a_toolchain_with_the_guests_target() {
    let report = but(|facts| facts.rust.target = false);
    assert_eq!(
        report.only_fix("target"),
        "rustup target add x86_64-unknown-none"
    );
    assert_eq!(
        (report.build.possible, report.build.how.as_str()),
        (false, "needs: target")
    );
    assert!(report.run.possible);
    let nothing = but(|facts| {
        facts.rust.compiler = Program::Missing;
        facts.rust.target = false;
        facts.rust.rustup = false;
        facts.compiler = Program::Missing;
    });
    assert_eq!(nothing.build.how, "needs: rust, target, compiler");
    let fix = nothing.check("rust").fix();
    assert!(
        fix.contains("sh.rustup.rs") && fix.contains("--target x86_64-unknown-none"),
        "{fix}"
    );
    assert!(
        nothing.commands().all(|(name, _)| name != "target"),
        "one command brings both"
    );
    let no_cargo = but(|facts| facts.rust.cargo = Program::Missing);
    assert_eq!(no_cargo.build.how, "needs: rust");
}

#[test]
fn a_disk_that_is_full_stops_builds_and_one_that_fills_is_told() {
    let free = |free| but(move |facts| facts.cache.free = free);
    assert_eq!(free(Some(1 << 30)).check("cache").status, Status::Limited);
    assert!(free(Some(1 << 30)).build.possible);
    assert_eq!(free(Some(100 << 20)).build.how, "needs: cache");
    assert!(
        free(Some(100 << 20))
            .check("cache")
            .detail
            .contains("100 MiB")
    );
    assert!(!free(None).build.possible);
}

#[test]
fn taps_are_for_whoever_may_make_or_use_one() {
    let none = but(|facts| facts.tap.devices.clear());
    assert!(
        none.only_fix("tap")
            .starts_with("sudo ip tuntap add dev tap0 mode tap user ann && sudo ip")
    );
    assert!(none.run.possible);
    let may_make = but(|facts| {
        facts.tap.devices.clear();
        facts.tap.net_admin = true;
    });
    assert_eq!(may_make.check("tap").status, Status::Good);
    let closed = but(|facts| facts.tap.tun = Err("No such file or directory".into()));
    assert_eq!(closed.only_fix("tap"), "sudo modprobe tun");
}

#[test]
fn scripts_get_the_same_words() {
    let json = serde_json::to_value(but(|facts| facts.qemu = Program::Missing)).unwrap();
    assert_eq!(json["run"]["possible"], true);
    assert_eq!(json["checks"][0]["name"], "kvm");
    assert_eq!(json["checks"][0]["fix"], serde_json::Value::Null);
    assert_eq!(json["checks"][2]["status"], "limited");
}
