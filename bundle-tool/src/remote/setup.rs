//! Makes another machine ready: puts this tool there, has its `doctor` look, and runs what `doctor` says would help. What a
//! machine needs is known in one place that way.

use std::fs::File;

use super::{Remote, RemoteError, Session, Terminal};
use crate::doctor::Report;

/// Puts its input where the PATH of `Session` has it, whole or not at all, and tries it.
const INSTALL: &str = r#"mkdir -p .local/bin && cd .local/bin || exit 1
cat > .ukernel.new && chmod 755 .ukernel.new && ./.ukernel.new --version && mv .ukernel.new ukernel && exit
rm -f .ukernel.new
exit 1"#;

/// What this tool runs on, as `uname -sm` says it; there and here.
const PLATFORM: &str = "Linux x86_64";

/// Makes another machine ready.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    remote: &'a Remote,
    session: Session<'a>,
}

impl<'a> Setup<'a> {
    /// Makes `remote` ready.
    pub fn new(remote: &'a Remote) -> Setup<'a> {
        let session = Session::new(remote).at_home();
        Setup { remote, session }
    }

    /// The program of this process and its length, if it is one that runs there; `None`: what is there is to be used.
    ///
    /// # Errors
    /// There is no connection, or the other machine is of another kind.
    pub fn program(&self) -> Result<Option<(File, u64)>, RemoteError> {
        let (_, platform) = self.quietly().ask(&words(&["uname", "-sm"]))?;
        if platform.trim() != PLATFORM {
            return Err(self.failed(format!("it is {}", platform.trim())));
        }
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Ok(None);
        }
        let path = std::env::current_exe().map_err(RemoteError::Input)?;
        let file = File::open(path).map_err(RemoteError::Input)?;
        let length = file.metadata().map_err(RemoteError::Input)?.len();
        Ok(Some((file, length)))
    }

    /// Puts `program` there, and tries it; `sent` is told how many bytes have gone each time. Returns its version; `None`: it
    /// does not run there, and what was there before is there still.
    ///
    /// # Errors
    /// There is no connection.
    pub fn install(
        &self,
        program: &mut File,
        sent: impl Fn(u64),
    ) -> Result<Option<String>, RemoteError> {
        let (status, output) =
            self.quietly()
                .send(&words(&["sh", "-c", INSTALL]), program, sent)?;
        Ok((status == 0).then(|| output.trim().into()))
    }

    /// What that machine's `doctor` says.
    ///
    /// # Errors
    /// There is no connection, or no `ukernel` there.
    pub fn report(&self) -> Result<Report, RemoteError> {
        let (status, output) = self
            .quietly()
            .ask(&words(&["ukernel", "doctor", "--json"]))?;
        serde_json::from_str(&output)
            .map_err(|_| self.failed(format!("`ukernel doctor` ended with status {status}")))
    }

    /// Runs a fix's command there, on a terminal where this process has one: `sudo` may ask. Returns its status.
    ///
    /// # Errors
    /// There is no connection.
    pub fn fix(&self, command: &str) -> Result<u8, RemoteError> {
        self.session.run(&words(&["sh", "-c", command]))
    }

    fn quietly(&self) -> Session<'a> {
        self.session.clone().terminal(Terminal::Never)
    }

    fn failed(&self, problem: String) -> RemoteError {
        let host = self.remote.host.clone();
        RemoteError::Tool { host, problem }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).into()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// Installs `program` below `home`, by the shell of this machine.
    fn install(home: &Path, program: &str) -> bool {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(program.as_bytes()).unwrap();
        input.rewind().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", INSTALL]).current_dir(home);
        command
            .stdin(Stdio::from(input))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().unwrap().success()
    }

    #[test]
    fn a_program_that_does_not_run_there_replaces_none() {
        let home = tempfile::tempdir().unwrap();
        let installed = home.path().join(".local/bin/ukernel");
        assert!(!install(home.path(), "#!/bin/sh\nexit 1\n"));
        assert!(!installed.exists());
        assert!(install(home.path(), "#!/bin/sh\necho 1\n"));
        assert!(!install(home.path(), "#!/no/such/loader\n"));
        assert_eq!(
            std::fs::read_to_string(&installed).unwrap(),
            "#!/bin/sh\necho 1\n"
        );
        assert_eq!(
            std::fs::read_dir(installed.parent().unwrap())
                .unwrap()
                .count(),
            1
        );
    }
}
