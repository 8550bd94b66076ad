//! A machine as it is to be started, out of what was typed and what the project says. Starts nothing, but makes the files
//! of volumes.

mod packed;
mod volumes;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Failure;
use super::failure::USAGE;
use super::machine_options::MachineOptions;
use super::publish::Publish;
use crate::kernel_file;
use crate::machine::{Disk, Forward, Nic, Protocol, VmConfig};
use crate::machines::{MAX_NAME, Settings};
use crate::manifest::{DeviceName, Language, NetBackend, RunTable, VmmName};
use crate::project::Project;
use crate::ui::Ui;
use packed::Packed;

/// The tap device that is taken where none is named, as the documents make one.
const DEFAULT_TAP: &str = "tap0";

/// A machine to be started.
pub(super) struct Plan {
    /// What it contains; networks once [`attach_network`](Self::attach_network) was called.
    pub(super) config: VmConfig,
    /// Ports that were asked for, and the variables that change them.
    pub(super) published: Vec<Publish>,
    /// The ELF whose symbols explain backtraces.
    pub(super) symbols: PathBuf,
    /// What the machine is told in its boot module.
    pub(super) settings: Settings,
    /// What machines like it are called.
    pub(super) name: String,
    /// The project's wishes; `None`: there is no project.
    pub(super) run: Option<RunTable>,
    net: Option<NetBackend>,
    tap: Option<DeviceName>,
}

impl Plan {
    /// A kernel by itself: all that it is told stands on its command line.
    pub(super) fn of_kernel(
        options: &MachineOptions,
        kernel: &Path,
        disk: Option<&Path>,
    ) -> Result<Plan, Failure> {
        let mut config = VmConfig::new(kernel);
        config.options = options.append.join(" ");
        for word in options.environment()?.options() {
            config = config.options(&command_line_word(&word)?);
        }
        for argument in &options.arguments {
            config = config.argument(command_line_word(argument)?);
        }
        config.disks = disk.map(Disk::new).into_iter().collect();
        config.disks.extend(options.disks.iter().cloned());
        Plan::new(options, config, kernel.into(), name_of(kernel))
    }

    /// What the project has packed; a kernel and an image of one's own take the place of the pair's.
    pub(super) fn of_project(
        options: &MachineOptions,
        project: &Project,
        kernel: Option<PathBuf>,
        image: Option<PathBuf>,
        ui: &Ui,
    ) -> Result<Plan, Failure> {
        if project.manifest.project.language == Language::Python {
            let what = "programs in Python do not run in a machine yet";
            return Err(Failure::new(what).hint("`ukernel adapter` runs this one on Linux"));
        }
        let packed = Packed::of(project, kernel, image)?;
        warn_of_deaf(&packed.symbols, ui);
        let run = &project.manifest.run;
        let mut config = VmConfig::new(&packed.kernel).memory_mib(run.memory_mb.get());
        config.vcpus = run.vcpu.get();
        config.options = options.append.join(" ");
        if let Some(digest) = &packed.digest {
            config = config.options(&format!("bundle={digest}"));
        }
        config.disks = packed
            .image
            .map(|image| Disk::new(image).read_only())
            .into_iter()
            .chain(volumes::of(project, &options.volumes, ui)?)
            .collect();

        let name = project.name().to_string();
        let mut plan = Plan::new(options, config, packed.symbols, name)?;
        plan.settings.arguments.clone_from(&options.arguments);
        let environment = options.environment()?;
        plan.settings.options.extend(environment.options());
        if plan.published.is_empty() && plan.net.is_none_or(|net| net == NetBackend::User) {
            plan.published = run
                .ports
                .iter()
                .map(|port| Publish::plain(port.0))
                .collect();
        }
        plan.net = plan.net.or(match run.net {
            // The default: whoever cannot have it may do without.
            NetBackend::User if run.ports.is_empty() => None,
            net => Some(net),
        });
        plan.tap = plan.tap.or_else(|| run.tap.clone());
        plan.run = Some(run.clone());
        Ok(plan)
    }

    fn new(
        options: &MachineOptions,
        mut config: VmConfig,
        symbols: PathBuf,
        name: String,
    ) -> Result<Plan, Failure> {
        config.memory_mib = options.memory.unwrap_or(config.memory_mib);
        config.vcpus = options.vcpu.unwrap_or(config.vcpus);
        Ok(Plan {
            config,
            published: options.published.clone(),
            symbols,
            settings: Settings::default(),
            name,
            run: None,
            net: options.net()?,
            tap: options.tap()?,
        })
    }

    /// The network for a VMM: what was asked for, else the user-mode one where there is such a thing.
    pub(super) fn net(&self, vmm: VmmName) -> NetBackend {
        self.net.unwrap_or(match vmm {
            VmmName::Firecracker => NetBackend::None,
            VmmName::Auto | VmmName::Qemu => NetBackend::User,
        })
    }

    /// Connects the machine to a network.
    pub(super) fn attach_network(&mut self, net: NetBackend) -> Result<(), Failure> {
        if net != NetBackend::User && !self.published.is_empty() {
            let what = "ports are forwarded by the user-mode network only (--net user)";
            return Err(Failure::new(what).status(USAGE));
        }
        match net {
            NetBackend::User => {
                self.check_ports()?;
                let forwards = self.published.iter().map(|published| published.forward);
                self.config.nics.push(Nic::user(forwards));
            }
            NetBackend::Tap => {
                let name = self.tap.as_ref().map_or(DEFAULT_TAP, DeviceName::as_str);
                check_tap(name)?;
                self.config.nics.push(Nic::tap(name));
            }
            NetBackend::None => {}
        }
        Ok(())
    }

    /// One port of this machine leads to one place.
    fn check_ports(&self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        let ports = self.published.iter().map(|published| published.forward);
        let fixed = ports.filter(|forward| forward.host_port != 0);
        let mut again = fixed.filter(|forward| !seen.insert((forward.protocol, forward.host_port)));
        match again.next() {
            None => Ok(()),
            Some(Forward {
                protocol,
                host_port,
                ..
            }) => {
                let what =
                    format!("{protocol} port {host_port} of this machine is forwarded twice");
                Err(Failure::new(what).status(USAGE))
            }
        }
    }

    /// Whether a TCP port of the guest can be reached through one of this machine.
    pub(super) fn is_published(&self, guest_port: u16) -> bool {
        let ports = self.published.iter().map(|published| published.forward);
        ports
            .into_iter()
            .any(|forward| (forward.protocol, forward.guest_port) == (Protocol::Tcp, guest_port))
    }

    /// Whether the guest's log level leaves out what every guest says when it is up; the last word about it counts.
    pub(super) fn is_silent(&self) -> bool {
        let words = self.config.options.split_whitespace();
        let typed = words.rev().find_map(|word| word.strip_prefix("log="));
        let project = || Some(self.run.as_ref()?.log?.as_str());
        let level = typed.or_else(project);
        level.is_some_and(|level| ["off", "error", "warn"].contains(&level))
    }

    /// The variable that chooses a port, if that is the port.
    pub(super) fn variable_of(&self, wanted: impl Fn(&Forward) -> bool) -> Option<&str> {
        let mut published = self.published.iter();
        published
            .find(|published| wanted(&published.forward))?
            .variable
            .as_deref()
    }

    /// Makes every path absolute, for a process in another folder.
    pub(super) fn make_absolute(&mut self) -> std::io::Result<()> {
        let disks = self.config.disks.iter_mut().map(|disk| &mut disk.path);
        let paths = [&mut self.config.kernel, &mut self.symbols];
        for path in paths.into_iter().chain(disks) {
            *path = std::path::absolute(&*path)?;
        }
        Ok(())
    }
}

/// A VMM that may do so makes a device that is not there, which then leads nowhere.
fn check_tap(name: &str) -> Result<(), Failure> {
    // Of this process's own network namespace, unlike what is mounted on /sys. Without the file nobody knows.
    let Ok(devices) = std::fs::read_to_string("/proc/self/net/dev") else {
        return Ok(());
    };
    let mut names = devices.lines().filter_map(|line| line.split_once(':'));
    if names.any(|(device, _)| device.trim() == name) {
        return Ok(());
    }
    let hint = "`ukernel doctor` and docs/firecracker-integration.md say how to make one";
    Err(Failure::new(format_args!("there is no network device {name}")).hint(hint))
}

/// Says so where settings do not reach a program, as far as the file tells.
fn warn_of_deaf(kernel: &Path, ui: &Ui) {
    let kernel = std::fs::read(kernel).unwrap_or_default();
    if kernel_file::asks_for_bundle(&kernel) == Some(false) {
        ui.warn(
            "the program asks for no bundle: settings, variables, arguments and files of the project do not reach it \
             (#[ukernel::main(bundle)] asks for one)",
        );
    }
}

/// The guest splits its command line at white space.
fn command_line_word(text: &str) -> Result<String, Failure> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        let what = format!(
            "'{text}': on a kernel's command line no word can be empty or contain white space"
        );
        return Err(Failure::new(what).status(USAGE));
    }
    Ok(text.into())
}

/// What machines with this kernel are called: the file's name as far as it can be one.
fn name_of(kernel: &Path) -> String {
    let stem = kernel.file_stem().unwrap_or_default().to_string_lossy();
    let letters = stem.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    });
    let name: String = letters.take(MAX_NAME).collect();
    let name = name.trim_start_matches('-');
    if name.is_empty() { "machine" } else { name }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::LogLevel;

    #[test]
    fn a_machine_is_called_as_its_kernel() {
        for (kernel, name) in [
            ("target/guest/demo", "demo"),
            ("my kernel.elf", "my-kernel"),
            ("/tmp/.x", "x"),
            ("/", "machine"),
            ("ä", "machine"),
        ] {
            assert_eq!(name_of(Path::new(kernel)), name, "{kernel}");
        }
    }

    #[test]
    fn a_tap_device_has_to_be_there() {
        assert!(check_tap("lo").is_ok(), "every machine has it");
        let error = format!("{:?}", check_tap("no-such-tap").unwrap_err());
        assert!(error.contains("no network device no-such-tap"), "{error}");
    }

    #[test]
    fn the_last_word_about_the_log_counts() {
        let plan = |options: &str, project: Option<LogLevel>| Plan {
            config: VmConfig::new("k").options(options),
            published: Vec::new(),
            symbols: "k".into(),
            settings: Settings::default(),
            name: "k".into(),
            run: project.map(|log| RunTable {
                log: Some(log),
                ..RunTable::default()
            }),
            net: None,
            tap: None,
        };
        for (options, project, silent) in [
            ("", None, false),
            ("log=off", None, true),
            ("log=off a=b log=debug", None, false),
            ("", Some(LogLevel::Warn), true),
            ("log=info", Some(LogLevel::Error), false),
        ] {
            assert_eq!(plan(options, project).is_silent(), silent, "{options}");
        }
    }

    #[test]
    fn words_that_would_be_split_are_refused() {
        assert!(command_line_word("a b").is_err());
        assert!(command_line_word("").is_err());
        assert!(command_line_word("a=b").is_ok());
    }
}
