//! Counts instructions and exits of a boot, by the plugin in `gauge/`.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bundle_tool::machine::{Accelerator, Disk, Launch, Nic, Plugin, Qemu};
use system_tests::guest::{guest, repository};
use system_tests::vm::config;

use crate::elf::Elf;

/// The function that the kernel calls when it first polls the workload.
const FIRST_POLL: &str = "ukernel_first_poll";

/// Under the plugin a boot takes a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a boot cost.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    mmio: u64,
    pio: u64,
    hlt: u64,
    msr: u64,
}

impl Counts {
    /// What would leave a machine with hardware support.
    pub(crate) fn exits(&self) -> u64 {
        self.mmio + self.pio + self.hlt + self.msr
    }

    /// Reads a line of the plugin.
    fn parse(line: &str) -> Option<Counts> {
        let value = |name: &str| {
            let field = line.split(' ').find_map(|field| field.strip_prefix(name));
            field?.strip_prefix('=')?.parse().ok()
        };
        Some(Counts {
            instructions: value("insns")?,
            mmio: value("mmio")?,
            pio: value("pio")?,
            hlt: value("hlt")?,
            msr: value("msr")?,
        })
    }
}

/// From the PVH entry to the workload's first poll, with one network interface and one disk.
pub(crate) fn boot_to_first_poll(name: &str) -> io::Result<Counts> {
    let elf = Elf::read(&guest(name))?;
    let options = vec![
        format!("start={:#x}", elf.pvh_entry()?),
        format!("mark={:#x}", elf.symbol(FIRST_POLL)?),
    ];
    let disk = tempfile::NamedTempFile::new()?;
    disk.as_file().set_len(1 << 20)?;
    let config = config(name)
        .disk(Disk::new(disk.path()).read_only())
        .nic(Nic::user([]));
    let qemu = Qemu::with_accelerator(config, Accelerator::Tcg).plugin(Plugin {
        path: compile()?,
        options,
    });
    let machine = Launch::new(qemu)
        .deadline(DEADLINE)
        .start()
        .map_err(io::Error::other)?;
    let found = machine.vmm_log().wait_for("gauge: mark=", 0, DEADLINE);
    let line = found.map_err(io::Error::other)?.line;
    println!("{line}");
    Counts::parse(&line).ok_or_else(|| io::Error::other(format!("not a line of the gauge: {line}")))
}

/// Compiles the plugin, a matter of a tenth of a second.
fn compile() -> io::Result<PathBuf> {
    let root = repository();
    let plugin = root.join("build/gauge.so");
    std::fs::create_dir_all(root.join("build"))?;
    let mut command = Command::new("cc");
    command.args([
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-fPIC",
        "-shared",
        "-fvisibility=hidden",
    ]);
    command
        .arg("-o")
        .arg(&plugin)
        .arg(root.join("benches/gauge/gauge.c"));
    match command.status()?.success() {
        true => Ok(plugin),
        false => Err(io::Error::other("cc cannot compile benches/gauge/gauge.c")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_plugin_is_read() {
        let line = "gauge: mark=0x1000 insns=51234 mmio=61 pio=120 hlt=1 msr=9 cpuid=4";
        let counts = Counts::parse(line).unwrap();
        assert_eq!((counts.instructions, counts.exits()), (51234, 191));
        assert!(Counts::parse("gauge: mark=0x1000 insns=x").is_none());
    }
}
