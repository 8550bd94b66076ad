//! Counts a boot, from the PVH entry to the workload's first poll, phase by phase.

use std::io;
use std::time::Duration;

use bundle_tool::machine::{Disk, Nic};
use system_tests::vm::config;

use crate::gauge::{Counts, Gauge};

/// Where each phase ends: at the first call of a function. The last is called when the workload is
/// first polled.
const PHASES: [(&str, &str); 4] = [
    ("boot_loader", "ukernel::memory::setup::init"),
    ("boot_memory", "ukernel::arch::boot::start_interrupts"),
    ("boot_interrupts", "ukernel::runtime::start"),
    ("boot_devices", "ukernel_first_poll"),
];

/// Under the plugin a boot takes a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// Each phase's name and counts, with one network interface and one disk.
pub(crate) fn phases(name: &str) -> io::Result<Vec<(&'static str, Counts)>> {
    let disk = tempfile::NamedTempFile::new()?;
    disk.as_file().set_len(1 << 20)?;
    let config = config(name)
        .disk(Disk::new(disk.path()).read_only())
        .nic(Nic::user([]));
    let gauge = Gauge::new(config);
    let gauge = PHASES
        .iter()
        .fold(gauge, |gauge, phase| gauge.mark(phase.1));
    let run = gauge.run("boot: up", DEADLINE)?;
    if run.marks.len() != PHASES.len() {
        return Err(io::Error::other("a phase of the boot was not passed once"));
    }
    let mut start = Counts::default();
    let phases = PHASES.iter().zip(run.marks).map(|((name, _), end)| {
        let phase = end.since(&start);
        start = end;
        (*name, phase)
    });
    Ok(phases.collect())
}

/// All phases together.
pub(crate) fn to_first_poll(name: &str) -> io::Result<Counts> {
    let phases = phases(name)?;
    let all = phases.iter().map(|(_, counts)| *counts);
    Ok(all.fold(Counts::default(), |sum, phase| sum.plus(&phase)))
}
