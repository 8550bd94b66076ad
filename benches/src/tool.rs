//! From a project to a machine that answers, with `ukernel`; and the same steps by hand for a Linux guest: the minimal one
//! of `benches peers`, started without any tool.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use bundle_tool::machine::{Protocol, ports};
use system_tests::guest::repository;
use tempfile::TempDir;

use crate::peers::boot;
use crate::peers::candidate::Candidate;

const TEMPLATES: [&str; 3] = ["http", "echo", "job"];
/// The template that is run, its port, and what it logs when it serves.
const SERVER: (&str, u16, &str) = ("http", 8080, "http: listening");
const PEER: &str = "linux-tiny";
const ROUNDS: usize = 5;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

/// Measures, and prints a table. The peer's column is empty where it has not been built.
pub(crate) fn run() -> io::Result<bool> {
    let home = tempfile::tempdir()?;
    let projects = TEMPLATES.map(|template| Project::new(&home, template));
    let projects = projects.into_iter().collect::<io::Result<Vec<_>>>()?;
    let peer = Candidate::all()?.into_iter().find(|one| one.name == PEER);
    println!("| | | ukernel | {PEER} |\n| --- | --- | ---: | ---: |");
    shipped(&projects, peer.as_ref())?;
    times(&projects, peer.as_ref())?;
    Ok(true)
}

/// What has to be there on the machine that runs it.
fn shipped(projects: &[Project<'_>], peer: Option<&Candidate>) -> io::Result<()> {
    for project in projects {
        let name = format!("what is shipped, {}", project.template);
        row(&name, "KiB", Some(project.shipped()? / 1024), None);
    }
    if let Some(peer) = peer {
        let name = format!("what is shipped, {PEER} with its worker");
        row(&name, "KiB", None, Some(peer.image_bytes()? / 1024));
    }
    Ok(())
}

/// How long a change takes to be built, and a machine to answer.
fn times(projects: &[Project<'_>], peer: Option<&Candidate>) -> io::Result<()> {
    let server = projects.iter().find(|one| one.template == SERVER.0);
    let server = server.expect("it is one of the templates");
    let (mut ours, mut theirs) = <([Vec<Duration>; 3], [Vec<Duration>; 3])>::default();
    for _ in 0..ROUNDS {
        let (line, answer) = server.start()?;
        keep(&mut ours, [server.build_again()?, line, answer]);
        if let Some(peer) = peer {
            let (line, answer) = boot::once(peer)?;
            keep(&mut theirs, [build_peer_again()?, line, answer]);
        }
    }
    let names = [
        "build again after a change",
        "start to the first line",
        "start to the first HTTP answer",
    ];
    for ((name, ours), theirs) in names.into_iter().zip(ours).zip(theirs) {
        row(name, "ms", median(ours), median(theirs));
    }
    Ok(())
}

fn row(name: &str, unit: &str, ours: Option<u64>, theirs: Option<u64>) {
    let text = |figure: Option<u64>| figure.map(|it| it.to_string()).unwrap_or_default();
    println!("| {name} | {unit} | {} | {} |", text(ours), text(theirs));
}

fn keep(figures: &mut [Vec<Duration>; 3], seen: [Duration; 3]) {
    figures
        .iter_mut()
        .zip(seen)
        .for_each(|(all, one)| all.push(one));
}

fn median(mut figures: Vec<Duration>) -> Option<u64> {
    figures.sort();
    let middle = figures.get(figures.len() / 2)?;
    Some(middle.as_millis() as u64)
}

/// A project that has been built and packed, by somebody who had nothing of it before.
struct Project<'a> {
    home: &'a TempDir,
    template: &'static str,
}

impl<'a> Project<'a> {
    fn new(home: &'a TempDir, template: &'static str) -> io::Result<Project<'a>> {
        let project = Project { home, template };
        let arguments = ["init", "--lang", "rust", "--template", template];
        let mut init = project.tool(&arguments);
        succeed(init.arg(project.folder()).current_dir(home.path()))?;
        succeed(&mut project.tool(&["build", "--release"]))?;
        succeed(&mut project.tool(&["pack"]))?;
        Ok(project)
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join(self.template)
    }

    /// The tool, with a home of its own but the crates that this machine has.
    fn tool(&self, arguments: &[&str]) -> Command {
        let mut tool = Command::new(repository().join("target/release/ukernel"));
        tool.args(arguments).current_dir(self.folder());
        for variable in ["XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            tool.env(variable, self.home.path().join(".xdg"));
        }
        tool
    }

    /// Bytes of what is in `dist`.
    fn shipped(&self) -> io::Result<u64> {
        let files = fs::read_dir(self.folder().join("dist"))?;
        files.map(|file| Ok(file?.metadata()?.len())).sum()
    }

    fn build_again(&self) -> io::Result<Duration> {
        touch(&self.folder().join("src/main.rs"))?;
        let took = timed(&mut self.tool(&["build", "--release"]))?;
        succeed(&mut self.tool(&["pack"]))?; // what is older than the build is not run
        Ok(took)
    }

    /// From the command to the first line of the guest, and to its first answer.
    fn start(&self) -> io::Result<(Duration, Duration)> {
        let (_, port, serving) = SERVER;
        let host = ports::free(Protocol::Tcp)?;
        let mut run = self.tool(&["run", "--vmm", "qemu", "-p", &format!("{host}:{port}")]);
        let start = Instant::now();
        let mut running = Running(run.arg("--quiet").stdout(Stdio::piped()).spawn()?);
        let output = running.0.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        lines.next().ok_or_else(|| io::Error::other("no log"))??;
        let line = start.elapsed();
        let found = lines.any(|line| line.is_ok_and(|line| line.contains(serving)));
        if !found {
            return Err(io::Error::other("the guest does not serve"));
        }
        boot::ask(SocketAddr::from(([127, 0, 0, 1], host)), REQUEST)?;
        Ok((line, start.elapsed()))
    }
}

/// Ends with whoever holds it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The machine dies with the tool.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles the peer's worker anew and puts it into its file system.
fn build_peer_again() -> io::Result<Duration> {
    touch(&repository().join("benches/peers/app/src/main.rs"))?;
    timed(&mut Command::new(
        repository().join("benches/peers/build.sh"),
    ))
}

fn touch(file: &Path) -> io::Result<()> {
    File::options()
        .append(true)
        .open(file)?
        .set_modified(SystemTime::now())
}

fn timed(command: &mut Command) -> io::Result<Duration> {
    let start = Instant::now();
    succeed(command)?;
    Ok(start.elapsed())
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let Output { status, stderr, .. } = command.output()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&stderr).into_owned(),
        )),
    }
}
