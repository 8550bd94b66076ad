//! `./just run` as a person types it, but for the building: what it prints before the page can be
//! opened, the ports that it takes, and how it ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Once;

use bundle_tool::machine::{Protocol, ports};
use rustix::process::{Signal, kill_process_group};
use system_tests::client::{ask_udp, echo_tcp};
use system_tests::guest::repository;
use system_tests::http;
use system_tests::image::sha256_of_file;
use system_tests::process::{Done, Process};
use system_tests::skip::skip;

/// The recipe, which the tool's own time limit ends when a test fails.
const RUN: [&str; 5] = ["--no-deps", "run", "--timeout", "60", "--arg=heartbeat=off"];

/// `./just` in a folder that is not the repository.
fn just(arguments: &[&str]) -> Command {
    let mut command = Command::new(repository().join("just"));
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// `./just run` with the disk that it attaches.
fn run(http_port: u16, echo_port: u16) -> Command {
    static DISK: Once = Once::new();
    DISK.call_once(|| {
        Done::of(&mut just(&["_demo-disk"])).data();
    });
    let mut command = just(&RUN);
    command
        .env("UKERNEL_HTTP_PORT", http_port.to_string())
        .env("UKERNEL_ECHO_PORT", echo_port.to_string());
    command
}

/// Two ports of this machine that nobody has, for TCP as well as UDP.
fn free_ports() -> (u16, u16) {
    let both = |port: &u16| ports::is_free(Protocol::Udp, *port);
    let any = || ports::free(Protocol::Tcp).expect("a free port");
    let mut free = std::iter::repeat_with(any).filter(both);
    let http = free.next().expect("endless");
    (http, free.find(|echo| *echo != http).expect("endless"))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn the_page_and_the_echo_are_where_the_variables_say() {
    let (http_port, echo_port) = free_ports();
    let mut command = run(http_port, echo_port);
    let mut run = Process::start(command.process_group(0));
    let page = format!("page: http://127.0.0.1:{http_port}/");
    let said = run.wait_for_words(&page);
    let accelerator = said.lines().find(|line| line.contains("qemu with "));
    let accelerator = accelerator.expect("the choice is printed");
    assert!(
        accelerator.contains("tcg (") || accelerator.contains("kvm ("),
        "with the reason: {accelerator}"
    );
    for protocol in ["tcp", "udp"] {
        let echo = format!("127.0.0.1:{echo_port} -> guest 7/{protocol}\n");
        assert!(said.contains(&echo), "{said}");
    }

    run.wait_for("net: address assigned");
    assert_eq!(http::get(local(http_port), "/").unwrap().status, 200);
    echo_tcp(local(echo_port), 64 * 1024, 1).unwrap();
    assert_eq!(ask_udp(local(echo_port), b"hello", 5).unwrap(), b"hello");
    let digest = http::get(local(http_port), "/disk/0/sha256").unwrap();
    let image = repository().join("build/demo.img");
    assert_eq!(digest.text().trim_end(), sha256_of_file(&image));

    kill_process_group(run.id(), Signal::INT).expect("it still runs");
    let done = run.finish();
    assert!(done.output.contains("ukernel: exit status=0"), "{done:?}");
    assert!(
        done.words.contains("the guest ended with status 0"),
        "{done:?}"
    );
}

/// TCP and UDP: the echo wants both.
#[test]
fn a_taken_port_is_named_with_its_variable_and_nothing_else_is_promised() {
    let (http_port, echo_port) = free_ports();
    let refused = |taken: &str, variable: &str| {
        let Done {
            status,
            output,
            words,
        } = Done::of(&mut run(http_port, echo_port));
        assert_eq!(status, Some(125), "{words}");
        assert_eq!(output, "", "no guest has run");
        let error = format!("error: {taken} of this machine is already in use");
        assert!(words.contains(&error), "{words}");
        let hint = format!("hint: set {variable} to another port");
        assert!(words.contains(&hint), "{words}");
        assert!(!words.contains("page:"), "{words}");
    };
    let holder = TcpListener::bind(local(http_port)).unwrap();
    refused(&format!("tcp port {http_port}"), "UKERNEL_HTTP_PORT");
    drop(holder);
    let holder = UdpSocket::bind(local(echo_port)).unwrap();
    refused(&format!("udp port {echo_port}"), "UKERNEL_ECHO_PORT");
    drop(holder);
}

/// The key goes to all of a terminal's programs in the foreground: `just` must not be among them.
#[test]
fn ctrl_c_in_a_terminal_ends_it_with_success() {
    let mut terminal = Command::new("script");
    let (http_port, echo_port) = free_ports();
    let run = run(http_port, echo_port);
    for (name, value) in run.get_envs() {
        terminal.env(name, value.expect("set"));
    }
    let line = format!("{} {}", repository().join("just").display(), RUN.join(" "));
    if let Err(error) = Command::new("script").arg("--version").output() {
        return skip("Ctrl-C in a terminal", &format!("script: {error}"));
    }
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut process = Process::start(terminal.stdin(Stdio::piped()));
    process.wait_for("http: listening");
    process.write("\x03");
    process.wait_for("asking the guest to stop");
    process.wait_for("ukernel: exit status=0");
    let done = process.finish();
    assert_eq!(done.status, Some(0), "{}", done.output);
}
