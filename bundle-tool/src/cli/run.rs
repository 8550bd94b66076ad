//! `ukernel run`: boots a kernel, shows its log, and ends with its status.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Failure;
use super::publish::Publish;
use crate::machine::{
    AcceleratorChoice, AcceleratorRequest, Disk, Ending, Firecracker, Launch, Machine, Nic,
    Protocol, Qemu, StartError, Symbols, VmConfig, Vmm,
};
use crate::ui::Ui;

/// Boot a kernel, stream its serial log, and end with its status
#[derive(Args)]
pub(super) struct Run {
    /// The kernel with its workload, an ELF
    #[arg(long, value_name = "ELF")]
    kernel: PathBuf,
    /// RAM, in MiB (M) or GiB (G)
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = memory_mib)]
    memory: u32,
    /// Attach a raw disk; with ",ro" the guest may only read
    #[arg(long = "disk", value_name = "FILE[,ro]")]
    disks: Vec<Disk>,
    /// Forward a port of 127.0.0.1 to the guest; 0 takes a free one. The environment variable
    /// overrides HOST
    #[arg(
        short = 'p',
        long = "publish",
        value_name = "[VARIABLE=]HOST:GUEST[/tcp|/udp]"
    )]
    published: Vec<Publish>,
    /// The guest's port of a page to look at: print its address on this machine
    #[arg(long, value_name = "GUEST", requires = "published")]
    page: Option<u16>,
    /// Connect the guest to an existing tap device instead of the user-mode network
    #[arg(long, value_name = "NAME", conflicts_with = "published")]
    tap: Option<String>,
    /// Add options to the kernel's command line
    #[arg(long, value_name = "OPTIONS")]
    append: Vec<String>,
    /// Add an argument for the workload
    #[arg(long = "arg", value_name = "ARGUMENT", value_parser = workload_argument)]
    arguments: Vec<String>,
    /// Pass standard input on to the guest's serial port, line by line; the line "#trace" asks a guest that
    /// traces for what it has recorded
    #[arg(long)]
    input: bool,
    /// Kill the guest after so many seconds
    #[arg(long, value_name = "SECONDS", overrides_with = "timeout")]
    timeout: Option<u64>,
    /// The program that runs the guest
    #[arg(long, value_enum, default_value = "auto")]
    vmm: VmmChoice,
    /// How QEMU runs instructions: auto, kvm or tcg
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: AcceleratorRequest,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VmmChoice {
    /// QEMU
    Auto,
    /// QEMU
    Qemu,
    /// Firecracker, from UKERNEL_FIRECRACKER or the PATH
    Firecracker,
}

impl Run {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let symbols = Symbols::new(&self.kernel);
        let words = ui.clone();
        let mut launch = Launch::new(self.vmm(ui))
            .own_process_group()
            .on_line(move |line| show(line, &symbols, &words));
        if let Some(seconds) = self.timeout {
            launch = launch.deadline(Duration::from_secs(seconds));
        }
        let machine = Arc::new(launch.start().map_err(|error| self.failure(error))?);
        stop_on_ctrl_c(&machine, ui)?;
        self.print_addresses(&machine, ui);
        if self.input {
            pass_input_on(&machine, ui);
        }
        let outcome = machine.wait();
        if !matches!(outcome.ending, Ending::Guest(_)) {
            eprint!("{}", outcome.vmm_log);
        }
        ui.say(&outcome.ending);
        Ok(ExitCode::from(outcome.ending.exit_code()))
    }

    /// What to run, said on standard error with the reason.
    fn vmm(&self, ui: &Ui) -> Vmm {
        if self.vmm == VmmChoice::Firecracker {
            let program = Firecracker::program_from_environment();
            let program = program.unwrap_or_else(|| "firecracker".into());
            ui.say(format_args!("firecracker {}", program.display()));
            return Firecracker::new(program, self.config()).into();
        }
        let choice = AcceleratorChoice::detect(self.accel);
        ui.say(format_args!(
            "qemu with {} ({})",
            choice.accelerator, choice.reason
        ));
        Qemu::with_accelerator(self.config(), choice.accelerator).into()
    }

    fn config(&self) -> VmConfig {
        let mut config = VmConfig::new(&self.kernel).memory_mib(self.memory);
        config.options = self.append.join(" ");
        config.arguments.clone_from(&self.arguments);
        config.disks.clone_from(&self.disks);
        match &self.tap {
            Some(name) => config.nics.push(Nic::tap(name)),
            // Firecracker has no user-mode network: without a tap, no network.
            None if self.vmm == VmmChoice::Firecracker && self.published.is_empty() => {}
            None => {
                let forwards = self.published.iter().map(|published| published.forward);
                config.nics.push(Nic::user(forwards));
            }
        }
        config
    }

    fn print_addresses(&self, machine: &Machine, ui: &Ui) {
        for Publish { forward, .. } in &self.published {
            let guest = forward.guest_port;
            let host = match forward.protocol {
                Protocol::Tcp => machine.forwarded(guest),
                Protocol::Udp => machine.forwarded_udp(guest),
            };
            if let Some(host) = host {
                ui.say(format_args!("{host} -> guest {guest}/{}", forward.protocol));
            }
        }
        if let Some(host) = self.page.and_then(|guest| machine.forwarded(guest)) {
            ui.line(format_args!("page: http://{host}/"));
        }
    }

    /// The error in words, with the variable that chooses a port which is taken.
    fn failure(&self, error: StartError) -> Failure {
        let taken = self.published.iter().find(|Publish { forward, .. }| {
            matches!(error, StartError::PortTaken { protocol, port }
                if (forward.protocol, forward.host_port) == (protocol, port))
        });
        let variable = taken.and_then(|published| published.variable.as_deref());
        let advice = |name| format!("set {name} to another port, or to 0 for any free one");
        let hint = variable.map(advice).or_else(|| error.hint());
        Failure::from(error).maybe_hint(hint)
    }
}

/// Prints one line of the log, and below a backtrace's frame the functions that it stands for.
fn show(line: &str, symbols: &Symbols, ui: &Ui) {
    let mut output = std::io::stdout().lock();
    // A closed output does not end the guest.
    let _ = writeln!(output, "{line}");
    match symbols.explain(line) {
        Ok(functions) => {
            for function in functions {
                let _ = writeln!(output, "       {function}");
            }
        }
        Err(error) => ui.warn(error),
    }
    let _ = output.flush();
}

/// Types what comes in here on the guest's serial line, until either ends. On a thread, which ends with the process: a
/// terminal may never say anything again.
fn pass_input_on(machine: &Arc<Machine>, ui: &Ui) {
    let ui = ui.clone();
    let machine = Arc::downgrade(machine); // as in `stop_on_ctrl_c`
    std::thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        let mut line = Vec::new();
        while let Ok(1..) = input.read_until(b'\n', &mut line) {
            let Some(machine) = machine.upgrade() else {
                return;
            };
            if let Err(error) = machine.write_serial(&line) {
                ui.warn(format_args!("the guest takes no input: {error}"));
                return;
            }
            line.clear();
        }
    });
}

/// The first Ctrl-C (or SIGTERM) asks the guest to stop, the second kills it.
fn stop_on_ctrl_c(machine: &Arc<Machine>, ui: &Ui) -> Result<(), Failure> {
    let ui = ui.clone();
    // Weak: the handler lives as long as the process, and must not keep the machine alive.
    let machine = Arc::downgrade(machine);
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        let Some(machine) = machine.upgrade() else {
            return;
        };
        if asked.swap(true, Ordering::Relaxed) {
            machine.kill();
            return;
        }
        ui.say("asking the guest to stop; Ctrl-C again kills it");
        let ui = ui.clone();
        // On a thread of its own: a VMM that does not answer must not hold up the second Ctrl-C.
        std::thread::spawn(move || {
            if let Err(error) = machine.stop() {
                ui.warn(error);
            }
        });
    })
    .map_err(|error| Failure::from(error).context("cannot handle Ctrl-C"))
}

fn memory_mib(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let number: Option<u32> = digits.parse().ok();
    let mib = number
        .and_then(|number| number.checked_mul(unit))
        .filter(|mib| *mib > 0);
    mib.ok_or_else(|| format!("'{text}' is not a size such as 64M or 2G"))
}

/// The guest splits its command line at spaces.
fn workload_argument(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("an argument for the workload cannot be empty or contain white space".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(memory_mib("64M"), Ok(64));
        assert_eq!(memory_mib("64"), Ok(64));
        assert_eq!(memory_mib("2G"), Ok(2048));
        for bad in ["", "M", "0", "1.5G", "-1", "4194304G", "1T"] {
            assert!(memory_mib(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn arguments_that_would_be_split_are_refused() {
        assert!(workload_argument("a b").is_err());
        assert!(workload_argument("").is_err());
        assert_eq!(workload_argument("a=b"), Ok("a=b".into()));
    }
}
