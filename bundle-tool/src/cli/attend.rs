//! What a person sees and does while a machine runs in the foreground: its log with explained backtraces, Ctrl-C, input,
//! and where its ports are. Shared by the commands that start machines.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Failure;
use crate::machine::{Ending, Forward, Machine, Outcome, Symbols};
use crate::ui::Ui;

/// Prints one line of the log, and below a backtrace's frame the functions that it stands for.
pub(super) fn show(line: &str, symbols: &Symbols, ui: &Ui) {
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

/// Says where the ports of a machine are.
pub(super) fn print_addresses(forwards: &[Forward], ui: &Ui) {
    for forward in forwards {
        let Forward {
            protocol,
            host_port,
            guest_port,
        } = forward;
        ui.say(format_args!(
            "127.0.0.1:{host_port} -> guest {guest_port}/{protocol}"
        ));
    }
}

/// Says how a machine ended, and what its VMM had to say about that.
pub(super) fn print_end(outcome: &Outcome, ui: &Ui) {
    if !matches!(outcome.ending, Ending::Guest(_)) {
        eprint!("{}", outcome.vmm_log);
    }
    ui.say(&outcome.ending);
}

/// Types what comes in here on the guest's serial line, until either ends. On a thread, which ends with the process: a
/// terminal may never say anything again.
pub(super) fn pass_input_on(machine: &Arc<Machine>, ui: &Ui) {
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
pub(super) fn stop_on_ctrl_c(machine: &Arc<Machine>, ui: &Ui) -> Result<(), Failure> {
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
