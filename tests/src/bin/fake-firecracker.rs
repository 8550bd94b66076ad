//! Stands in for Firecracker where a test is about the tool and not about a machine: listens on the API's socket,
//! checks every request against the published description, and plays a guest on its standard input and output.
//! Refused requests are answered as Firecracker does.
//!
//! A file `mood` beside it (beside the link that it was started by) changes it, in words separated by spaces: `silent` never
//! listens, `die=PATH` ends at a request, `refuse=PATH` refuses it, `deaf` ignores Ctrl-Alt-Del, `gated` has a guest that says
//! nothing until somebody opens the named pipe `gate` for writing.
//!
//! What was put and accepted is written to a file `heard` there, a path and its body a line.
//!
//! It ends when nobody holds a lock on the file `alive` there: the test that made it does, and whatever becomes of that and of
//! whoever started this program, the system unlocks it.
//!
//! The guest prints `fake: up` and its command line, and does what lines on its serial port say: `say TEXT`, `exit STATUS`,
//! `flood COUNT`, and `#trace`. Ctrl-Alt-Del ends it with status 0.

use std::fs::{self, File};
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use system_tests::firecracker_api::{Conversation, Effect};

/// What the file `mood` says, and where it is.
struct Mood {
    folder: PathBuf,
    words: String,
}

impl Mood {
    fn of(folder: &Path) -> Mood {
        Mood {
            folder: folder.into(),
            words: fs::read_to_string(folder.join("mood")).unwrap_or_default(),
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.split(' ').any(|other| other == word)
    }
}

/// The boot source's command line, once it is known.
type CommandLine = Arc<Mutex<String>>;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let program = Path::new(&arguments[0]);
    end_with_the_test(&program.with_file_name("alive"));
    let mood = Mood::of(program.parent().expect("it is a file"));
    let position = arguments.iter().position(|word| word == "--api-sock");
    let socket = position.and_then(|at| arguments.get(at + 1));
    let Some(socket) = socket else {
        eprintln!("fake: no --api-sock");
        exit(2);
    };
    if mood.has("silent") {
        loop {
            thread::park();
        }
    }
    let heard = program.with_file_name("heard");
    let heard = File::options().append(true).create(true).open(heard);
    serve(
        Path::new(socket),
        &mood,
        heard.expect("the folder is writable"),
    );
}

fn end_with_the_test(alive: &Path) {
    // Where there is no such file any more, the test has ended already.
    let alive = File::open(alive);
    thread::spawn(move || {
        let _ = alive.and_then(|alive| alive.lock_shared());
        exit(4)
    });
}

fn serve(socket: &Path, mood: &Mood, mut heard: File) -> ! {
    let listener = UnixListener::bind(socket).expect("the socket is free");
    let mut conversation = Conversation::default();
    let command_line = CommandLine::default();
    loop {
        let (mut stream, _) = listener.accept().expect("connections come");
        let Some((path, body)) = read_request(&mut stream) else {
            continue; // somebody looked whether it listens
        };
        if mood.has(&format!("die={path}")) {
            eprintln!("fake: dies at {path}");
            exit(3);
        }
        let mut verdict = conversation.put(&path, &body);
        if mood.has(&format!("refuse={path}")) {
            verdict = Err(format!("fake: no {path} today"));
        }
        if verdict.is_ok() {
            // In one write: several may hear at once.
            heard
                .write_all(format!("{path} {body}\n").as_bytes())
                .expect("it is writable");
        }
        answer(&mut stream, &verdict);
        remember(&path, &body, &command_line);
        match verdict {
            Ok(Effect::Start) => play(command_line.clone(), mood),
            Ok(Effect::CtrlAltDel) if !mood.has("deaf") => end(0),
            _ => {}
        }
    }
}

fn read_request(stream: &mut UnixStream) -> Option<(String, String)> {
    let mut reader = std::io::BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.strip_prefix("PUT ")?.split(' ').next()?.to_string();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("Content-Length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).ok()?))
}

fn answer(stream: &mut UnixStream, verdict: &Result<Effect, String>) {
    let answer = match verdict {
        Ok(_) => "HTTP/1.1 204 \r\nServer: Firecracker API\r\n\r\n".to_string(),
        Err(reason) => {
            let body = json!({ "fault_message": reason }).to_string();
            format!(
                "HTTP/1.1 400 \r\nServer: Firecracker API\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    // Whoever asked may be gone.
    let _ = stream.write_all(answer.as_bytes());
}

fn remember(path: &str, body: &str, command_line: &CommandLine) {
    if path == "/boot-source" {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let words = body["boot_args"].as_str().unwrap_or_default();
        *command_line.lock().expect("nobody panics") = words.into();
    }
}

/// The guest.
fn play(command_line: CommandLine, mood: &Mood) {
    if mood.has("gated") {
        // Until somebody writes there.
        File::open(mood.folder.join("gate")).expect("a pipe with a name");
    }
    let words = command_line.lock().expect("nobody panics").clone();
    say("[    0.000001] INFO  fake: up");
    say(&format!(
        "[    0.000002] INFO  fake: command_line=\"{words}\""
    ));
    thread::spawn(|| {
        for line in stdin().lines() {
            let Ok(line) = line else { return };
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("say", text) => say(text),
                ("exit", status) => end(status.parse().unwrap_or(1)),
                ("flood", count) => (0..count.parse().unwrap_or(0)).for_each(flood),
                ("#trace", "") => {
                    say("#trace h 1 0");
                    say("#trace s 3e8 7d0 1 1 1 0 work");
                }
                _ => {}
            }
        }
    });
}

fn flood(index: u64) {
    say(&format!("line {index} {}", "x".repeat(90)));
}

fn say(line: &str) {
    let mut output = stdout().lock();
    writeln!(output, "{line}").expect("somebody reads");
}

fn end(status: u8) -> ! {
    say(&format!("{}{status}", abi::serial::EXIT_PREFIX));
    exit(0)
}
