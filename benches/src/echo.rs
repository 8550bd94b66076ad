//! `benches echo`: loads an echo server, and prints what it saw as JSON.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;

use crate::load::turns;

/// How much of the time goes by before answers count.
const WARM_UP: f64 = 0.2;

/// Loads the server at `address`. Prints a line: operations, seconds, and percentiles of the latency in microseconds.
pub(crate) fn run(
    address: &str,
    connections: &str,
    size: &str,
    seconds: &str,
    idle: &str,
) -> io::Result<bool> {
    let seconds: f64 = number(seconds)?;
    let seen = turns::echo(
        number(address)?,
        number(connections)?,
        number(size)?,
        number(idle)?,
        Duration::from_secs_f64(seconds * WARM_UP),
        Duration::from_secs_f64(seconds),
    )?;
    let line = json!({
        "operations": seen.operations(),
        "seconds": seen.elapsed.as_secs_f64(),
        "p50_us": seen.micros(50.0),
        "p99_us": seen.micros(99.0),
    });
    println!("{line}");
    Ok(seen.errors == 0)
}

fn number<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| io::Error::other(format!("{text} is not what is wanted there")))
}
