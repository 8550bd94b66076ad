//! A network namespace with a tap device, for a VMM that has no user-mode network. Needs root and `ip`;
//! nothing of it is visible outside, and it goes when it is dropped.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// The namespace's own address on the tap, and the guest's.
pub const HOST: &str = "192.0.2.1";
/// The guest's address.
pub const GUEST: &str = "192.0.2.2";
/// The name of the tap device.
pub const TAP: &str = "tap0";

/// A namespace.
pub struct Namespace {
    name: String,
    folder: TempDir,
}

impl Namespace {
    /// Makes a namespace whose name ends in `tag`, which no other test uses.
    ///
    /// # Errors
    /// There is no `ip`, or it may not.
    pub fn new(tag: &str) -> io::Result<Namespace> {
        let name = format!("ukernel-{}-{tag}", std::process::id());
        let folder = tempfile::tempdir()?;
        ip(&["netns", "add", &name])?;
        let namespace = Namespace { name, folder };
        namespace.ip(&["tuntap", "add", "dev", TAP, "mode", "tap"])?;
        namespace.ip(&["address", "add", &format!("{HOST}/24"), "dev", TAP])?;
        namespace.ip(&["link", "set", TAP, "up"])?;
        Ok(namespace)
    }

    /// A program that runs `program` in the namespace.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn wrap(&self, program: &Path) -> io::Result<PathBuf> {
        let wrapper = self.folder.path().join("run");
        let program = program.canonicalize()?;
        let name = &self.name;
        let script = format!("exec ip netns exec {name} '{}' \"$@\"", program.display());
        crate::program::write(&wrapper, &script)?;
        Ok(wrapper)
    }

    /// Runs `work` with the namespace's network, in a thread of its own.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    ///
    /// # Panics
    /// `work` does.
    pub fn inside<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(&self.name))?;
        let enter_and_work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind)?;
            Ok(work())
        };
        std::thread::scope(|scope| scope.spawn(enter_and_work).join()).expect("`work` returns")
    }

    /// Fetches `path` of the guest's HTTP server.
    ///
    /// # Errors
    /// There is no `curl`, or it got nothing; the error has its words.
    pub fn fetch(&self, path: &str) -> io::Result<Vec<u8>> {
        let url = format!("http://{GUEST}:8080{path}");
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.name,
            "curl",
            "-sS",
            "--fail",
            "--max-time",
            "60",
        ]);
        output(command.arg(url))
    }

    fn ip(&self, arguments: &[&str]) -> io::Result<()> {
        let inside = ["-netns", &self.name];
        ip(&[&inside, arguments].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Runs `ip` (of iproute2) with these arguments.
///
/// # Errors
/// There is no `ip`, or it failed; the error has its words.
pub fn ip(arguments: &[&str]) -> io::Result<()> {
    output(Command::new("ip").args(arguments)).map(drop)
}

fn output(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
            Err(io::Error::other(words))
        }
    }
}
