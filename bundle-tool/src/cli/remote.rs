//! `ukernel remote`: the same commands on another machine, reached by ssh.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;
use crate::manifest::Language;
use crate::project::{Project, ProjectError};
use crate::remote::{
    Mutagen, PortForward, Remote as Machine, Rsync, Session, Settings, Setup, Terminal,
};
use crate::ui::{Amount, Ui};

/// Build and run on another machine, reached by ssh
///
/// A file .remote in the project names the machine (UKERNEL_REMOTE=user@host) and, if it is not to be
/// ukernel/NAME in the user's own folder, the project's folder there (UKERNEL_REMOTE_DIR=~/work/demo); both may also stand
/// in the environment. `build`, `test` and `run` copy the project there first, by rsync; with Mutagen installed,
/// `sync-start` keeps both sides the same instead. See docs/remote.md.
#[derive(Args)]
pub(super) struct Remote {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the machine ready: put this tool there, and run what its `doctor` says would help
    Setup {
        /// Say what would be run, and run nothing but the tool's `doctor`
        #[arg(long)]
        dry_run: bool,
    },
    /// Log in, in the project's folder
    Shell,
    /// Run `ukernel build` there
    Build(There),
    /// Run the project's tests there
    Test(There),
    /// Run `ukernel run` there; its ports are there as well, unless they are forwarded
    Run {
        /// Lead a port of this machine's 127.0.0.1 to one of the other's, while it runs
        #[arg(long = "forward", value_name = "[HERE:]THERE")]
        forwards: Vec<PortForward>,
        #[command(flatten)]
        there: There,
    },
    /// Run `ukernel logs` there
    Logs(Words),
    /// Run a command in the project's folder there; its words arrive as they are
    Exec(Command),
    /// Run another command of this tool there
    Ukernel(Command),
    /// Copy the project there; with Mutagen, keep both sides the same from now on
    SyncStart,
    /// Say what differs between here and there
    SyncStatus {
        /// Print one JSON document instead
        #[arg(long)]
        json: bool,
    },
    /// Stop keeping both sides the same
    SyncStop,
}

#[derive(Args)]
struct There {
    /// Work on what is there already
    #[arg(long)]
    no_sync: bool,
    #[command(flatten)]
    words: Words,
}

#[derive(Args)]
struct Words {
    /// What follows the command there
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

#[derive(Args)]
struct Command {
    /// The command there, and its arguments
    #[arg(
        value_name = "WORD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

impl Remote {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let place = Place::find()?;
        let done = match self.action {
            Action::Setup { dry_run } => return place.setup(dry_run, ui),
            Action::Shell => place.shell(ui),
            Action::Build(there) => place.tool("build", there, &[], ui),
            Action::Test(there) => place.test(there, ui),
            Action::Run { forwards, there } => place.tool("run", there, &forwards, ui),
            Action::Logs(Words { words }) => place.run(&after(&["ukernel", "logs"], words), ui),
            Action::Exec(Command { words }) => place.run(&words, ui),
            Action::Ukernel(Command { words }) => place.run(&after(&["ukernel"], words), ui),
            Action::SyncStart => place.sync_start(ui),
            Action::SyncStatus { json } => place.sync_status(json, ui),
            Action::SyncStop => place.sync_stop(ui),
        };
        done.map(ExitCode::from)
    }
}

/// The project here, if this is one, and the machine there.
struct Place {
    folder: PathBuf,
    project: Option<Project>,
    machine: Machine,
}

impl Place {
    fn find() -> Result<Place, Failure> {
        let project = match Project::current() {
            Ok(project) => Some(project),
            // Much can be done on another machine without one.
            Err(ProjectError::NotFound(_)) => None,
            Err(error) => return Err(Failure::from(error)),
        };
        let folder = match &project {
            Some(project) => project.root().to_path_buf(),
            None => std::env::current_dir()?,
        };
        let settings = Settings::of_project(&folder)?;
        let name = match &project {
            Some(project) => Path::new(project.name()),
            None => folder.file_name().map_or(Path::new("project"), Path::new),
        };
        let machine = Machine::new(settings, name)?;
        Ok(Place {
            folder,
            project,
            machine,
        })
    }

    fn project(&self) -> Result<&Project, Failure> {
        let missing = || ProjectError::NotFound(self.folder.clone());
        Ok(self.project.as_ref().ok_or_else(missing)?)
    }

    fn mutagen(&self) -> Option<Mutagen<'_>> {
        Mutagen::find(&self.machine, &self.folder)
    }

    /// The running session, if there is one.
    fn running(&self) -> Result<Option<Mutagen<'_>>, Failure> {
        let Some(mutagen) = self.mutagen() else {
            return Ok(None);
        };
        let running = mutagen.is_running()?;
        Ok(running.then_some(mutagen))
    }

    // --- commands there ---

    fn shell(&self, ui: &Ui) -> Result<u8, Failure> {
        let session = Session::new(&self.machine).terminal(Terminal::Always);
        self.run_in(
            &session,
            &after(&["sh", "-c", "exec \"${SHELL:-sh}\" -l"], vec![]),
            ui,
        )
    }

    fn tool(
        &self,
        name: &str,
        there: There,
        forwards: &[PortForward],
        ui: &Ui,
    ) -> Result<u8, Failure> {
        self.bring(&there, ui)?;
        let session = Session::new(&self.machine).forwards(forwards);
        self.run_in(&session, &after(&["ukernel", name], there.words.words), ui)
    }

    fn test(&self, there: There, ui: &Ui) -> Result<u8, Failure> {
        let command = test_command(self.project()?.manifest.project.language);
        self.bring(&there, ui)?;
        self.run(&after(command, there.words.words), ui)
    }

    fn run(&self, words: &[String], ui: &Ui) -> Result<u8, Failure> {
        self.run_in(&Session::new(&self.machine), words, ui)
    }

    fn run_in(&self, session: &Session<'_>, words: &[String], ui: &Ui) -> Result<u8, Failure> {
        ui.detail(session.command_line(words)?);
        Ok(session.run(words)?)
    }

    // --- the project's files ---

    /// Brings the project there, as a command needs it.
    fn bring(&self, there: &There, ui: &Ui) -> Result<(), Failure> {
        self.project()?;
        match (there.no_sync, self.running()?) {
            (true, _) => Ok(()),
            (false, Some(mutagen)) => Ok(mutagen.flush()?),
            (false, None) => self.copy(ui),
        }
    }

    fn copy(&self, ui: &Ui) -> Result<(), Failure> {
        let to = format!("{}:{}", self.machine.host(), self.machine.folder());
        let copying = ui.progress(
            "Copying",
            format_args!("the project to {to}"),
            Amount::Unknown,
        );
        Rsync::new(&self.machine, &self.folder).copy()?;
        copying.finish("Copied", format_args!("the project to {to}"));
        Ok(())
    }

    fn sync_start(&self, ui: &Ui) -> Result<u8, Failure> {
        self.project()?;
        let Some(mutagen) = self.mutagen() else {
            self.copy(ui)?;
            ui.say("Mutagen is not installed: build, test and run copy what has changed before they start");
            return Ok(0);
        };
        if mutagen.is_running()? {
            ui.say("Mutagen keeps both sides the same already");
            return Ok(0);
        }
        mutagen.start()?;
        ui.status(
            "Started",
            format_args!("keeping {} the same on both sides", self.folder.display()),
        );
        Ok(0)
    }

    fn sync_status(&self, json: bool, ui: &Ui) -> Result<u8, Failure> {
        self.project()?;
        if let Some(mutagen) = self.running()? {
            let says = mutagen.status()?;
            let document = serde_json::json!({ "by": "mutagen", "status": says });
            return show(json, &document, &says, ui);
        }
        let differences = Rsync::new(&self.machine, &self.folder).differences()?;
        let document = serde_json::json!({ "by": "rsync", "differs": differences });
        let lines: String = differences.iter().map(|name| format!("{name}\n")).collect();
        if differences.is_empty() {
            ui.say("nothing differs");
        }
        show(json, &document, &lines, ui)
    }

    fn sync_stop(&self, ui: &Ui) -> Result<u8, Failure> {
        self.project()?;
        match self.running()? {
            Some(mutagen) => {
                mutagen.stop()?;
                ui.status("Stopped", "keeping both sides the same; the files stay");
            }
            None => ui.say("nothing keeps both sides the same"),
        }
        Ok(0)
    }

    // --- the machine itself ---

    fn setup(&self, dry_run: bool, ui: &Ui) -> Result<ExitCode, Failure> {
        let setup = Setup::new(&self.machine);
        self.install(&setup, ui)?;
        let before = setup.report()?;
        for (name, command) in before.commands() {
            fix(&setup, name, command, dry_run, ui)?;
        }
        let report = if dry_run { before } else { setup.report()? };
        super::doctor::show(&report, false, ui)
    }

    fn install(&self, setup: &Setup<'_>, ui: &Ui) -> Result<(), Failure> {
        let host = self.machine.host();
        let unusable = || {
            let words = "this program does not run there; the one there is used";
            ui.warn(format_args!("{host}: {words}"));
        };
        let Some((mut program, length)) = setup.program()? else {
            unusable();
            return Ok(());
        };
        let words = format!("ukernel on {host}");
        let installing = ui.progress("Installing", words, Amount::Bytes(length));
        let version = setup.install(&mut program, |count| installing.advance(count));
        match version? {
            Some(version) => installing.finish("Installed", format_args!("{version} on {host}")),
            None => unusable(),
        }
        Ok(())
    }
}

/// Runs one fix, or says it. A fix that does not work is not the end of the others.
fn fix(
    setup: &Setup<'_>,
    name: &str,
    command: &str,
    dry_run: bool,
    ui: &Ui,
) -> Result<(), Failure> {
    if dry_run {
        ui.status("Would run", command);
        return Ok(());
    }
    ui.status("Running", command);
    let status = setup.fix(command)?;
    if status != 0 {
        ui.warn(format_args!(
            "{name}: the command ended with status {status}; run it there yourself"
        ));
    }
    Ok(())
}

/// Data, for a script or a person.
fn show(json: bool, document: &serde_json::Value, text: &str, ui: &Ui) -> Result<u8, Failure> {
    if json {
        ui.json(document)?;
    } else {
        ui.print(text)?;
    }
    Ok(0)
}

/// Compiles and runs each test of a project in C, for the machine that it is on.
const C_TESTS: &str = r#"mkdir -p build && for test in tests/*.c; do
    "${CC:-cc}" -Isrc -o build/test "$test" && build/test "$@" || { echo "failed: $test" >&2; exit 1; }
done"#;

/// How a project's own tests are run.
fn test_command(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &["cargo", "test"],
        Language::Python => &["python3", "-m", "unittest", "discover", "tests"],
        Language::C => &["sh", "-c", C_TESTS, "ukernel"],
    }
}

fn after(first: &[&str], rest: Vec<String>) -> Vec<String> {
    first
        .iter()
        .map(|word| String::from(*word))
        .chain(rest)
        .collect()
}
