//! A demo worker's day in minutes: clients of every kind, polite and rude, for as long as is asked, each
//! one's choices from a seed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use crate::client::{Pattern, ask_udp, connect, echo_over, open_echo};
use crate::demo::Demo;
use crate::http::{Connection, Response};
use crate::image::{Image, sha256};

/// Clients at a time.
const CLIENTS: u64 = 6;
/// Echoes are multiples of this long.
const ECHO_UNIT: u64 = 64 * 1024;
/// What is sent on a connection that is then reset, in bytes.
const RESET: usize = 5000;
const DATAGRAM: u64 = 1472;
/// Most bytes of a job.
const JOB: u64 = 8 * 1024;

const MALFORMED: [&[u8]; 6] = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\x00\x01\x02\xff\xfe GET / HTTP/1.1\r\n\r\n",
];

/// What clients did.
#[derive(Debug, Default)]
pub struct Report {
    /// Conversations that went as they should.
    pub conversations: usize,
    /// What went wrong in others.
    pub failures: Vec<String>,
}

/// A part of the disk, and its digest.
struct Part {
    offset: u64,
    length: u64,
    digest: String,
}

/// The clients of one demo, whose disk 0 is known.
pub struct Clients<'a> {
    demo: &'a Demo,
    parts: Vec<Part>,
    rounds: AtomicUsize,
}

impl<'a> Clients<'a> {
    /// Clients that know what is on the disk.
    pub fn new(demo: &'a Demo, image: &Image) -> Clients<'a> {
        let parts = (1..=8u64).map(|number| {
            let offset = number * 4099;
            let length = number * 16_001;
            let content = &image.content[offset as usize..][..length as usize];
            let digest = sha256(content);
            Part {
                offset,
                length,
                digest,
            }
        });
        Clients {
            demo,
            parts: parts.collect(),
            rounds: AtomicUsize::new(1),
        }
    }

    /// Lets all clients talk until `end`, and each of them as often as `least` says.
    pub fn run(&self, end: Instant, least: usize) -> Report {
        let round = self.rounds.fetch_add(1, Relaxed) as u64;
        let reports = thread::scope(|scope| {
            let client = |number| {
                let seed = round * CLIENTS + number + 1;
                scope.spawn(move || self.run_client(Choices::new(seed), end, least))
            };
            let running: Vec<_> = (0..CLIENTS).map(client).collect();
            let joined = running.into_iter().map(|client| client.join());
            joined
                .map(|report| report.expect("clients do not panic"))
                .collect::<Vec<_>>()
        });
        let mut sum = Report::default();
        for report in reports {
            sum.conversations += report.conversations;
            sum.failures.extend(report.failures);
        }
        sum
    }

    fn run_client(&self, mut choices: Choices, end: Instant, least: usize) -> Report {
        let mut report = Report::default();
        while (Instant::now() < end || report.conversations < least) && report.failures.is_empty() {
            let kind = KINDS[choices.below(KINDS.len() as u64) as usize];
            match (kind.talk)(self, &mut choices) {
                Ok(()) => report.conversations += 1,
                Err(error) => report.failures.push(format!("{}: {error}", kind.name)),
            }
        }
        report
    }

    fn open(&self) -> io::Result<Connection> {
        Connection::open_used(self.demo.http, "/healthz")
    }

    /// Many requests over one connection.
    fn keep_alive(&self, choices: &mut Choices) -> io::Result<()> {
        let mut connection = self.open()?;
        for _ in 0..choices.below(20) {
            let path = ["/", "/metrics", "/stats.json", "/healthz"][choices.below(4) as usize];
            expect(&connection.get(path)?, 200)?;
        }
        Ok(())
    }

    /// A connection for one request.
    fn churn(&self, _: &mut Choices) -> io::Result<()> {
        self.open().map(drop)
    }

    /// An echo whose sending side ends first.
    fn echo(&self, choices: &mut Choices) -> io::Result<()> {
        let length = choices.below(4) * ECHO_UNIT;
        echo_over(open_echo(self.demo.echo)?, length, choices.seed())
    }

    /// An echo that is reset: at its end there is something to read, which the client never reads.
    fn reset(&self, choices: &mut Choices) -> io::Result<()> {
        let mut stream = open_echo(self.demo.echo)?;
        let mut bytes = vec![0; 1 + choices.below(RESET as u64) as usize];
        Pattern::new(choices.seed()).fill(&mut bytes);
        stream.write_all(&bytes)?;
        stream.peek(&mut [0]).map(drop)
    }

    /// A large answer of which little is taken.
    fn cut_answer(&self, choices: &mut Choices) -> io::Result<()> {
        let mut stream = connect_used(self.demo)?;
        stream.write_all(b"GET /disk/0 HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let mut bytes = vec![0; 1 + choices.below(20_000) as usize];
        stream.read(&mut bytes).map(drop)
    }

    /// A request that never ends; the client half-closes or goes.
    fn cut_request(&self, choices: &mut Choices) -> io::Result<()> {
        let mut stream = connect_used(self.demo)?;
        let request = b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 70\r\n\r\nwords";
        let length = 1 + choices.below(request.len() as u64 - 1) as usize;
        stream.write_all(&request[..length])?;
        match choices.below(2) {
            0 => stream.shutdown(Shutdown::Write),
            _ => Ok(()),
        }
    }

    fn job(&self, choices: &mut Choices) -> io::Result<()> {
        let mut connection = self.open()?;
        let text = "word ".repeat(choices.below(JOB / 5) as usize);
        let accepted = connection.post("/jobs", text.as_bytes())?;
        if accepted.status == 503 {
            return Ok(()); // the others' jobs fill the queue
        }
        expect(&accepted, 202)?;
        let place = accepted
            .field("location")
            .ok_or_else(|| wrong("no location"))?
            .to_string();
        loop {
            let state = connection.get(&place)?;
            expect(&state, 200)?;
            if state.text().contains("\"done\"") {
                let words = format!("\"words\":{},", text.len() / 5);
                return check(state.text().contains(&words), state.text());
            }
        }
    }

    fn digest(&self, choices: &mut Choices) -> io::Result<()> {
        let Part {
            offset,
            length,
            digest,
        } = &self.parts[choices.below(self.parts.len() as u64) as usize];
        let path = format!("/disk/0/sha256?offset={offset}&length={length}");
        let response = self.open()?.get(&path)?;
        expect(&response, 200)?;
        check(response.text().trim_end() == digest, "another digest")
    }

    fn malformed(&self, choices: &mut Choices) -> io::Result<()> {
        let mut connection = self.open()?;
        connection.send(MALFORMED[choices.below(MALFORMED.len() as u64) as usize])?;
        let status = connection.read_response()?.status;
        check(status >= 400, &format!("status {status}"))
    }

    fn datagram(&self, choices: &mut Choices) -> io::Result<()> {
        let mut bytes = vec![0; 1 + choices.below(DATAGRAM) as usize];
        Pattern::new(choices.seed()).fill(&mut bytes);
        let answer = ask_udp(self.demo.udp_echo, &bytes, 10)?;
        check(answer == bytes, "other bytes came back")
    }
}

/// A kind of conversation.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    talk: fn(&Clients<'_>, &mut Choices) -> io::Result<()>,
}

/// As often as each stands here: what leaks most easily, the ends of connections, most of all.
const KINDS: [Kind; 16] = [
    Kind {
        name: "keep-alive",
        talk: |clients, choices| clients.keep_alive(choices),
    },
    CHURN,
    CHURN,
    CHURN,
    Kind {
        name: "echo",
        talk: |clients, choices| clients.echo(choices),
    },
    RESET_ECHO,
    RESET_ECHO,
    RESET_ECHO,
    CUT_ANSWER,
    CUT_ANSWER,
    CUT_REQUEST,
    CUT_REQUEST,
    Kind {
        name: "job",
        talk: |clients, choices| clients.job(choices),
    },
    Kind {
        name: "digest",
        talk: |clients, choices| clients.digest(choices),
    },
    Kind {
        name: "malformed",
        talk: |clients, choices| clients.malformed(choices),
    },
    Kind {
        name: "datagram",
        talk: |clients, choices| clients.datagram(choices),
    },
];
const CHURN: Kind = Kind {
    name: "churn",
    talk: |clients, choices| clients.churn(choices),
};
const RESET_ECHO: Kind = Kind {
    name: "reset",
    talk: |clients, choices| clients.reset(choices),
};
const CUT_ANSWER: Kind = Kind {
    name: "cut answer",
    talk: |clients, choices| clients.cut_answer(choices),
};
const CUT_REQUEST: Kind = Kind {
    name: "cut request",
    talk: |clients, choices| clients.cut_request(choices),
};

/// What a client decides, the same for the same seed.
struct Choices(Pattern);

impl Choices {
    fn new(seed: u64) -> Choices {
        let mut pattern = Pattern::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        pattern.fill(&mut [0; 64]); // seeds that differ little begin alike
        Choices(pattern)
    }

    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn seed(&mut self) -> u64 {
        self.next() | 1
    }
}

/// A connection to the HTTP server that has carried a request, for bytes that are no HTTP.
fn connect_used(demo: &Demo) -> io::Result<TcpStream> {
    let mut stream = connect(demo.http)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    Ok(stream)
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what)
}

fn check(right: bool, otherwise: &str) -> io::Result<()> {
    if right { Ok(()) } else { Err(wrong(otherwise)) }
}

fn expect(response: &Response, status: u16) -> io::Result<()> {
    check(
        response.status == status,
        &format!("status {}: {}", response.status, response.text()),
    )
}
