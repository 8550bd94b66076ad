//! A candidate that serves: where its ports are, what processor time it has used. Ends when dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench_work::services::{ECHO, SERVING, SINK, SOURCE};
use bundle_tool::machine::{Forward, Launch, Machine, Nic};
use system_tests::namespace::ip;

use super::candidate::{Candidate, Network};

/// Set in the process that runs inside the private network namespace.
const INSIDE: &str = "UKERNEL_BENCH_INSIDE";
/// A machine that outlives this has been forgotten.
const DEADLINE: Duration = Duration::from_secs(3600);
/// How long a guest may take until it serves: a distribution's kernel on a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What the host's own ports are raised by.
const NATIVE_FIRST_PORT: u16 = 18_000;

/// What the demo worker logs when its page can be fetched.
const DEMO_SERVING: &str = "http: listening";

/// Starts this program again in a network namespace of its own, where tap devices are nobody else's
/// business. Answers, in the new process, true; without the rights for it, false.
pub(crate) fn enter_private_network() -> io::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        ip(&["link", "set", "lo", "up"])?;
        return Ok(true);
    }
    if !rustix::process::geteuid().is_root() {
        println!("no rows through tap: they need root");
        return Ok(false);
    }
    let mut again = Command::new("unshare");
    again.arg("--net").arg(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Err(again.exec()) // comes back only if it failed
}

enum Running {
    Machine(Box<Machine>),
    Native(Child),
}

/// A candidate that serves.
pub(crate) struct Rig<'a> {
    pub(crate) candidate: &'a Candidate,
    running: Running,
    /// The guest's own address, where it can be reached directly.
    address: Option<Ipv4Addr>,
}

/// An interface for a guest on the network of the given number, with the guest's and the router's
/// addresses.
pub(crate) fn interface(
    network: Network,
    index: usize,
    http: u16,
) -> io::Result<(Nic, Ipv4Addr, Ipv4Addr)> {
    if network == Network::User {
        let ports = [ECHO, SINK, SOURCE, http];
        let forwards = ports.map(|port| Forward::tcp(0, port)).into_iter();
        let nic = Nic::user(forwards.chain([Forward::udp(0, ECHO)]));
        return Ok((nic, Ipv4Addr::new(10, 0, 2, 15), Ipv4Addr::new(10, 0, 2, 2)));
    }
    let (tap, third) = (format!("tap{index}"), index as u8);
    let (guest, host) = (
        Ipv4Addr::new(10, 9, third, 2),
        Ipv4Addr::new(10, 9, third, 1),
    );
    // It is there already where a guest is started again.
    if ip(&["tuntap", "add", "dev", &tap, "mode", "tap"]).is_ok() {
        ip(&["address", "add", &format!("{host}/24"), "dev", &tap])?;
        ip(&["link", "set", &tap, "up"])?;
    }
    Ok((Nic::tap(tap), guest, host))
}

impl<'a> Rig<'a> {
    /// Starts a candidate and waits until it serves. One that does not is said, and left out.
    pub(crate) fn serve(
        candidate: &'a Candidate,
        index: usize,
        network: Network,
    ) -> Option<Rig<'a>> {
        let started = match candidate.native {
            true => Rig::start_native(candidate),
            false => Rig::start_guest(candidate, index, network),
        };
        let said = |error| println!("no {}: {error}", candidate.name);
        started.map_err(said).ok()
    }

    fn start_guest(
        candidate: &'a Candidate,
        index: usize,
        network: Network,
    ) -> io::Result<Rig<'a>> {
        let (nic, guest, gateway) = interface(network, index, candidate.http)?;
        let config = candidate.config("serve", &guest.to_string(), &gateway.to_string());
        let launch = Launch::new(candidate.qemu(config.nic(nic))).deadline(DEADLINE);
        let machine = launch.start().map_err(io::Error::other)?;
        let line = serving(candidate);
        machine
            .wait_for_line(line, PATIENCE)
            .map_err(io::Error::other)?;
        Ok(Rig {
            candidate,
            running: Running::Machine(Box::new(machine)),
            address: (network == Network::Tap).then_some(guest),
        })
    }

    fn start_native(candidate: &'a Candidate) -> io::Result<Rig<'a>> {
        let mut command = Command::new(&candidate.kernel);
        command
            .args(["serve", &NATIVE_FIRST_PORT.to_string()])
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut output = io::BufReader::new(child.stdout.take().expect("piped above"));
        let mut line = String::new();
        while !line.contains(SERVING) {
            line.clear();
            if io::BufRead::read_line(&mut output, &mut line)? == 0 {
                return Err(io::Error::other("it ended"));
            }
        }
        let running = Running::Native(child);
        Ok(Rig {
            candidate,
            running,
            address: None,
        })
    }

    /// Where a TCP port of the candidate's is.
    pub(crate) fn tcp(&self, port: u16) -> SocketAddr {
        self.at(port, |machine| machine.forwarded(port))
    }

    /// Where a UDP port is.
    pub(crate) fn udp(&self, port: u16) -> SocketAddr {
        self.at(port, |machine| machine.forwarded_udp(port))
    }

    fn at(&self, port: u16, forwarded: impl Fn(&Machine) -> Option<SocketAddr>) -> SocketAddr {
        match (&self.running, self.address) {
            (_, Some(address)) => (address, port).into(),
            (Running::Machine(machine), None) => {
                forwarded(machine).expect("every port is forwarded")
            }
            (Running::Native(_), None) => (Ipv4Addr::LOCALHOST, NATIVE_FIRST_PORT + port).into(),
        }
    }

    /// Where the HTTP server is.
    pub(crate) fn http(&self) -> SocketAddr {
        self.tcp(self.candidate.http)
    }

    /// Whether it still runs and what it said last, for who wonders why a row failed.
    pub(crate) fn last_words(&self) -> String {
        let Running::Machine(machine) = &self.running else {
            return "not a guest".into();
        };
        let state = match machine.has_ended() {
            true => "its machine has ended",
            false => "its machine runs",
        };
        let log = machine.log().text();
        let said = log.lines().last().unwrap_or("nothing");
        format!("{state}, and said last: {said}")
    }

    /// Processor time of all its threads so far, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        match &self.running {
            Running::Machine(machine) => cpu_nanos(machine.process_id()),
            Running::Native(child) => cpu_nanos(child.id()),
        }
    }
}

impl Drop for Rig<'_> {
    fn drop(&mut self) {
        if let Running::Native(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a candidate says when it can be reached.
pub(crate) fn serving(candidate: &Candidate) -> &'static str {
    match candidate.http_only {
        true => DEMO_SERVING,
        false => SERVING,
    }
}

/// The first field of each thread's `schedstat` is its time on a processor.
pub(crate) fn cpu_nanos(process: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return 0;
    };
    let time = |task: std::fs::DirEntry| {
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.flatten().filter_map(time).sum()
}
