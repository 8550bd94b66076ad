//! A machine to reach by ssh: an sshd on this machine's loopback, with keys, a port and a home of its own. What runs
//! "there" runs here, in that home; nothing of this machine's user is read or written.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use rustix::process::{Pid, Signal, kill_process};
use system_tests::place::{Place, write, write_program};
use system_tests::process::{Done, Process};
use system_tests::skip::skip;

/// What the machine is called.
pub(crate) const HOST: &str = "elsewhere";

/// Where distributions put sshd, which is in no ordinary user's PATH.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// Whether it has been said that there is none.
static SAID: Once = Once::new();

/// A machine, switched off when it is dropped.
pub(crate) struct Elsewhere {
    place: Place,
    server: Process,
}

impl Elsewhere {
    /// Switches one on. `None`, and a visible skip: what it takes is not here.
    pub(crate) fn new() -> Option<Elsewhere> {
        let sshd = SSHD.into_iter().find(|path| Path::new(path).exists());
        let Some(sshd) = sshd.filter(|_| has("ssh") && has("ssh-keygen") && has("rsync")) else {
            // Once, not for each test.
            SAID.call_once(|| skip("work on another machine", "sshd, ssh or rsync is not here"));
            return None;
        };
        let place = Place::new();
        let keys = [place.beside("host_key"), place.beside("user_key")];
        for key in &keys {
            make_key(key);
        }
        privilege_separation();
        // The port may be gone by the time sshd takes it; it has no way to be given one.
        let server = (0..5).find_map(|_| start(sshd, &place));
        let server = server.expect("sshd starts");
        place.write(
            ".remote",
            &format!(
                "UKERNEL_REMOTE={HOST}\nUKERNEL_REMOTE_DIR='{}'\n",
                Elsewhere::folder_of(&place)
            ),
        );
        Some(Elsewhere { place, server })
    }

    /// Where the project is there: a name that no shell leaves alone by itself.
    fn folder_of(place: &Place) -> String {
        let folder = place.beside("there/my $HOME \"project\"");
        folder.to_str().expect("UTF-8").into()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        Elsewhere::folder_of(&self.place).into()
    }

    /// The home there.
    pub(crate) fn home(&self) -> PathBuf {
        self.place.beside("home-there")
    }

    /// The project here.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Puts a program there where `setup` would put the tool.
    pub(crate) fn install(&self, name: &str, text: &str) {
        write_program(&self.home().join(".local/bin").join(name), text);
    }

    /// The command `ukernel remote …` here.
    pub(crate) fn remote(&self, arguments: &[&str]) -> Command {
        let arguments: Vec<&str> = ["remote"].iter().chain(arguments).copied().collect();
        let mut command = self.place.tool(&arguments);
        command.env("UKERNEL_SSH", self.ssh());
        command
    }

    /// The same, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.remote(arguments))
    }

    /// `UKERNEL_SSH` for it.
    pub(crate) fn ssh(&self) -> String {
        format!("ssh -F '{}'", self.place.beside("ssh_config").display())
    }

    /// Pulls the plug: nothing that sshd has started lives on, and nobody says goodbye. So the servers go first, before they
    /// can tell how a command ended.
    pub(crate) fn cut(&mut self) {
        let mut processes = vec![self.server.id().as_raw_nonzero().get()];
        let mut next = 0;
        while let Some(process) = processes.get(next) {
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            let children = children.unwrap_or_default();
            let children = children
                .split_whitespace()
                .map(|child| child.parse::<i32>());
            processes.extend(children.map(|child| child.expect("a number")));
            next += 1;
        }
        for process in processes {
            // Some may have ended meanwhile.
            let _ = kill_process(Pid::from_raw(process).expect("a process"), Signal::KILL);
        }
        self.server.kill();
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if self.server.is_running() {
            self.cut();
        }
        if std::thread::panicking() {
            eprintln!("sshd said:\n{}", self.server.last_words());
        }
    }
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path);
    assert!(command.status().expect("it is here").success());
}

/// A server that root starts wants this folder, which the system's own service would make at boot.
fn privilege_separation() {
    if rustix::process::geteuid().is_root() {
        let _ = fs::create_dir("/run/sshd");
    }
}

fn start(sshd: &str, place: &Place) -> Option<Process> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    write_configuration(place, port);
    let mut command = Command::new(sshd);
    command
        .args(["-D", "-e", "-f"])
        .arg(place.beside("sshd_config"));
    let mut server = Process::start(command.stdin(Stdio::null()));
    server.finds_words("Server listening").then_some(server)
}

/// Both sides' settings. What comes in runs in a home of the test's, through the same shell as otherwise.
fn write_configuration(place: &Place, port: u16) {
    let path = |name: &str| place.beside(name).to_str().expect("UTF-8").to_string();
    let public = |name: &str| fs::read_to_string(path(name) + ".pub").expect("a key");
    let home = path("home-there");
    fs::create_dir_all(&home).expect("a folder");
    let enter = format!(
        "HOME='{home}'\nexport HOME\ncd \"$HOME\" || exit 1\neval \"$SSH_ORIGINAL_COMMAND\""
    );
    write_program(Path::new(&path("enter")), &enter);
    write(Path::new(&path("authorized_keys")), &public("user_key"));
    let server = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey \"{}\"\nAuthorizedKeysFile \"{}\"\nPidFile none\nStrictModes no\n\
         UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nForceCommand '{}'\n",
        path("host_key"),
        path("authorized_keys"),
        path("enter"),
    );
    write(Path::new(&path("sshd_config")), &server);
    let known = format!("[127.0.0.1]:{port} {}", public("host_key"));
    write(Path::new(&path("known_hosts")), &known);
    let client = format!(
        "Host {HOST}\nHostName 127.0.0.1\nPort {port}\nIdentityFile \"{}\"\nIdentitiesOnly yes\nUserKnownHostsFile \"{}\"\n\
         GlobalKnownHostsFile /dev/null\nBatchMode yes\n",
        path("user_key"),
        path("known_hosts"),
    );
    let mut file = fs::File::create(path("ssh_config")).expect("a file");
    file.write_all(client.as_bytes()).expect("it is writable");
}
