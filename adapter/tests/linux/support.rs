//! C programs that are linked to the library, and how they run.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shared_child::SharedChild;
use tempfile::{NamedTempFile, TempDir};

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("adapter is in the repository").into()
}

/// Where the library is that was built with these tests.
fn library_folder() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its path");
    own.parent().expect("it is in a folder").into()
}

/// The C sources of a folder of the repository.
pub(crate) fn sources(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let is_c = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "c");
    paths.filter(is_c).collect()
}

/// A source of these tests.
pub(crate) fn own(name: &str) -> PathBuf {
    repository().join("adapter/tests/linux/programs").join(name)
}

/// The sanitizer that the library was built with, as an argument of the compiler: `UKERNEL_TEST_SANITIZER` says so.
fn sanitizer() -> Option<String> {
    let name = std::env::var("UKERNEL_TEST_SANITIZER").ok()?;
    Some(format!("-fsanitize={name}"))
}

/// Whether there is one.
pub(crate) fn is_sanitized() -> bool {
    sanitizer().is_some()
}

/// The library's sanitizer is LLVM's.
fn compiler() -> &'static str {
    sanitizer().map_or("cc", |_| "clang")
}

/// Sources that measure their stacks, which a sanitizer makes larger.
const MEASURE_STACKS: [&str; 3] = ["tap.c", "tasks.c", "task_ends.c"];

fn compile(source: &Path, folder: &Path) -> PathBuf {
    let name = source.file_name().expect("a file has a name");
    let object = folder.join(name).with_extension("o");
    let measures = MEASURE_STACKS.iter().any(|measuring| name == *measuring);
    let mut command = Command::new(compiler());
    command
        .args(sanitizer().filter(|_| !measures))
        .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
        .args(["-D_GNU_SOURCE", "-pthread", "-I"])
        .arg(repository().join("kernel/include"))
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object);
    succeed(&mut command);
    object
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.output().expect("a C compiler is here");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

/// A program, removed when this is dropped.
pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    /// Compiles it with the host's compiler.
    pub(crate) fn build(sources: &[PathBuf]) -> Program {
        let folder = TempDir::new().expect("a temporary folder");
        let objects: Vec<PathBuf> = sources
            .iter()
            .map(|source| compile(source, folder.path()))
            .collect();
        let library = library_folder();
        let mut link = Command::new(compiler());
        link.args(sanitizer())
            .args(objects)
            .arg("-o")
            .arg(folder.path().join("program"))
            .arg("-L")
            .arg(&library)
            .args(["-lukernel_abi", "-pthread"])
            .arg(format!("-Wl,-rpath,{}", library.display()));
        succeed(&mut link);
        Program { folder }
    }

    /// To run it, with nothing of the library's settings in its environment.
    pub(crate) fn command(&self) -> Command {
        Self::clean(Command::new(self.path()))
    }

    /// To run it under another program, which `prepare` gives arguments of its own.
    pub(crate) fn command_under(
        &self,
        program: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Command {
        let mut command = Command::new(program);
        prepare(&mut command);
        command.arg(self.path());
        Self::clean(command)
    }

    /// To run it in a network of its own, with nothing but a loopback: it may then have any port. Where that is not
    /// allowed, in the host's, where others may have them.
    pub(crate) fn command_alone(&self) -> Command {
        let alone = self.command_in("--net", "ip link set lo up");
        alone.unwrap_or_else(|| self.command())
    }

    /// The same, where names are asked of 127.0.0.1. `None`: that is not allowed.
    pub(crate) fn command_with_name_server(&self) -> Option<Command> {
        let settings = self.folder.path().join("resolv.conf");
        fs::write(
            &settings,
            "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n",
        )
        .expect("the folder is there");
        let mount = format!("mount --bind {} /etc/resolv.conf", settings.display());
        self.command_in("--net --mount", &format!("ip link set lo up && {mount}"))
    }

    /// To run it in namespaces of its own, in which a command of the shell was run before. `None`: that does not work.
    fn command_in(&self, namespaces: &str, before: &str) -> Option<Command> {
        let prepare = |unshare: &mut Command| {
            let script = format!("{before} && exec \"$@\"");
            unshare.arg("--map-root-user").args(namespaces.split(' '));
            unshare.args(["sh", "-c", &script, "sh"]);
        };
        let mut probe = Command::new("unshare");
        prepare(&mut probe);
        let output = probe.arg("true").output();
        let works = output.is_ok_and(|output| output.status.success());
        works.then(|| self.command_under("unshare", prepare))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    fn clean(mut command: Command) -> Command {
        // Cargo's names a folder with a library that may be older.
        command.env_remove("LD_LIBRARY_PATH");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UKERNEL_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// A file of zeros.
pub(crate) struct Disk(NamedTempFile);

impl Disk {
    pub(crate) fn new(len: u64) -> Disk {
        let file = NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(len).expect("it can grow");
        Disk(file)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; `None`: a signal ended it.
    pub(crate) status: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) output: String,
    /// What it wrote to standard error.
    pub(crate) log: String,
}

/// A process.
pub(crate) struct Process {
    child: SharedChild,
    lines: Receiver<String>,
    output: JoinHandle<String>,
    log: JoinHandle<String>,
}

/// Runs a process to its end. One that takes longer than `deadline` is killed.
#[track_caller]
pub(crate) fn run(command: &mut Command, deadline: Duration) -> Outcome {
    start(command).wait(deadline)
}

/// Starts a process.
#[track_caller]
pub(crate) fn start(command: &mut Command) -> Process {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = SharedChild::spawn(command).expect("the program was built");
    let (sender, lines) = mpsc::channel();
    let output = child.take_stdout().expect("it was just piped");
    let log = child.take_stderr().expect("it was just piped");
    Process {
        child,
        lines,
        output: thread::spawn(move || read_lines(output, &sender)),
        log: thread::spawn(move || read_all(log)),
    }
}

/// Reads to the end, and passes each line on; nobody has to listen.
fn read_lines(from: impl Read, to: &Sender<String>) -> String {
    let mut all = String::new();
    for line in BufReader::new(from).lines() {
        let line = line.expect("a program's output is UTF-8");
        all += &line;
        all.push('\n');
        let _ = to.send(line);
    }
    all
}

fn read_all(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("it can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Process {
    /// Waits for a line of its output.
    #[track_caller]
    pub(crate) fn expect_line(&self, expected: &str) {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            if line.expect("the line comes") == expected {
                return;
            }
        }
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("it is no 0");
        kill_process(pid, Signal::TERM).expect("it is there");
    }

    /// Waits for its end, or kills it after that time.
    #[track_caller]
    pub(crate) fn wait(self, deadline: Duration) -> Outcome {
        let ended = self
            .child
            .wait_timeout(deadline)
            .expect("it can be waited for");
        if ended.is_none() {
            self.child.kill().expect("it can be killed");
        }
        let output = self.output.join().expect("it reads to the end");
        let log = self.log.join().expect("it reads to the end");
        let Some(status) = ended else {
            panic!("it does not end\n{output}\n{log}");
        };
        Outcome {
            status: status.code(),
            output,
            log,
        }
    }
}
