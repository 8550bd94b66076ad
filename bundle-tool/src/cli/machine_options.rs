//! The options that say what a machine is, whoever starts it: `run` and `debug`. Of a project, or of a kernel alone.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use super::failure::USAGE;
use super::plan::Plan;
use super::publish::Publish;
use super::variables::VariableOptions;
use crate::environment::Environment;
use crate::machine::Disk;
use crate::manifest::{DeviceName, Name, NetBackend};
use crate::project::{Project, ProjectError};
use crate::ui::Ui;

/// With less a kernel does not get as far as to say so; more no VMM has.
const MEMORY_MIB: RangeInclusive<u32> = 2..=1 << 20;

/// What a machine is.
#[derive(Args)]
pub(super) struct MachineOptions {
    /// Boot this ELF instead of what a project has packed
    #[arg(long, value_name = "ELF")]
    pub(super) kernel: Option<PathBuf>,
    /// RAM, in MiB (M) or GiB (G), 2M to 1024G [default: the project's, or 128M]
    #[arg(long, value_name = "SIZE", value_parser = memory_mib)]
    pub(super) memory: Option<u32>,
    /// Processors, 1 to 32; the kernel uses one, the others stay idle
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(super) vcpu: Option<u32>,
    /// Attach a raw disk; with ",ro" the guest may only read
    #[arg(long = "disk", value_name = "FILE[,ro]", requires = "kernel")]
    pub(super) disks: Vec<Disk>,
    /// Use FILE for a volume of the project; made in the manifest's size if it is not there
    #[arg(long = "volume", value_name = "NAME=FILE", value_parser = volume, conflicts_with = "kernel")]
    pub(super) volumes: Vec<(Name, PathBuf)>,
    /// Forward a port of 127.0.0.1 to the guest; 0 takes a free one. The environment variable
    /// overrides HOST
    #[arg(
        short = 'p',
        long = "publish",
        value_name = "[VARIABLE=]HOST:GUEST[/tcp|/udp]"
    )]
    pub(super) published: Vec<Publish>,
    /// The network: user (needs no rights), tap (a device of this machine) or none
    #[arg(long, value_enum, value_name = "KIND", hide_possible_values = true)]
    net: Option<Net>,
    /// The tap device to connect the guest to; it must exist [default: $UKERNEL_TAP, or tap0]
    #[arg(long, value_name = "NAME", conflicts_with = "published")]
    tap: Option<DeviceName>,
    #[command(flatten)]
    variables: VariableOptions,
    /// Add options to the kernel's command line
    #[arg(long, value_name = "OPTIONS")]
    pub(super) append: Vec<String>,
    /// Add an argument for the workload
    #[arg(long = "arg", value_name = "ARGUMENT")]
    pub(super) arguments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Net {
    User,
    Tap,
    None,
}

impl MachineOptions {
    /// Finds out what to run: the named kernel, else what the project has packed, else the kernel of `UKERNEL_KERNEL`.
    pub(super) fn plan(&self, ui: &Ui) -> Result<Plan, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let kernel = variable("UKERNEL_KERNEL").map(PathBuf::from);
        let image = variable("UKERNEL_ROOTFS").map(PathBuf::from);
        if let Some(kernel) = &self.kernel {
            return Plan::of_kernel(self, kernel, None);
        }
        match (Project::current(), kernel) {
            (Ok(project), kernel) => Plan::of_project(self, &project, kernel, image, ui),
            (Err(ProjectError::NotFound(_)), Some(kernel)) => {
                Plan::of_kernel(self, &kernel, image.as_deref())
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The network that was asked for, if any.
    pub(super) fn net(&self) -> Result<Option<NetBackend>, Failure> {
        Ok(match (self.net, &self.tap) {
            (Some(Net::User | Net::None), Some(_)) => {
                return Err(Failure::new("--tap is for --net tap").status(USAGE));
            }
            (Some(Net::User), None) => Some(NetBackend::User),
            (Some(Net::None), None) => Some(NetBackend::None),
            (Some(Net::Tap), _) | (None, Some(_)) => Some(NetBackend::Tap),
            (None, None) if !self.published.is_empty() => Some(NetBackend::User),
            (None, None) => None,
        })
    }

    /// The tap device that was asked for, by option or variable.
    pub(super) fn tap(&self) -> Result<Option<DeviceName>, Failure> {
        let variable = std::env::var("UKERNEL_TAP").ok();
        let variable = variable.filter(|name| !name.is_empty());
        match (&self.tap, variable) {
            (Some(named), _) => Ok(Some(named.clone())),
            (None, Some(name)) => name.parse().map(Some).map_err(|problem: String| {
                Failure::new(format_args!("UKERNEL_TAP: {problem}")).status(USAGE)
            }),
            (None, None) => Ok(None),
        }
    }

    /// The variables that were asked for.
    pub(super) fn environment(&self) -> Result<Environment, Failure> {
        let mut environment = Environment::default();
        self.variables.add_to(&mut environment)?;
        Ok(environment)
    }
}

fn volume(text: &str) -> Result<(Name, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("expected NAME=FILE")?;
    match file.is_empty() {
        true => Err("expected NAME=FILE".into()),
        false => Ok((name.parse()?, file.into())),
    }
}

fn memory_mib(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let number: Option<u32> = digits.parse().ok();
    let mib = number.and_then(|number| number.checked_mul(unit));
    let mib = mib.ok_or_else(|| format!("'{text}' is not a size such as 64M or 2G"))?;
    match MEMORY_MIB.contains(&mib) {
        true => Ok(mib),
        false => Err("a machine has 2 MiB to 1 TiB of memory".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(memory_mib("64M"), Ok(64));
        assert_eq!(memory_mib("64"), Ok(64));
        assert_eq!(memory_mib("2G"), Ok(2048));
        assert_eq!(memory_mib("2M"), Ok(2));
        assert_eq!(memory_mib("1024G"), Ok(1 << 20));
        for bad in ["", "M", "0", "1", "1.5G", "-1", "1025G", "4194304G", "1T"] {
            assert!(memory_mib(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_volume_is_a_name_and_a_file() {
        let (name, file) = volume("data=/x=y.img").unwrap();
        assert_eq!((name.as_str(), file), ("data", PathBuf::from("/x=y.img")));
        for bad in ["data", "data=", "=x", "1=x"] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }
}
