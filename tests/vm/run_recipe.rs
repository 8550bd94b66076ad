//! `./just run` as a person types it, but for the building: what it prints before the page can be
//! opened, the ports that it takes, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Once;

use bundle_tool::machine::{Protocol, ports};
use rustix::process::{Pid, Signal, kill_process_group};
use system_tests::client::{ask_udp, echo_tcp};
use system_tests::guest::repository;
use system_tests::http;
use system_tests::image::sha256_of_file;
use system_tests::skip::skip;

/// The recipe, which the tool's own time limit ends when a test fails.
const RUN: [&str; 5] = ["--no-deps", "run", "--timeout", "60", "--arg=heartbeat=off"];

/// `./just` in a folder that is not the repository.
fn just(arguments: &[&str]) -> Command {
    let mut command = Command::new(repository().join("just"));
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `./just run` with the disk that it attaches.
fn run(http_port: u16, echo_port: u16) -> Command {
    static DISK: Once = Once::new();
    DISK.call_once(|| {
        let made = just(&["_demo-disk"]).status().expect("just runs");
        assert!(made.success());
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

/// Reads lines up to one with `pattern`; answers with all of them.
#[track_caller]
fn read_to(source: &mut impl BufRead, pattern: &str) -> String {
    let mut text = String::new();
    loop {
        let begin = text.len();
        let count = source.read_line(&mut text).expect("text");
        assert!(count > 0, "no line with '{pattern}' in:\n{text}");
        if text[begin..].contains(pattern) {
            return text;
        }
    }
}

fn read_rest(source: &mut impl Read) -> String {
    let mut text = String::new();
    source.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn the_page_and_the_echo_are_where_the_variables_say() {
    let (http_port, echo_port) = free_ports();
    let mut command = run(http_port, echo_port);
    let mut child = command.process_group(0).spawn().expect("just runs");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut words = BufReader::new(child.stderr.take().expect("piped"));
    let page = format!("page: http://127.0.0.1:{http_port}/");
    let said = read_to(&mut words, &page);
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

    read_to(&mut output, "net: address assigned");
    assert_eq!(http::get(local(http_port), "/").unwrap().status, 200);
    echo_tcp(local(echo_port), 64 * 1024, 1).unwrap();
    assert_eq!(ask_udp(local(echo_port), b"hello", 5).unwrap(), b"hello");
    let digest = http::get(local(http_port), "/disk/0/sha256").unwrap();
    let image = repository().join("build/demo.img");
    assert_eq!(digest.text().trim_end(), sha256_of_file(&image));

    let group = Pid::from_child(&child);
    kill_process_group(group, Signal::INT).expect("it still runs");
    assert!(read_rest(&mut output).contains("ukernel: exit status=0"));
    assert!(read_rest(&mut words).contains("the guest ended with status 0"));
    child.wait().expect("a child");
}

/// TCP and UDP: the echo wants both.
#[test]
fn a_taken_port_is_named_with_its_variable_and_nothing_else_is_promised() {
    let (http_port, echo_port) = free_ports();
    let refused = |taken: &str, variable: &str| {
        let output = run(http_port, echo_port).output().expect("just runs");
        let words = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(125), "{words}");
        assert_eq!(output.stdout, b"", "no guest has run");
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
    let started = terminal
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return skip("Ctrl-C in a terminal", &format!("script: {error}")),
    };
    let mut keyboard = child.stdin.take().expect("piped");
    let mut screen = BufReader::new(child.stdout.take().expect("piped"));
    read_to(&mut screen, "http: listening");
    keyboard.write_all(b"\x03").unwrap();
    let rest = read_rest(&mut screen);
    assert!(rest.contains("asking the guest to stop"), "{rest}");
    assert_eq!(child.wait().expect("a child").code(), Some(0), "{rest}");
}
