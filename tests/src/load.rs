//! Load for an HTTP server: many connections, each with one request in flight at any time.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Connection;

/// How many threads share the connections.
const THREADS: usize = 8;

/// What a run of load saw.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Answers with status 200.
    pub answers: usize,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Report {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }
}

/// Opens `connections` connections, keeps all of them open, and gets `path` `rounds` times over each.
/// In a round, every connection's request is sent before the first answer is read.
///
/// # Errors
/// A connection failed, or an answer was not 200; the first such error.
pub fn get_over_many(
    address: SocketAddr,
    path: &str,
    connections: usize,
    rounds: usize,
) -> io::Result<Report> {
    let mut shares: Vec<Vec<Connection>> = (0..THREADS).map(|_| Vec::new()).collect();
    for number in 0..connections {
        shares[number % THREADS].push(Connection::open_used(address, path)?);
    }
    let started = Instant::now();
    let results: Vec<io::Result<usize>> = thread::scope(|scope| {
        let run = |share| scope.spawn(move || run_rounds(share, path, rounds));
        let running: Vec<_> = shares.into_iter().map(run).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("load does not panic"))
            .collect()
    });
    let answers = results.into_iter().sum::<io::Result<usize>>()?;
    Ok(Report {
        answers,
        elapsed: started.elapsed(),
    })
}

fn run_rounds(mut connections: Vec<Connection>, path: &str, rounds: usize) -> io::Result<usize> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..rounds {
        for connection in &mut connections {
            connection.send(request.as_bytes())?;
        }
        for connection in &mut connections {
            let response = connection.read_response()?;
            if response.status != 200 {
                return Err(io::Error::other(format!("status {}", response.status)));
            }
        }
    }
    Ok(rounds * connections.len())
}
