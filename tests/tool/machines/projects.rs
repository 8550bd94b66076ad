//! Machines of projects: what they are told, and what cannot be.

use std::fs;

use super::{Host, project};
use crate::place::Done;

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
