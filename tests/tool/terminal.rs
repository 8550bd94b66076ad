//! How the tool looks on a terminal and elsewhere: progress, colours, Ctrl-C.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use system_tests::place::{Place, write_program};
use system_tests::process::{Done, Process, until};
use system_tests::skip::skip;

use crate::pty::Terminal;
use crate::sshd::Elsewhere;

/// What begins a colour, and everything else that is no text.
const ESCAPE: char = '\u{1b}';

/// In which what turns would have turned more than once.
const FEW_TURNS: Duration = Duration::from_millis(300);

/// A place where `doctor` waits for Python's version until it is told.
struct Waiting {
    place: Place,
    /// Open for both ends: a tool that never asks does not keep the test.
    gate: File,
}

impl Waiting {
    fn new() -> Waiting {
        let place = Place::new();
        let gate = place.beside("gate");
        mknodat(CWD, &gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        let asked = place.beside("asked");
        let program = format!(
            ": > '{}'; read -r word < '{}'; echo Python 3.11.99",
            asked.display(),
            gate.display()
        );
        write_program(&place.beside("bin/python3"), &program);
        let open = OpenOptions::new().read(true).write(true).open(&gate);
        Waiting {
            place,
            gate: open.expect("a pipe"),
        }
    }

    fn doctor(&self) -> Command {
        let mut command = self.place.tool(&["doctor"]);
        let path = std::env::var("PATH").expect("a PATH");
        command.env(
            "PATH",
            format!("{}:{path}", self.place.beside("bin").display()),
        );
        command
    }

    /// Until the tool waits for the version.
    #[track_caller]
    fn wait_until_asked(&self) {
        let asked = self.place.beside("asked");
        until("the version is asked for", || asked.exists());
        std::fs::remove_file(asked).expect("it is there");
    }

    fn go_on(&self) {
        let mut gate = &self.gate;
        gate.write_all(b"go\n").expect("it has room for a word");
    }
}

#[test]
fn progress_is_shown_on_a_terminal_and_taken_away_again() {
    let waiting = Waiting::new();
    let mut terminal = Terminal::start(waiting.doctor(), |_| ());
    terminal.wait_for("Looking at this machine");
    waiting.go_on();
    let (_, raw) = terminal.finish();
    assert!(terminal.shows("Python 3.11.99"), "{raw}");
    assert!(!terminal.shows("Looking"), "it is taken away: {raw}");
    assert!(raw.contains(ESCAPE), "in colour: {raw}");
}

/// Data that goes elsewhere is not mixed up with what the terminal shows meanwhile.
#[test]
fn progress_is_for_the_terminal_and_data_for_the_file() {
    let waiting = Waiting::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut terminal = Terminal::start(waiting.doctor(), |command| {
        command.stdout(file.reopen().expect("it is there"));
    });
    terminal.wait_for("Looking at this machine");
    waiting.go_on();
    terminal.finish();
    let data = std::fs::read_to_string(file.path()).expect("text");
    assert!(data.contains("Python 3.11.99"), "{data}");
    assert!(
        !data.contains(ESCAPE) && !data.contains("Looking"),
        "{data}"
    );
}

#[test]
fn nothing_is_drawn_where_nobody_sees_it() {
    let waiting = Waiting::new();
    for (variables, arguments) in [(vec![("TERM", "dumb")], vec![]), (vec![], vec!["--quiet"])] {
        let mut command = waiting.doctor();
        command.envs(variables).args(arguments);
        let mut terminal = Terminal::start(command, |_| ());
        waiting.wait_until_asked();
        // Meanwhile it would be drawn.
        assert!(!terminal.ends_within(FEW_TURNS));
        waiting.go_on();
        let (_, raw) = terminal.finish();
        assert!(raw.contains("Python 3.11.99"), "{raw}");
        assert!(!raw.contains("Looking"), "{raw}");
    }
    let doctor = Process::start(&mut waiting.doctor());
    waiting.wait_until_asked();
    assert!(!doctor.ends_within(FEW_TURNS));
    waiting.go_on();
    assert_eq!(doctor.finish().words, "", "no terminal");
}

/// Whether a command that fails does so in colour, on a terminal or not.
fn in_colour(on_terminal: bool, variables: &[(&str, &str)], options: &[&str]) -> bool {
    let place = Place::new();
    let arguments: Vec<&str> = options
        .iter()
        .chain(&["trace", "nothing.log"])
        .copied()
        .collect();
    let mut command = place.tool(&arguments);
    command.envs(variables.iter().copied());
    let words = if on_terminal {
        Terminal::start(command, |_| ()).finish().1
    } else {
        Done::of(&mut command).words
    };
    let text: String = words.chars().filter(|letter| *letter != '\r').collect();
    assert!(
        text.contains("error:") && text.contains("nothing.log"),
        "{text}"
    );
    text.contains(ESCAPE)
}

#[test]
fn colours_are_for_terminals_unless_somebody_says_otherwise() {
    assert!(in_colour(true, &[], &[]));
    assert!(!in_colour(false, &[], &[]));
    assert!(!in_colour(true, &[("NO_COLOR", "1")], &[]));
    assert!(!in_colour(true, &[("TERM", "dumb")], &[]));
    assert!(in_colour(false, &[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!in_colour(true, &[], &["--color", "never"]));
    assert!(in_colour(false, &[("NO_COLOR", "1")], &["--color=always"]));
}

/// What clap says looks the same.
#[test]
fn wrong_usage_is_told_in_the_same_colours() {
    let place = Place::new();
    let said = |arguments: &[&str]| Done::of(&mut place.tool(arguments)).words;
    assert!(!said(&["rnu"]).contains(ESCAPE));
    let red = "\u{1b}[1m\u{1b}[31merror:";
    assert!(said(&["--color=always", "rnu"]).starts_with(red));
    assert!(said(&["--color=always", "trace", "nothing.log"]).starts_with(red));
}

/// What bash itself makes of the completions.
#[test]
fn a_shell_completes_commands_and_options() {
    let place = Place::new();
    let complete = |line: &str, word: &str, before: &str| {
        let script = format!(
            "source <('{}' completions bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _ukernel ukernel '{word}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            system_tests::guest::tool().display()
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &script]);
        place.surround(&mut bash);
        Done::of(&mut bash).data()
    };
    if Command::new("bash")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return skip("completions", "bash is not here");
    }
    assert_eq!(complete("ukernel doc", "doc", "ukernel"), "doctor\n");
    assert_eq!(
        complete("ukernel remote sync-st", "sync-st", "remote"),
        "sync-start sync-status sync-stop\n"
    );
    assert_eq!(
        complete("ukernel env show --rev", "--rev", "show"),
        "--reveal\n"
    );
}

#[test]
fn a_bar_fills_while_the_tool_goes_to_another_machine() {
    let Some(elsewhere) = Elsewhere::new() else {
        return;
    };
    let mut terminal = Terminal::start(elsewhere.remote(&["setup", "--dry-run"]), |_| ());
    terminal.wait_for("Installing [");
    terminal.wait_for("MiB");
    let (_, raw) = terminal.finish();
    assert!(terminal.shows("Installed ukernel "), "{raw}");
    assert!(!terminal.shows("Installing"), "{raw}");
}

/// It is the command there that Ctrl-C is for; this side waits for what it ends with.
#[test]
fn ctrl_c_reaches_a_command_on_another_machine() {
    let Some(elsewhere) = Elsewhere::new() else {
        return;
    };
    std::fs::create_dir_all(elsewhere.folder()).expect("a folder");
    let script = "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done";
    let remote = elsewhere.remote(&["exec", "sh", "-c", script]);
    let Some(command) = on_terminal_of_its_own(&remote) else {
        return;
    };
    let mut terminal = Terminal::start(command, |_| ());
    terminal.wait_for("up");
    terminal.write(b"\x03");
    let (status, raw) = terminal.finish();
    assert!(raw.contains("caught"), "{raw}");
    assert_eq!(status, Some(9), "{raw}");
}

/// The same command as the first of a session, whose terminal is the one it is started on: what is typed are signals then.
pub(crate) fn on_terminal_of_its_own(command: &Command) -> Option<Command> {
    let has_setsid = Command::new("setsid")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !has_setsid.is_ok_and(|status| status.success()) {
        skip("Ctrl-C on a terminal", "setsid (util-linux) is not here");
        return None;
    }
    let mut session = Command::new("setsid");
    session
        .args(["--ctty", "--wait"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session.current_dir(command.get_current_dir()?);
    Some(session)
}
