//! Boots guests under the plugin in `gauge/`, which counts instructions and exits.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bundle_tool::machine::{Accelerator, Launch, Machine, MachineType, Plugin, Qemu, VmConfig};
use system_tests::guest::repository;

use crate::elf::Elf;
use crate::fields::number;

/// What a guest has done.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    pub(crate) mmio: u64,
    pub(crate) pio: u64,
    pub(crate) hlt: u64,
    pub(crate) msr: u64,
    /// Ends of interrupts and exceptions.
    pub(crate) iret: u64,
}

impl Counts {
    /// What would leave a machine with hardware support.
    pub(crate) fn exits(&self) -> u64 {
        self.mmio + self.pio + self.hlt + self.msr
    }

    /// What was done between two marks.
    pub(crate) fn since(&self, earlier: &Counts) -> Counts {
        self.with(earlier, u64::wrapping_sub)
    }

    pub(crate) fn plus(&self, other: &Counts) -> Counts {
        self.with(other, u64::wrapping_add)
    }

    /// Each counter's smaller value.
    pub(crate) fn min(&self, other: &Counts) -> Counts {
        self.with(other, u64::min)
    }

    fn with(&self, other: &Counts, combine: fn(u64, u64) -> u64) -> Counts {
        Counts {
            instructions: combine(self.instructions, other.instructions),
            mmio: combine(self.mmio, other.mmio),
            pio: combine(self.pio, other.pio),
            hlt: combine(self.hlt, other.hlt),
            msr: combine(self.msr, other.msr),
            iret: combine(self.iret, other.iret),
        }
    }

    /// Reads a line of the plugin.
    fn parse(line: &str) -> Option<Counts> {
        let fields = line.strip_prefix("gauge: mark=")?;
        let value = |name| number(fields, name);
        Some(Counts {
            instructions: value("insns")?,
            mmio: value("mmio")?,
            pio: value("pio")?,
            hlt: value("hlt")?,
            msr: value("msr")?,
            iret: value("iret")?,
        })
    }
}

/// A guest to be counted, from its PVH entry on.
pub(crate) struct Gauge {
    kernel: PathBuf,
    qemu: Qemu,
    /// Functions, and the ELF that each is in.
    marks: Vec<(PathBuf, &'static str)>,
}

/// What a counted guest left behind.
pub(crate) struct Run {
    /// The counters at each execution of a mark, in order.
    pub(crate) marks: Vec<Counts>,
    /// The serial log.
    pub(crate) log: String,
}

impl Gauge {
    pub(crate) fn new(config: VmConfig) -> Gauge {
        Gauge {
            kernel: config.kernel.clone(),
            qemu: Qemu::with_accelerator(config, Accelerator::Tcg),
            marks: Vec::new(),
        }
    }

    /// Adds arguments of QEMU's.
    pub(crate) fn extra<const N: usize>(mut self, arguments: [&str; N]) -> Gauge {
        self.qemu = self.qemu.extra(arguments);
        self
    }

    /// Chooses the machine.
    pub(crate) fn machine(mut self, machine: MachineType) -> Gauge {
        self.qemu = self.qemu.machine(machine);
        self
    }

    /// Counters are taken whenever the function of this path is called.
    pub(crate) fn mark(self, function: &'static str) -> Gauge {
        let kernel = self.kernel.clone();
        self.mark_in(kernel, function)
    }

    /// The same for a function of a program that runs on the kernel, at the addresses in its ELF.
    pub(crate) fn mark_in(mut self, elf: PathBuf, function: &'static str) -> Gauge {
        self.marks.push((elf, function));
        self
    }

    /// Boots the guest, and lets it run until it logs `last`.
    pub(crate) fn run(self, last: &str, deadline: Duration) -> io::Result<Run> {
        self.run_under(last, deadline, |_| Ok(()))
    }

    /// Boots the guest, waits until it logs `up`, and lets it run until `load` is done with it.
    pub(crate) fn run_under(
        self,
        up: &str,
        deadline: Duration,
        load: impl FnOnce(&Machine) -> io::Result<()>,
    ) -> io::Result<Run> {
        let elf = Elf::read(&self.kernel)?;
        let mut options = vec![format!("start={:#x}", elf.pvh_entry()?)];
        for (elf, function) in self.marks {
            options.push(format!("mark={:#x}", Elf::read(&elf)?.symbol(function)?));
        }
        let path = compile()?;
        let launch = Launch::new(self.qemu.plugin(Plugin { path, options }));
        let machine = launch
            .deadline(deadline)
            .start()
            .map_err(io::Error::other)?;
        let found = machine.wait_for_line(up, deadline);
        found.map_err(io::Error::other)?;
        load(&machine)?;
        machine.kill();
        let outcome = machine.wait();
        let marks = outcome.vmm_log.lines().filter_map(Counts::parse);
        Ok(Run {
            marks: marks.collect(),
            log: outcome.log,
        })
    }
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
        let line = "gauge: mark=0x1000 insns=51234 mmio=61 pio=120 hlt=1 msr=9 cpuid=4 iret=3";
        let counts = Counts::parse(line).unwrap();
        assert_eq!((counts.instructions, counts.exits()), (51234, 191));
        assert!(Counts::parse("gauge: mark=0x1000 insns=x").is_none());
        assert!(Counts::parse("gauge: cannot use option insns=1").is_none());
    }
}
