//! Measures guests. Run by the recipes, after the guests are built:
//!
//! - `benches` prints what a boot costs, how big the demo worker is, and how little memory it needs;
//! - `benches load` counts what requests cost while they come from outside, in a peer with `--peer NAME`;
//! - `benches exact` counts operations and compares them with the committed baseline;
//! - `benches exact --update` makes those counts the baseline;
//! - `benches calls` counts what calls from C cost, beside Linux;
//! - `benches scaling` counts how costs grow with connections, tasks and timers;
//! - `benches micro` counts the reactor's operations beside other executors', on the host;
//! - `benches echo` is the load of the Python package's benchmarks: ADDRESS CONNECTIONS BYTES SECONDS IDLE;
//! - `benches tool` times a project's way to an answering machine, beside the same by hand for Linux;
//! - `benches peers` runs the kernel beside Linux guests and the host's tokio.

mod baseline;
mod boot;
mod calls;
mod counts;
mod echo;
mod elf;
mod exact;
mod fields;
mod gauge;
mod load;
mod memory;
mod micro;
mod peers;
mod plot;
mod scaling;
mod size;
mod tool;
mod under_load;

use std::io;
use std::process::ExitCode;

use peers::Effort;

/// What a comparison takes so that its figures can be believed: some fourteen minutes.
const EFFORT: Effort = Effort {
    rounds: 5,
    seconds: 1.0,
};
/// What it takes to see that it works.
const QUICK: Effort = Effort {
    rounds: 1,
    seconds: 0.3,
};

/// The guest that is loaded where none is named.
const OURS: &str = "ukernel";

/// One line of the table.
struct Figure {
    name: &'static str,
    value: u64,
    unit: &'static str,
    /// The most it may be.
    limit: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let kept = match arguments[..] {
        [] => measure().map(|figures| print(&figures)),
        ["exact"] => exact::compare(),
        ["exact", "--update"] => exact::update(),
        ["calls"] => calls::run(),
        ["scaling"] => scaling::run(),
        ["load"] => under_load::run(OURS),
        ["load", "--peer", name] => under_load::run(name),
        ["echo", address, connections, size, seconds, idle] => {
            echo::run(address, connections, size, seconds, idle)
        }
        ["micro"] => micro::run(),
        ["tool"] => tool::run(),
        ["peers"] => peers::run(EFFORT, None),
        ["peers", "--only", text] => peers::run(EFFORT, Some(text)),
        ["peers", "--quick"] => peers::run(QUICK, None),
        _ => Err(io::Error::other(
            "usage: benches [exact [--update] | calls | echo ADDRESS CONNECTIONS BYTES SECONDS IDLE | load [--peer NAME] | scaling | micro | tool | peers [--quick | --only TEXT]]",
        )),
    };
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> io::Result<Vec<Figure>> {
    let boot = boot::to_first_poll("demo")?;
    let figure = |name, value, unit, limit| Figure {
        name,
        value,
        unit,
        limit,
    };
    Ok(vec![
        figure(
            "demo: instructions to the first poll",
            boot.instructions,
            "",
            60_000,
        ),
        figure("demo: exits to the first poll", boot.exits(), "", 250),
        figure(
            "demo: ELF, stripped",
            size::stripped("demo")?.div_ceil(1024),
            "KiB",
            400,
        ),
        figure(
            "demo: least memory, 100 connections",
            memory::least("demo")?,
            "MiB",
            8,
        ),
        figure(
            "echo: least memory, 100 connections",
            memory::least("echo")?,
            "MiB",
            4,
        ),
    ])
}

/// Prints the table, and answers whether every figure keeps to its limit.
fn print(figures: &[Figure]) -> bool {
    println!("{:<40} {:>10} {:>10}", "", "measured", "at most");
    for Figure {
        name,
        value,
        unit,
        limit,
    } in figures
    {
        let verdict = if value <= limit { "" } else { "  OVER" };
        println!("{name:<40} {value:>10} {limit:>10} {unit}{verdict}");
    }
    figures.iter().all(|figure| figure.value <= figure.limit)
}
