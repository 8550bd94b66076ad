//! Commands on the other machine. What ssh is given is decided by pure functions; [`Session`] runs it.
//!
//! ssh joins its arguments with spaces, and the shell there takes the result apart again. So it gets one argument: a
//! fixed script and the words quoted behind it. The script tells an end of the connection from one of the command.

use std::io::{self, IsTerminal, Read, Write};
use std::num::NonZeroU16;
use std::process::{ChildStdin, Command, Stdio};
use std::str::FromStr;

use super::{Remote, RemoteError};

/// What ssh ends with when the connection cannot be made or is lost (ssh(1)). The script below lets no command end so.
const NO_CONNECTION: i32 = 255;

/// Runs in the other machine's shell: the folder, then the command's words, are its arguments.
///
/// - What `setup` and rustup install is not in the PATH of a shell that nobody logs in to.
/// - The shell itself outlives the signals that a terminal sends to it and to the command, as it has the last word.
const SCRIPT: &str = r#"PATH=$HOME/.cargo/bin:$HOME/.local/bin:$PATH
cd -- "$1" || { echo "error: the project is not on this machine yet; ukernel remote sync-start copies it" >&2; exit 125; }
shift
trap : INT TERM HUP
"$@"
status=$?
[ "$status" -ne 255 ] || status=254
exit "$status""#;

/// Whether the command there gets a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// Where this process has one: Ctrl-C reaches the command, and its end ends the command.
    AsHere,
    /// Always, as for a shell.
    Always,
    /// Never: its output is data.
    Never,
}

/// A port of this machine's 127.0.0.1 that leads to one of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The port here.
    pub here: NonZeroU16,
    /// The port there.
    pub there: NonZeroU16,
}

impl FromStr for PortForward {
    type Err = String;

    /// Reads `[HERE:]THERE`.
    fn from_str(text: &str) -> Result<PortForward, String> {
        let (here, there) = text.split_once(':').unwrap_or((text, text));
        let port = |digits: &str| digits.parse().map_err(|_| format!("'{digits}' is no port"));
        Ok(PortForward {
            here: port(here)?,
            there: port(there)?,
        })
    }
}

impl Remote {
    /// The arguments of ssh for running `words` in `folder` there, behind the program's own first ones.
    fn ssh_arguments(
        &self,
        terminal: bool,
        forwards: &[PortForward],
        folder: &str,
        words: &[String],
    ) -> Result<Vec<String>, RemoteError> {
        let mut arguments = self.ssh[1..].to_vec();
        for option in [
            "ConnectTimeout=15",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
        ] {
            arguments.extend(["-o".into(), option.into()]);
        }
        arguments.push(if terminal { "-t" } else { "-T" }.into());
        for PortForward { here, there } in forwards {
            // Without the port the command is of no use.
            arguments.extend(["-o".into(), "ExitOnForwardFailure=yes".into()]);
            arguments.extend(["-L".into(), format!("127.0.0.1:{here}:127.0.0.1:{there}")]);
        }
        arguments.extend(["--".into(), self.host.clone(), command(folder, words)?]);
        Ok(arguments)
    }

    /// The program that connects, and its first arguments, as one text for rsync to take apart.
    pub(super) fn ssh_text(&self) -> Result<String, RemoteError> {
        quoted(&self.ssh)
    }
}

/// The one argument of ssh for running `words` in `folder`.
fn command(folder: &str, words: &[String]) -> Result<String, RemoteError> {
    let script: [String; 5] = ["exec", "sh", "-c", SCRIPT, "ukernel"].map(String::from);
    let all: Vec<String> = script
        .into_iter()
        .chain([folder.into()])
        .chain(words.iter().cloned())
        .collect();
    quoted(&all)
}

fn quoted(words: &[String]) -> Result<String, RemoteError> {
    let quoted = shlex::try_join(words.iter().map(String::as_str));
    quoted.map_err(|_| RemoteError::Word(words.join(" ")))
}

/// Commands on one machine, in one folder.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    remote: &'a Remote,
    folder: &'a str,
    terminal: Terminal,
    forwards: &'a [PortForward],
}

impl<'a> Session<'a> {
    /// Commands in the project's folder.
    pub fn new(remote: &'a Remote) -> Session<'a> {
        Session {
            remote,
            folder: &remote.folder,
            terminal: Terminal::AsHere,
            forwards: &[],
        }
    }

    /// In the user's own folder instead, which is always there.
    pub fn at_home(mut self) -> Self {
        self.folder = ".";
        self
    }

    /// With another choice of terminal.
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    /// With these ports of this machine's loopback leading to ports of the other's, while a command runs.
    pub fn forwards(mut self, ports: &'a [PortForward]) -> Self {
        self.forwards = ports;
        self
    }

    /// The command line that [`run`](Self::run) runs.
    ///
    /// # Errors
    /// [`RemoteError::Word`].
    pub fn command_line(&self, words: &[String]) -> Result<String, RemoteError> {
        let arguments = self.arguments(words)?;
        let program = self.remote.ssh.iter().take(1).cloned();
        quoted(&program.chain(arguments).collect::<Vec<_>>())
    }

    fn arguments(&self, words: &[String]) -> Result<Vec<String>, RemoteError> {
        let terminal = match self.terminal {
            Terminal::AsHere => has_terminal(),
            Terminal::Always => true,
            Terminal::Never => false,
        };
        self.remote
            .ssh_arguments(terminal, self.forwards, self.folder, words)
    }

    /// Runs a command there, with this process's input and outputs. Waits for its end; returns its status.
    ///
    /// # Errors
    /// ssh does not start, or there is no connection (any more).
    pub fn run(&self, words: &[String]) -> Result<u8, RemoteError> {
        let mut command = self.command(words)?;
        let status = command.status().map_err(|source| self.cannot_run(source))?;
        self.status(status.code())
    }

    /// Runs a command there without input; its words come here as they are. Returns its status and what it wrote to its
    /// standard output.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn ask(&self, words: &[String]) -> Result<(u8, String), RemoteError> {
        self.send(words, &mut io::empty(), |_| ())
    }

    /// The same with `input` to read; `sent` is told how many bytes of it have gone each time.
    ///
    /// # Errors
    /// As [`run`](Self::run), or `input` cannot be read.
    pub fn send(
        &self,
        words: &[String],
        input: &mut impl Read,
        sent: impl Fn(u64),
    ) -> Result<(u8, String), RemoteError> {
        let mut command = self.command(words)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| self.cannot_run(source))?;
        let pipe = child.stdin.take().expect("it is piped");
        let copied = copy(input, pipe, sent);
        // Whoever reads no further says why by its status.
        let output = child
            .wait_with_output()
            .map_err(|source| self.cannot_run(source))?;
        let status = self.status(output.status.code())?;
        copied.map_err(RemoteError::Input)?;
        Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn command(&self, words: &[String]) -> Result<Command, RemoteError> {
        let mut command = Command::new(&self.remote.ssh[0]);
        command.args(self.arguments(words)?);
        Ok(command)
    }

    fn cannot_run(&self, source: std::io::Error) -> RemoteError {
        let program = self.remote.ssh[0].clone();
        RemoteError::Program { program, source }
    }

    fn status(&self, code: Option<i32>) -> Result<u8, RemoteError> {
        match code {
            Some(NO_CONNECTION) => Err(RemoteError::Connection(self.remote.host.clone())),
            Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            None => Err(RemoteError::Signal(self.remote.ssh[0].clone())),
        }
    }
}

/// Copies all of `input` into a pipe, or until nobody reads it any more.
fn copy(input: &mut impl Read, mut pipe: ChildStdin, sent: impl Fn(u64)) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 || pipe.write_all(&buffer[..count]).is_err() {
            return Ok(());
        }
        sent(count as u64);
    }
}

fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn remote(text: &str) -> Remote {
        let settings = super::super::Settings::parse(text, ".remote".as_ref()).unwrap();
        Remote::new(settings, "demo".as_ref()).unwrap()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).into()).collect()
    }

    #[test]
    fn ssh_gets_options_the_host_and_one_argument() {
        let remote = remote("UKERNEL_REMOTE=build\nUKERNEL_SSH='ssh -F config'");
        let arguments = remote
            .ssh_arguments(true, &["80:8080".parse().unwrap()], "x", &words(&["ls"]))
            .unwrap();
        let (command, options) = arguments.split_last().unwrap();
        assert_eq!(
            options.join(" "),
            "-F config -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -t \
             -o ExitOnForwardFailure=yes -L 127.0.0.1:80:127.0.0.1:8080 -- build"
        );
        assert!(command.starts_with("exec sh -c "), "{command}");
        assert!(command.ends_with(" ukernel x ls"), "{command}");
    }

    #[test]
    fn a_forwarded_port_is_the_same_on_both_sides_unless_two_are_said() {
        let same: PortForward = "8080".parse().unwrap();
        assert_eq!((same.here.get(), same.there.get()), (8080, 8080));
        for bad in ["", "0", "80:", "80:0", "80:81:82", "x", "65536"] {
            assert!(bad.parse::<PortForward>().is_err(), "{bad}");
        }
    }

    /// By the shell of this machine, which is one of those that run there.
    fn run_here(folder: &str, list: &[&str]) -> (Option<i32>, String) {
        let command = command(folder, &words(list)).unwrap();
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }

    #[test]
    fn words_arrive_as_they_were() {
        let strange = [
            "a b", "it's", "\"", "$HOME", "`id`", "\\", "*", "", "-n", "a\nb", "!x", "~", "ü", "#",
            ";&|<>",
        ];
        let list: Vec<&str> = ["printf", "[%s]"].into_iter().chain(strange).collect();
        let expected: String = strange.iter().map(|word| format!("[{word}]")).collect();
        assert_eq!(run_here(".", &list), (Some(0), expected));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_words_arrive_as_they_were(words in vec("[^\\x00]{0,12}", 1..6)) {
            let list = ["printf", "[%s]"].into_iter().chain(words.iter().map(String::as_str));
            let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
            prop_assert_eq!(run_here(".", &list.collect::<Vec<_>>()), (Some(0), expected));
        }
    }

    #[test]
    fn the_folder_may_have_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let strange = folder.path().join("a 'b'");
        std::fs::create_dir(&strange).unwrap();
        let (status, output) = run_here(strange.to_str().unwrap(), &["pwd"]);
        assert_eq!(
            (status, output.trim_end()),
            (Some(0), strange.to_str().unwrap())
        );
        assert_eq!(run_here("/no such folder", &["pwd"]).0, Some(125));
    }

    #[test]
    fn statuses_are_the_commands_but_for_the_one_that_means_no_connection() {
        assert_eq!(run_here(".", &["sh", "-c", "exit 7"]).0, Some(7));
        assert_eq!(run_here(".", &["sh", "-c", "exit 255"]).0, Some(254));
    }

    #[test]
    fn a_word_with_a_zero_byte_is_refused() {
        assert!(matches!(
            command(".", &words(&["a\0b"])),
            Err(RemoteError::Word(_))
        ));
    }

    #[test]
    fn only_ssh_itself_says_that_there_is_no_connection() {
        let remote = remote("UKERNEL_REMOTE=build");
        let session = Session::new(&remote);
        assert_eq!(session.status(Some(7)).unwrap(), 7);
        assert!(
            matches!(session.status(Some(255)), Err(RemoteError::Connection(host)) if host == "build")
        );
        assert!(matches!(session.status(None), Err(RemoteError::Signal(_))));
    }
}
