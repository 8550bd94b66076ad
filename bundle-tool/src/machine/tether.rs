//! Ties a child process to the thread that starts it, so that the kernel ends it with this process,
//! however that ends: `kill -9` runs no destructor. Called when a VMM is spawned.
#![allow(
    unsafe_code,
    reason = "a child can ask for the signal only between its fork and its exec"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Lets `command` die when the thread that spawns it does (Linux, `prctl(PR_SET_PDEATHSIG)`). That
/// thread must therefore live at least as long as the child.
///
/// Spawning then fails if this process ended meanwhile.
pub(super) fn tether(command: &mut Command) {
    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Whoever died before the request sends no signal.
        match getppid() == Some(parent) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    };
    // SAFETY: between fork and exec only calls that are safe in a signal handler are allowed, as other
    // threads may have held any lock. `ask` makes two system calls, which take no lock and allocate
    // nothing, nor do the errors that it can return: both hold a number.
    unsafe { command.pre_exec(ask) };
}
