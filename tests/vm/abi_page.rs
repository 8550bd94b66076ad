//! The programs in C of `docs/kernel-abi.md`: each does what the page says below it. `kernel/build/c-all.sh` builds them.

use std::collections::BTreeSet;
use std::fs;

use bundle_tool::machine::{Disk, Forward, Nic, Qemu};
use bundle_tool::trace::Recording;
use system_tests::client::echo_tcp;
use system_tests::guest::repository;
use system_tests::vm::{TestVm, boot, c_config};
use tempfile::NamedTempFile;

/// A program of the page in one of its surroundings.
struct Run {
    /// The section, and the number in it from 2 on.
    name: &'static str,
    option: Option<&'static str>,
    /// A disk full of this byte.
    disk: Option<u8>,
    status: u8,
    logged: Option<&'static str>,
}

impl Run {
    const fn new(name: &'static str, status: u8) -> Run {
        Run {
            name,
            option: None,
            disk: None,
            status,
            logged: None,
        }
    }

    const fn option(mut self, option: &'static str) -> Run {
        self.option = Some(option);
        self
    }

    const fn disk(mut self, byte: u8) -> Run {
        self.disk = Some(byte);
        self
    }

    const fn logged(mut self, text: &'static str) -> Run {
        self.logged = Some(text);
        self
    }

    fn boot(&self) -> TestVm {
        let mut config = c_config(&format!("page/{}", self.name));
        if let Some(option) = self.option {
            config = config.options(option);
        }
        let file = self.disk.map(|byte| {
            let file = NamedTempFile::new().expect("a temporary file");
            fs::write(&file, vec![byte; 10_240]).expect("it can be written");
            file
        });
        if let Some(file) = &file {
            config = config.disk(Disk::new(file.path()).read_only());
        }
        let vm = boot(Qemu::new(config));
        vm.expect_status(self.status);
        vm
    }

    /// What the page has to say of it.
    fn said(&self) -> Vec<String> {
        let option = self.option.map(|option| format!("`--append {option}`"));
        let logged = self.logged.map(|text| format!("logs `{text}`"));
        let status = format!("status {}", self.status);
        option.into_iter().chain(logged).chain([status]).collect()
    }
}

const RUNS: [Run; 15] = [
    Run::new("a-first-program", 0).logged("hello from C"),
    Run::new("about-the-interface", 0),
    Run::new("capabilities", 0),
    Run::new("tasks", 0),
    Run::new("time", 0),
    Run::new("waiting", 0),
    Run::new("memory", 0),
    Run::new("messages", 0),
    Run::new("messages-2", 1),
    Run::new("files-and-disks", 0).disk(0),
    Run::new("files-and-disks", 4).disk(7),
    Run::new("files-and-disks", 2),
    Run::new("logs-and-traces", 0).logged("work: done"),
    Run::new("surroundings", 0),
    Run::new("surroundings", 1).option("env=MODE=slow"),
];

/// The one that serves until the machine ends.
const SERVER: &str = "network";

/// Each program of the page by its name, and the paragraph below it.
fn programs() -> Vec<(String, String)> {
    let path = repository().join("docs/kernel-abi.md");
    let page = fs::read_to_string(path).expect("the page about the interface");
    let mut programs = Vec::new();
    // What is for Linux only comes last.
    let machine = page.split("\n## On Linux").next().unwrap_or_default();
    for section in machine.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap_or_default();
        let name = heading.to_lowercase().replace(' ', "-");
        for (index, rest) in section.split("\n```c\n").skip(1).enumerate() {
            let below = rest
                .split_once("\n```\n\n")
                .expect("a program has an end")
                .1;
            let below = below.split("\n\n").next().unwrap_or_default();
            let number = if index > 0 {
                format!("-{}", index + 1)
            } else {
                String::new()
            };
            programs.push((format!("{name}{number}"), below.replace('\n', " ")));
        }
    }
    programs
}

#[test]
fn every_program_of_the_page_is_run() {
    let on_page: BTreeSet<String> = programs().into_iter().map(|(name, _)| name).collect();
    let run = RUNS.iter().map(|run| run.name).chain([SERVER]);
    assert_eq!(on_page, run.map(String::from).collect());
}

#[test]
fn programs_of_the_page_end_as_it_says() {
    let programs = programs();
    for run in &RUNS {
        let vm = run.boot();
        let logged: Vec<&str> = run.logged.into_iter().collect();
        vm.expect_in_log(&logged);
        let below = programs.iter().find(|(name, _)| name == run.name);
        let (name, below) = below.expect("it is on the page");
        for said in run.said() {
            assert!(
                below.contains(&said),
                "{name}: the page does not say {said:?}: {below}"
            );
        }
    }
}

#[test]
fn the_pages_trace_has_its_span() {
    let vm = Run::new("logs-and-traces", 0).boot();
    let recording = Recording::of(&vm.log().text());
    let chrome = recording.to_chrome().to_string();
    assert_eq!(
        (recording.spans(), recording.unreadable()),
        (1, 0),
        "{chrome}"
    );
    for name in ["work", "halfway", "512"] {
        assert!(chrome.contains(&format!("\"{name}\"")), "{chrome}");
    }
}

#[test]
fn the_pages_server_echoes() {
    let config = c_config(&format!("page/{SERVER}")).nic(Nic::user([Forward::tcp(0, 7)]));
    let vm = boot(Qemu::new(config));
    vm.expect_line("net: address assigned addr=10.0.2.15");
    let address = vm.forwarded(7).expect("it is forwarded");
    // One after the other, so that a task has ended when the next one begins.
    for seed in 1..=3 {
        echo_tcp(address, 1 << 16, seed).expect("an echo");
    }
    assert!(!vm.has_ended());
}
