//! `ukernel debug`: a machine that waits for gdb, and gdb.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;

use super::Failure;
use super::attend::{CtrlC, finish, print_addresses, show};
use super::machine_options::MachineOptions;
use super::named::machines;
use super::plan::Plan;
use crate::machine::{AcceleratorChoice, AcceleratorRequest, Protocol, Qemu, ports};
use crate::machines::{Order, Supervised};
use crate::manifest::VmmName;
use crate::ui::Ui;

/// Boot a machine under gdb: QEMU stops it before its first instruction, and gdb has the kernel's symbols
///
/// gdb is started where there is one and a terminal to type in; otherwise the command to start it with is printed, and the
/// machine waits. The machine ends with gdb. Its log is what `ukernel logs -f` shows.
#[derive(Args)]
pub(super) struct Debug {
    #[command(flatten)]
    machine: MachineOptions,
    /// The debugger
    #[arg(long, value_name = "PROGRAM", default_value = "gdb")]
    gdb: OsString,
    /// Start no debugger, but print how to
    #[arg(long)]
    wait: bool,
    /// The port of 127.0.0.1 on which gdb connects [default: any free one]
    #[arg(long, value_name = "PORT")]
    port: Option<NonZeroU16>,
    /// How QEMU runs instructions: auto, kvm or tcg
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: AcceleratorRequest,
}

impl Debug {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let mut plan = self.machine.plan(ui)?;
        plan.make_absolute()?;
        plan.attach_network(plan.net(VmmName::Qemu))?;
        let port = match self.port {
            Some(port) => port.get(),
            None => ports::free(Protocol::Tcp)?,
        };
        let with_gdb = !self.wait && std::io::stdin().is_terminal();
        let supervised = self.start(&mut plan, port, with_gdb, ui)?;
        print_addresses(supervised.machine().forwards(), ui);
        let command = arguments(&self.gdb, port, &plan.symbols);
        if with_gdb {
            ui.say(format_args!(
                "the machine's log: ukernel logs -f {}",
                supervised.state().name
            ));
            match self.attend(&command) {
                Ok(()) => return Ok(end(supervised, ui)),
                Err(error) => ui.warn(format_args!("cannot run {}: {error}", self.gdb.display())),
            }
        }
        ui.line(format_args!("connect by: {}", shell_words(&command)));
        CtrlC::take_over(ui)?.attach(supervised.machine(), ui);
        Ok(finish(supervised, ui))
    }

    fn start(
        &self,
        plan: &mut Plan,
        port: u16,
        with_gdb: bool,
        ui: &Ui,
    ) -> Result<Supervised, Failure> {
        let choice = AcceleratorChoice::detect(self.accel);
        let mut qemu = Qemu::with_accelerator(plan.config.clone(), choice.accelerator);
        qemu.gdb_port = Some(port);
        let reason = format!("with {} ({}), for gdb", choice.accelerator, choice.reason);
        ui.say(format_args!("qemu {reason}"));
        let order = Order {
            name: plan.name.clone(),
            exact: false,
            vmm: qemu.into(),
            reason,
            symbols: plan.symbols.clone(),
            silent: true,
            deadline: None,
            settings: std::mem::take(&mut plan.settings),
        };
        let machines = machines()?;
        Ok(match with_gdb {
            // The terminal is gdb's.
            true => order.start(&machines, |_| ())?,
            false => order.start(&machines, show(&plan.symbols, ui))?,
        })
    }

    /// Runs gdb to its end.
    fn attend(&self, command: &[OsString]) -> std::io::Result<()> {
        // A Ctrl-C in the terminal is gdb's, which interrupts the guest by it.
        ctrlc::set_handler(|| {}).map_err(std::io::Error::other)?;
        Command::new(&command[0])
            .args(&command[1..])
            .status()
            .map(drop)
    }
}

fn end(supervised: Supervised, ui: &Ui) -> ExitCode {
    supervised.machine().kill();
    let (_, recorded) = supervised.wait();
    if let Err(error) = recorded {
        ui.warn(error);
    }
    ExitCode::SUCCESS
}

/// gdb's command line, the program first.
fn arguments(gdb: &OsString, port: u16, symbols: &Path) -> Vec<OsString> {
    let connect = format!("target remote 127.0.0.1:{port}");
    vec![
        gdb.clone(),
        "-q".into(),
        "-ex".into(),
        connect.into(),
        symbols.into(),
    ]
}

/// Words as a shell takes them.
fn shell_words(words: &[OsString]) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,".contains(letter);
    let quoted = words.iter().map(|word| {
        let word = word.to_string_lossy();
        match word.chars().all(plain) {
            true => word.into_owned(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed() {
        let words = arguments(&"gdb".into(), 1234, Path::new("/a b/it's"));
        assert_eq!(
            shell_words(&words),
            r"gdb -q -ex 'target remote 127.0.0.1:1234' '/a b/it'\''s'"
        );
    }
}
