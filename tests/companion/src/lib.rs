//! Rust beside a program in C: a workload that offers channels and runs the program, for the conformance suite
//! (`tests/abi`, whose README says what the channels do) and the benchmarks of the calls (`benches/calls`).
//!
//! `WORKLOAD=companion kernel/build/c.sh NAME SOURCES...` links it with a program.
#![no_std]
#![allow(unsafe_code, reason = "names a function of the program")]

extern crate alloc;

use alloc::vec::Vec;
use core::ffi::{c_char, c_int};

use ukernel::foreign::{Error, Program, Receiver, Sender};
use ukernel::{Context, ExitCode};

unsafe extern "C" {
    /// The program's.
    safe fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

/// Channels that send back what they are sent. Each can be opened once, so each test has its own.
const ECHOES: [&str; 4] = ["echo.0", "echo.1", "echo.2", "echo.3"];
/// How many messages wait in each of their directions.
const CAPACITY: usize = 4;

#[ukernel::main]
async fn run(context: Context) -> Result<ExitCode, Error> {
    let program = Program::new(&context);
    let mut echoes = Vec::new();
    for name in ECHOES {
        let requests = program.channel_from(name, CAPACITY)?;
        let answers = program.channel_to(name, CAPACITY)?;
        echoes.push(context.spawn(echo(requests, answers)));
    }
    let farewell = program.channel_to("farewell", 2)?;
    farewell.try_send(b"good")?;
    farewell.try_send(b"bye")?;
    drop(farewell);
    drop(program.channel_from("deaf", 1)?);
    let status = program.run(main).await;
    // They are told that the program has ended, also those whose channels it never opened: else this waits for ever.
    for echo in echoes {
        echo.await.ok();
    }
    Ok(status)
}

/// Ends when the program has closed either end.
async fn echo(requests: Receiver, answers: Sender) {
    while let Ok(message) = requests.recv().await {
        if answers.send(&message).await.is_err() {
            break;
        }
    }
}
