//! Who is compared: this kernel's guests, the peers that `benches/peers/build.sh` makes, and whatever
//! a file adds.

use std::io;
use std::path::{Path, PathBuf};

use bundle_tool::machine::{MachineType, Qemu, VmConfig};
use serde::Deserialize;
use system_tests::guest::{guest, repository};

use crate::counts;
use crate::gauge::Gauge;

/// A file with further guests, as a JSON list of [`Extra`].
const EXTRA: &str = "UKERNEL_BENCH_PEERS";

/// The same for everybody, unless a guest needs more.
const MEMORY_MIB: u32 = 128;

/// The Linux guests' worker with its symbols, and its mark.
const PROGRAM: &str = "build/peers/worker/x86_64-unknown-linux-gnu/release/peer";
const PROGRAM_MARK: &str = "peer::mark::bench_mark";

/// What Linux guests are told: to be quiet, to start fast, to trust the processor's clock, whose
/// frequency they cannot find out on a microvm under TCG.
const LINUX: &str = "console=ttyS0 quiet loglevel=0 reboot=t panic=-1 tsc=reliable \
    random.trust_cpu=on mitigations=off tsc_early_khz=";

/// How the load reaches a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// QEMU's user-mode network: no rights needed, and slow.
    User,
    /// A tap device in a private network namespace.
    Tap,
}

/// What a candidate's command line looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Dialect {
    Ukernel,
    Linux,
    /// As it stands in the file, with `{address}` and `{gateway}`.
    Other(String),
}

/// Somebody who is compared.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) kernel: PathBuf,
    /// The kernel as it is shipped, where that is another file.
    packed: Option<PathBuf>,
    initrd: Option<PathBuf>,
    memory_mib: u32,
    dialect: Dialect,
    /// A program of the host instead of a guest.
    pub(crate) native: bool,
    /// Port of its HTTP server.
    pub(crate) http: u16,
    /// Does no more than serve HTTP.
    pub(crate) http_only: bool,
}

/// A guest out of a file.
#[derive(Deserialize)]
struct Extra {
    name: String,
    kernel: PathBuf,
    initrd: Option<PathBuf>,
    memory_mib: Option<u32>,
    /// Its command line; `{address}` and `{gateway}` are filled in.
    append: String,
}

impl Candidate {
    /// Everybody who is there; who is not, is said.
    pub(crate) fn all() -> io::Result<Vec<Candidate>> {
        let mut all = vec![
            Candidate::ukernel("ukernel", "bench-worker", 80, false),
            Candidate::ukernel("ukernel-demo", "demo", 8080, true),
        ];
        let built = repository().join("build/peers");
        for name in ["tiny", "debian"] {
            let kernel = built.join(format!("vmlinux-{name}"));
            let initrd = built.join(format!("initrd-{name}.cpio"));
            let linux = Candidate {
                packed: Some(built.join(format!("bzImage-{name}"))),
                initrd: Some(initrd.clone()),
                dialect: Dialect::Linux,
                ..Candidate::new(&format!("linux-{name}"), &kernel)
            };
            present(linux, &[&kernel, &initrd], &mut all);
        }
        let program = built.join("peer");
        let native = Candidate {
            native: true,
            ..Candidate::new("host", &program)
        };
        present(native, &[&program], &mut all);
        if let Some(file) = std::env::var_os(EXTRA) {
            let extras: Vec<Extra> = serde_json::from_slice(&std::fs::read(file)?)?;
            all.extend(extras.into_iter().map(Candidate::extra));
        }
        Ok(all)
    }

    fn new(name: &str, kernel: &Path) -> Candidate {
        Candidate {
            name: name.into(),
            kernel: kernel.into(),
            packed: None,
            initrd: None,
            memory_mib: MEMORY_MIB,
            dialect: Dialect::Ukernel,
            native: false,
            http: 80,
            http_only: false,
        }
    }

    fn ukernel(name: &str, program: &str, http: u16, http_only: bool) -> Candidate {
        Candidate {
            http,
            http_only,
            ..Candidate::new(name, &guest(program))
        }
    }

    fn extra(extra: Extra) -> Candidate {
        Candidate {
            initrd: extra.initrd,
            memory_mib: extra.memory_mib.unwrap_or(MEMORY_MIB),
            dialect: Dialect::Other(extra.append),
            ..Candidate::new(&extra.name, &extra.kernel)
        }
    }

    /// Bytes of what has to be shipped: the kernel, packed where there is a packed one, and the file
    /// system that it brings.
    pub(crate) fn image_bytes(&self) -> io::Result<u64> {
        let kernel = match &self.packed {
            Some(packed) => packed.metadata()?.len(),
            None => crate::size::stripped_file(&self.kernel)?,
        };
        let initrd = self.initrd.as_ref().map(|path| path.metadata());
        Ok(kernel + initrd.transpose()?.map_or(0, |file| file.len()))
    }

    /// A machine of QEMU's in which it does what `mode` says.
    pub(crate) fn qemu(&self, config: VmConfig) -> Qemu {
        Qemu::new(config).machine(self.machine())
    }

    /// The machine that it needs.
    fn machine(&self) -> MachineType {
        match self.dialect {
            Dialect::Linux => MachineType::MicrovmAcpi,
            Dialect::Ukernel | Dialect::Other(_) => MachineType::Microvm,
        }
    }

    /// A machine of QEMU's under the gauge, which takes its counters at the worker's mark.
    pub(crate) fn gauge(&self, config: VmConfig) -> Gauge {
        let gauge = Gauge::new(config).machine(self.machine());
        match self.dialect {
            Dialect::Linux => gauge.mark_in(repository().join(PROGRAM), PROGRAM_MARK),
            Dialect::Ukernel | Dialect::Other(_) => gauge.mark(counts::MARK),
        }
    }

    /// What is in a machine in which it does what `mode` says, at an address of its own.
    pub(crate) fn config(&self, mode: &str, address: &str, gateway: &str) -> VmConfig {
        let config = VmConfig::new(&self.kernel).memory_mib(self.memory_mib);
        let config = match &self.initrd {
            Some(initrd) => config.initrd(initrd),
            None => config,
        };
        match &self.dialect {
            Dialect::Ukernel => {
                let config = config.options(&format!("net={address}/24,gw={gateway}"));
                match self.http_only {
                    true => config.argument("heartbeat=off"),
                    false => config.argument(mode),
                }
            }
            Dialect::Linux => config
                .options(&linux_options())
                .options(&format!("bench.mode={mode} bench.address={address}")),
            Dialect::Other(append) => {
                let append = append.replace("{address}", address);
                config.options(&append.replace("{gateway}", gateway).replace("{mode}", mode))
            }
        }
    }
}

/// What every Linux guest is told.
pub(crate) fn linux_options() -> String {
    format!("{LINUX}{}", tsc_khz())
}

/// The frequency of this host's cycle counter, as Linux tells it.
fn tsc_khz() -> u64 {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("cpu MHz"));
    let mhz = line.and_then(|line| line.split(": ").nth(1)?.parse::<f64>().ok());
    (mhz.unwrap_or(2000.0) * 1000.0) as u64
}

fn present(candidate: Candidate, files: &[&Path], all: &mut Vec<Candidate>) {
    match files.iter().find(|file| !file.exists()) {
        None => all.push(candidate),
        Some(file) => println!("no {}: {} is not built", candidate.name, file.display()),
    }
}
