//! Machines of projects: what they are told, and what cannot be.

use std::fs;

use system_tests::process::Done;

use super::{Host, project};

#[test]
fn what_a_machine_is_told_is_nobody_elses_to_see() {
    let host = Host::new();
    project(&host.place);
    let secret = ["-e", "PASSWORD=open sesame", "--arg", "two words"];
    let run = [&["run", "--vmm", "firecracker", "-d"], &secret[..]].concat();
    assert_eq!(host.run(&run).data(), "demo\n");
    host.wait_until_up("demo");
    let machine = host.look("demo");
    assert_eq!(machine["memory_mib"], 48);
    let folder = host.place.here().join(".ukernel/machines/demo");
    assert_eq!(machine["folder"], folder.display().to_string());
    assert!(!folder.join("settings.img").exists(), "it has them by now");
    let log = host.run(&["logs"]).data();
    assert!(log.contains("command_line=\"bundle="), "{log}");
    for pid in [&machine["supervisor_pid"], &machine["vmm_pid"]] {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&words).contains("sesame"));
    }
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read(&path).unwrap();
        assert!(
            !String::from_utf8_lossy(&text).contains("sesame"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn what_a_project_cannot_do_is_said_with_what_can_be_done() {
    let host = Host::new();
    project(&host.place);
    let wanted = |arguments: &[&str], words: &[&str]| {
        let done = host.run(arguments);
        assert!(
            matches!(done.status, Some(125 | 2)),
            "{arguments:?}: {}",
            done.words
        );
        for word in words {
            assert!(
                done.words.contains(word),
                "{arguments:?}: no '{word}' in {}",
                done.words
            );
        }
    };
    wanted(
        &["run", "--vmm", "firecracker", "-p", "0:80"],
        &["no user-mode network", "--net tap"],
    );
    wanted(
        &["run", "--net", "none", "-p", "0:80"],
        &["user-mode network only"],
    );
    wanted(
        &["run", "--volume", "data=x"],
        &["no volume 'data'", "[volumes]"],
    );
    wanted(&["run", "--disk", "x"], &["--kernel"]);
    wanted(&["run", "-e", "A B=1"], &["A B"]);
    host.place.write("dist/demo.img", "no image");
    wanted(&["run"], &["demo.img", "ukernel pack"]);
    fs::remove_dir_all(host.place.here().join("dist")).unwrap();
    wanted(
        &["run"],
        &["no dist/demo.vmlinux", "ukernel build && ukernel pack"],
    );
    host.place.write(
        "ukernel.toml",
        "[project]\nname = \"demo\"\nlanguage = \"python\"\n",
    );
    wanted(&["run"], &["Python", "ukernel adapter"]);
    fs::remove_file(host.place.here().join("ukernel.toml")).unwrap();
    wanted(&["run"], &["no ukernel.toml", "ukernel init"]);
}

/// As the original had them.
#[test]
fn a_kernel_and_an_image_can_come_from_the_environment() {
    let host = Host::new();
    host.place.write("disk.img", "");
    let mut command = host.tool(&["run", "--real", "--detach"]);
    command
        .env("UKERNEL_KERNEL", host.fake.kernel())
        .env("UKERNEL_ROOTFS", "disk.img");
    assert_eq!(Done::of(&mut command).data(), "kernel\n");
    assert_eq!(host.look("kernel")["vmm"], "firecracker");
    let image = host.place.here().join("disk.img");
    let drives = host.fake.heard("/drives/disk0");
    assert_eq!(drives[0]["path_on_host"], image.display().to_string());
    host.run(&["stop"]).data();
    project(&host.place);
    let mut command = host.tool(&["run", "--real", "--detach"]);
    command.env("UKERNEL_KERNEL", host.fake.kernel());
    assert_eq!(Done::of(&mut command).data(), "demo\n");
    assert_eq!(
        host.look("demo")["kernel"],
        host.fake.kernel().display().to_string()
    );
}

#[test]
fn nonsense_on_the_command_line_is_told_before_anything_starts() {
    let host = Host::new();
    project(&host.place);
    let refused = |arguments: &[&str], words: &[&str]| {
        let done = host.run(&[&["run"], arguments].concat());
        assert_eq!(done.status, Some(2), "{arguments:?}: {}", done.words);
        for word in words {
            let (all, said) = (done.words.as_str(), done.words.contains(word));
            assert!(said, "{arguments:?}: no '{word}' in {all}");
        }
    };
    refused(&["--memory", "1M"], &["2 MiB to 1 TiB"]);
    refused(&["--memory", "1025G"], &["2 MiB to 1 TiB"]);
    refused(&["--vcpu", "33"], &["1..=32"]);
    for seconds in ["0", "4294967296", "18446744073709551615", "1.5"] {
        refused(&["--timeout", seconds], &["--timeout"]);
        let stop = host.run(&["stop", "--timeout", seconds]);
        assert_eq!(stop.status, Some(if seconds == "0" { 125 } else { 2 }));
    }
    refused(&["--name", ""], &["'' is no name"]);
    refused(&["--name", "a b"], &["'a b' is no name"]);
    refused(
        &["--tap", "tap0,script=x"],
        &["no name of a network device"],
    );
    for net in ["user", "none"] {
        refused(
            &["--net", net, "--tap", "tap0"],
            &["--tap is for --net tap"],
        );
    }
    let twice = ["-p", "8081:80", "-p", "8081:81/tcp"];
    refused(&twice, &["tcp port 8081", "forwarded twice"]);
    refused(
        &["-p", "0:80", "--page", "81"],
        &["guest's port 81", "-p 0:81"],
    );
    let firecracker = ["--vmm", "firecracker", "--net", "none", "--accel", "tcg"];
    refused(&firecracker, &["always runs by KVM", "--vmm qemu"]);
    let mut tap = host.tool(&["run", "--net", "tap"]);
    let done = Done::of(tap.env("UKERNEL_TAP", "a,b"));
    assert_eq!(done.status, Some(2), "{}", done.words);
    assert!(done.words.contains("UKERNEL_TAP: 'a,b'"), "{}", done.words);
    let absent = host.run(&["run", "--tap", "no-such-tap"]);
    assert_eq!(absent.status, Some(125), "{}", absent.words);
    assert!(
        absent.words.contains("no network device no-such-tap"),
        "{}",
        absent.words
    );
}
