//! Random and sequential reads and writes of a disk: with plain calls, with io_uring, and with tokio's
//! pool of threads, which is what a tokio program gets from `tokio::fs`.
#![allow(unsafe_code, reason = "submits to io_uring")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bench_work::disk::{BLOCK, CHUNK, CHUNKS, DEPTH, OPERATIONS, ROUNDS, block};
use bench_work::services::FILL;
use io_uring::{IoUring, opcode, types};
use tokio::runtime::Runtime;

/// Memory that direct input and output can use.
#[repr(align(4096))]
#[derive(Clone)]
struct Block([u8; BLOCK]);

#[derive(Clone, Copy)]
enum Operation {
    Read,
    Write,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Write => "write",
        }
    }
}

/// Measures everything, several times over.
pub(crate) fn measure(path: &Path, runtime: &Runtime) {
    if let Err(error) = try_measure(path, runtime) {
        println!("bench: disk error=\"{error}\"");
    }
}

fn try_measure(path: &Path, runtime: &Runtime) -> io::Result<()> {
    let disk = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    let disk = Arc::new(disk);
    let blocks = length(&disk)? / BLOCK as u64;
    for round in 0..ROUNDS {
        for operation in [Operation::Read, Operation::Write] {
            let name = operation.name();
            report(name, "plain", 1, || {
                one_by_one(&disk, blocks, round, operation)
            })?;
            report(name, "uring", DEPTH, || {
                deep(&disk, blocks, round, operation)
            })?;
            report(name, "pool", DEPTH, || {
                runtime.block_on(pool(&disk, blocks, round, operation))
            })?;
        }
        sequential(&disk)?;
    }
    println!("bench: measured");
    Ok(())
}

fn length(mut disk: &File) -> io::Result<u64> {
    io::Seek::seek(&mut disk, io::SeekFrom::End(0))
}

fn report(
    name: &str,
    way: &str,
    depth: usize,
    run: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let start = Instant::now();
    run()?;
    let nanos = start.elapsed().as_nanos();
    println!("bench: disk={name} way={way} depth={depth} operations={OPERATIONS} nanos={nanos}");
    Ok(())
}

fn one_by_one(disk: &File, blocks: u64, round: u64, operation: Operation) -> io::Result<()> {
    let mut buffer = Box::new(Block([FILL; BLOCK]));
    for number in 0..OPERATIONS {
        let offset = block(number, round, blocks);
        match operation {
            Operation::Read => disk.read_exact_at(&mut buffer.0, offset)?,
            Operation::Write => disk.write_all_at(&buffer.0, offset)?,
        }
    }
    Ok(())
}

fn deep(disk: &File, blocks: u64, round: u64, operation: Operation) -> io::Result<()> {
    let mut ring = IoUring::new(2 * DEPTH as u32)?;
    let mut buffers = vec![Block([FILL; BLOCK]); DEPTH];
    let mut free: Vec<usize> = (0..DEPTH).collect();
    let (mut sent, mut done) = (0, 0);
    let file = types::Fd(disk.as_raw_fd());
    while done < OPERATIONS {
        while sent < OPERATIONS
            && let Some(slot) = free.pop()
        {
            let (offset, memory) = (block(sent, round, blocks), buffers[slot].0.as_mut_ptr());
            let entry = match operation {
                Operation::Read => opcode::Read::new(file, memory, BLOCK as u32)
                    .offset(offset)
                    .build(),
                Operation::Write => opcode::Write::new(file, memory, BLOCK as u32)
                    .offset(offset)
                    .build(),
            };
            // SAFETY: the buffer is not touched or freed before its completion has been seen: its slot
            // is not free until then, and an error below ends the program.
            let pushed = unsafe { ring.submission().push(&entry.user_data(slot as u64)) };
            pushed.expect("the ring has room for the depth");
            sent += 1;
        }
        ring.submit_and_wait(1)?;
        for completion in ring.completion() {
            assert_eq!(completion.result(), BLOCK as i32, "a whole block");
            free.push(completion.user_data() as usize);
            done += 1;
        }
    }
    Ok(())
}

async fn pool(disk: &Arc<File>, blocks: u64, round: u64, operation: Operation) -> io::Result<()> {
    let mut tasks = Vec::new();
    for worker in 0..DEPTH as u64 {
        let disk = disk.clone();
        tasks.push(tokio::spawn(async move {
            let mut buffer = Box::new(Block([FILL; BLOCK]));
            for number in (worker..OPERATIONS).step_by(DEPTH) {
                let (disk, offset) = (disk.clone(), block(number, round, blocks));
                let moved = tokio::task::spawn_blocking(move || {
                    match operation {
                        Operation::Read => disk.read_exact_at(&mut buffer.0, offset)?,
                        Operation::Write => disk.write_all_at(&buffer.0, offset)?,
                    }
                    io::Result::Ok(buffer)
                });
                buffer = moved.await??;
            }
            io::Result::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// A megabyte at a time, from the start.
fn sequential(disk: &File) -> io::Result<()> {
    let length = length(disk)?;
    let mut buffer = vec![Block([0; BLOCK]); CHUNK / BLOCK];
    // SAFETY: blocks are bytes without padding, and this is all of them.
    let bytes = unsafe { core::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), CHUNK) };
    let start = Instant::now();
    for chunk in 0..CHUNKS {
        disk.read_exact_at(bytes, chunk * CHUNK as u64 % length)?;
    }
    let nanos = start.elapsed().as_nanos();
    println!("bench: disk=sequential way=plain depth=1 operations={CHUNKS} nanos={nanos}");
    Ok(())
}
