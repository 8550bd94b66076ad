//! What a person sees and does while a machine runs in the foreground: its log with explained backtraces, Ctrl-C, input,
//! and where its ports are. Shared by the commands that start machines.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Failure;
use crate::machine::{Ending, Forward, Machine, Outcome, Symbols};
use crate::machines::Supervised;
use crate::ui::Ui;

/// Says what the frames of a backtrace stand for.
pub(super) struct Explainer {
    /// `None`: they are not there, or cannot be read, which has been said.
    symbols: Option<Symbols>,
    ui: Ui,
}

impl Explainer {
    pub(super) fn new(symbols: Option<Symbols>, ui: &Ui) -> Explainer {
        let ui = ui.clone();
        Explainer { symbols, ui }
    }

    /// The functions that a frame stands for; none for any other line.
    pub(super) fn functions(&mut self, line: &str) -> Vec<String> {
        match self.symbols.as_ref().map(|symbols| symbols.explain(line)) {
            None => Vec::new(),
            Some(Ok(functions)) => functions,
            Some(Err(error)) => {
                self.ui.warn(error);
                self.symbols = None;
                Vec::new()
            }
        }
    }
}

/// A function of a backtrace, as it stands below the frame.
pub(super) fn below_frame(function: &str) -> String {
    format!("       {function}\n")
}

/// Prints the lines of a log as they come, and below a backtrace's frame the functions that it stands for.
pub(super) fn show(symbols: &Path, ui: &Ui) -> impl FnMut(&str) + Send + 'static {
    let mut explainer = Explainer::new(Some(Symbols::new(symbols)), ui);
    move |line| {
        let functions = explainer.functions(line);
        let mut output = std::io::stdout().lock();
        // A closed output does not end the guest.
        let _ = writeln!(output, "{line}");
        for function in functions {
            let _ = output.write_all(below_frame(&function).as_bytes());
        }
        let _ = output.flush();
    }
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
    let said = outcome.vmm_log.trim_end();
    if !matches!(outcome.ending, Ending::Guest(_)) && !said.is_empty() {
        ui.line(said);
    }
    ui.say(&outcome.ending);
}

/// Waits for the end of a machine that has a name, and says how it was. Returns the status to end with.
pub(super) fn finish(supervised: Supervised, ui: &Ui) -> ExitCode {
    let (outcome, recorded) = supervised.wait();
    print_end(&outcome, ui);
    if let Err(error) = recorded {
        ui.warn(error);
    }
    ExitCode::from(outcome.ending.exit_code())
}

/// Types what comes in here on the guest's serial line, until either ends. On a thread, which ends with the process: a
/// terminal may never say anything again.
pub(super) fn pass_input_on(machine: &Arc<Machine>, ui: &Ui) {
    let ui = ui.clone();
    let machine = Arc::downgrade(machine); // it must not keep the machine alive
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

/// What Ctrl-C (or SIGTERM) does: the first one asks the guest to stop, the second one kills it.
#[derive(Clone)]
pub(super) struct CtrlC(Arc<Mutex<Presses>>);

#[derive(Default)]
struct Presses {
    count: u32,
    /// Weak: the handler lives as long as the process, and must not keep the machine alive.
    machine: Weak<Machine>,
}

/// The status of a process that a Ctrl-C ended, as shells count.
const INTERRUPTED: i32 = 130;

impl CtrlC {
    /// Takes over Ctrl-C, before there is a machine: what comes while it starts counts for it. A third one then ends this
    /// process, and the VMM with it.
    pub(super) fn take_over(ui: &Ui) -> Result<CtrlC, Failure> {
        let ctrl_c = CtrlC(Arc::default());
        let (presses, ui) = (ctrl_c.clone(), ui.clone());
        ctrlc::set_handler(move || presses.pressed(&ui))
            .map_err(|error| Failure::from(error).context("cannot handle Ctrl-C"))?;
        Ok(ctrl_c)
    }

    /// Says which machine it is about.
    pub(super) fn attach(&self, machine: &Arc<Machine>, ui: &Ui) {
        let mut presses = self.lock();
        presses.machine = Arc::downgrade(machine);
        match presses.count {
            0 => {}
            1 => ask_to_stop(machine.clone(), ui),
            _ => machine.kill(),
        }
    }

    fn pressed(&self, ui: &Ui) {
        let mut presses = self.lock();
        presses.count += 1;
        match (presses.count, presses.machine.upgrade()) {
            (1, machine) => {
                ui.say("asking the guest to stop; Ctrl-C again kills it");
                if let Some(machine) = machine {
                    ask_to_stop(machine, ui);
                }
            }
            (_, Some(machine)) => machine.kill(),
            (2, None) => {}
            (_, None) => std::process::exit(INTERRUPTED),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Presses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On a thread of its own: a VMM that does not answer must not hold up the second Ctrl-C.
fn ask_to_stop(machine: Arc<Machine>, ui: &Ui) {
    let ui = ui.clone();
    std::thread::spawn(move || {
        if let Err(error) = machine.stop() {
            ui.warn(error);
        }
    });
}
