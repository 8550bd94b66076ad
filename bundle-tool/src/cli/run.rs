//! `ukernel run`: boots a project's machine, or a kernel, shows its log, and ends with its status.

use std::num::NonZeroU32;
use std::process::{Command as Process, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Failure;
use super::attend::{CtrlC, finish, pass_input_on, print_addresses, print_end, show};
use super::failure::USAGE;
use super::machine_options::MachineOptions;
use super::named::machines;
use super::plan::Plan;
use super::ps::row;
use super::vmm_choice::{Choice, Host, Wish, choose};
use crate::machine::{
    AcceleratorRequest, Firecracker, HostSupport, Launch, Machine, Protocol, Qemu, StartError, Vmm,
};
use crate::machines::{Machines, MachinesError, Order, SuperviseError, is_name, start_detached};
use crate::manifest::{NetBackend, VmmName};
use crate::ui::Ui;

/// What `--help` says below the options.
const ENVIRONMENT: &str = "\
Environment:
  UKERNEL_FIRECRACKER  Firecracker's program [default: the one on the PATH]
  UKERNEL_KERNEL       a kernel instead of the project's, or without a project
  UKERNEL_ROOTFS       an image instead of the project's
  UKERNEL_TAP          the tap device for --net tap [default: tap0]";

/// Boot a project's machine, or a kernel, stream its serial log, and end with its status
///
/// In a project it takes what `ukernel pack` put in dist/ last, the pair of files or the one of --image; with --kernel,
/// that kernel and nothing else. Machines of projects, those with a --name and those that are detached are known to `ukernel ps`, `logs`,
/// `stop` and `rm`.
///
/// Ctrl-C asks the guest to stop, a second one kills it. The exit status is the guest's, 124 at the --timeout, 125 when
/// the guest said no status or could not be started, 130 when it was killed.
#[derive(Args)]
#[command(after_long_help = ENVIRONMENT)]
pub(super) struct Run {
    #[command(flatten)]
    machine: MachineOptions,
    /// The guest's port of a page to look at: print its address on this machine
    #[arg(long, value_name = "GUEST")]
    page: Option<u16>,
    /// Pass standard input on to the guest's serial port, line by line; the line "#trace" asks a guest that
    /// traces for what it has recorded
    #[arg(long, conflicts_with = "detach")]
    input: bool,
    /// Kill the guest after so many seconds, at least 1
    #[arg(long, value_name = "SECONDS", overrides_with = "timeout")]
    timeout: Option<NonZeroU32>,
    /// The program that runs the guest: auto, qemu or firecracker
    #[arg(long, value_enum, hide_possible_values = true)]
    vmm: Option<VmmArgument>,
    /// How QEMU runs instructions: auto, kvm or tcg
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: AcceleratorRequest,
    /// The same as --vmm firecracker
    #[arg(long, conflicts_with = "vmm")]
    real: bool,
    /// Return when the first line is in the machine's log, and print its name
    #[arg(long, short)]
    detach: bool,
    /// With --detach: print what `ukernel ps --json` says of the machine, instead of its name
    #[arg(long, requires = "detach")]
    json: bool,
    /// Call the machine NAME; without it, as the project, with a number if need be
    #[arg(long, value_name = "NAME", value_parser = machine_name)]
    name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VmmArgument {
    /// Firecracker where KVM works and the network is one it has, else QEMU
    Auto,
    /// QEMU
    Qemu,
    /// Firecracker, from UKERNEL_FIRECRACKER or the PATH
    Firecracker,
}

impl Run {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut plan = self.machine.plan(ui)?;
        let is_named = plan.run.is_some() || self.detach || self.name.is_some();
        if is_named {
            plan.make_absolute()?;
        }
        let (vmm, reason) = self.vmm(&mut plan, ui)?;
        if is_named {
            return self.run_named(plan, vmm, reason, ui);
        }
        let mut launch = Launch::new(vmm)
            .own_process_group()
            .on_line(show(&plan.symbols, ui));
        if let Some(limit) = self.limit(&plan) {
            launch = launch.deadline(limit);
        }
        let ctrl_c = CtrlC::take_over(ui)?;
        let machine = launch.start().map_err(|error| failure(&plan, error))?;
        let machine = Arc::new(machine);
        self.attend(&machine, &ctrl_c, ui);
        let outcome = machine.wait();
        print_end(&outcome, ui);
        Ok(ExitCode::from(outcome.ending.exit_code()))
    }

    /// Runs a machine that other commands know.
    fn run_named(
        &self,
        mut plan: Plan,
        vmm: Vmm,
        reason: String,
        ui: &Ui,
    ) -> Result<ExitCode, Failure> {
        let machines = machines()?;
        let order = Order {
            exact: self.name.is_some(),
            name: self.name.clone().unwrap_or_else(|| plan.name.clone()),
            vmm,
            reason,
            symbols: plan.symbols.clone(),
            silent: plan.is_silent(),
            deadline: self.limit(&plan),
            settings: std::mem::take(&mut plan.settings),
        };
        if self.detach {
            return self.detach(&machines, order, ui);
        }
        let ctrl_c = CtrlC::take_over(ui)?;
        let started = order.start(&machines, show(&plan.symbols, ui));
        let supervised = started.map_err(|error| match error {
            SuperviseError::Start(error) => failure(&plan, error),
            error => error.into(),
        })?;
        self.attend(supervised.machine(), &ctrl_c, ui);
        ui.say(format_args!("machine {}", supervised.state().name));
        Ok(finish(supervised, ui))
    }

    /// Leaves the machine to a process of its own, and says what it is called.
    fn detach(&self, machines: &Machines, order: Order, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut supervisor = Process::new(std::env::current_exe()?);
        supervisor.args(["--quiet", super::supervise::NAME]);
        let entry = start_detached(machines, order, supervisor)?;
        print_addresses(&entry.state.ports, ui);
        match self.json {
            true => ui.json(&row(&entry))?,
            false => ui.print(format_args!("{}\n", entry.state.name))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn attend(&self, machine: &Arc<Machine>, ctrl_c: &CtrlC, ui: &Ui) {
        ctrl_c.attach(machine, ui);
        print_addresses(machine.forwards(), ui);
        if let Some(host) = self.page.and_then(|guest| machine.forwarded(guest)) {
            ui.line(format_args!("page: http://{host}/"));
        }
        if self.input {
            pass_input_on(machine, ui);
        }
    }

    /// Whether there is a way to the page.
    fn check_page(&self, plan: &Plan) -> Result<(), Failure> {
        match self.page {
            Some(port) if !plan.is_published(port) => {
                let what =
                    format!("--page: no port of this machine leads to the guest's port {port}");
                let hint = format!("forward one: -p 0:{port}");
                Err(Failure::new(what).hint(hint).status(USAGE))
            }
            _ => Ok(()),
        }
    }

    fn limit(&self, plan: &Plan) -> Option<Duration> {
        let project = || plan.run.as_ref()?.timeout_s;
        let seconds = self.timeout.or_else(project)?;
        Some(Duration::from_secs(seconds.get().into()))
    }

    /// What to run, with the reason, which is said.
    fn vmm(&self, plan: &mut Plan, ui: &Ui) -> Result<(Vmm, String), Failure> {
        let project = plan.run.as_ref().map(|run| run.vmm);
        let vmm = match self.vmm {
            _ if self.real => VmmName::Firecracker,
            Some(VmmArgument::Firecracker) => VmmName::Firecracker,
            Some(VmmArgument::Qemu) => VmmName::Qemu,
            Some(VmmArgument::Auto) => VmmName::Auto,
            None => project.unwrap_or_default(),
        };
        let net = plan.net(vmm);
        let accelerator = Some(self.accel).filter(|accel| *accel != AcceleratorRequest::Auto);
        let wish = Wish {
            vmm,
            accelerator,
            net,
        };
        check(wish)?;
        plan.attach_network(net)?;
        self.check_page(plan)?;
        let host = Host {
            support: HostSupport::detect(),
            firecracker: Firecracker::find_program(),
        };
        let (choice, reason) = choose(wish, &host);
        if plan.config.vcpus > 1 {
            ui.say("the kernel uses one processor; the others stay idle");
        }
        let config = plan.config.clone();
        Ok(match choice {
            Choice::Firecracker(program) => {
                ui.say(format_args!("firecracker {} ({reason})", program.display()));
                (Firecracker::new(program, config).into(), reason)
            }
            Choice::Qemu(accelerator) => {
                let reason = format!("with {accelerator} ({reason})");
                ui.say(format_args!("qemu {reason}"));
                (Qemu::with_accelerator(config, accelerator).into(), reason)
            }
        })
    }
}

/// Refuses what Firecracker does not have.
fn check(wish: Wish) -> Result<(), Failure> {
    if wish.vmm != VmmName::Firecracker {
        return Ok(());
    }
    let (what, hint) = if wish.net == NetBackend::User {
        (
            "firecracker has no user-mode network, and forwards no ports",
            "give it a tap device (--net tap --tap NAME), or no network (--net none)",
        )
    } else if wish.accelerator.is_some() {
        (
            "firecracker always runs by KVM: --accel is for QEMU",
            "leave --accel out, or take QEMU: --vmm qemu",
        )
    } else {
        return Ok(());
    };
    Err(Failure::new(what).hint(hint).status(USAGE))
}

fn machine_name(text: &str) -> Result<String, MachinesError> {
    match is_name(text) {
        true => Ok(text.into()),
        false => Err(MachinesError::BadName(text.into())),
    }
}

/// The error in words, with the variable that chooses a port which is taken.
fn failure(plan: &Plan, error: StartError) -> Failure {
    let taken: Option<(Protocol, u16)> = match error {
        StartError::PortTaken { protocol, port } => Some((protocol, port)),
        _ => None,
    };
    let is_taken =
        |forward: &crate::machine::Forward| taken == Some((forward.protocol, forward.host_port));
    let variable = plan.variable_of(is_taken);
    let advice = |name| format!("set {name} to another port, or to 0 for any free one");
    Failure::from(error).maybe_hint(variable.map(advice))
}
