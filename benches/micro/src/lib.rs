//! The same few things done by the reactor and by the executors that people know, so that they can be
//! timed (`benches/executors.rs`) and counted (the program `micro`).
//!
//! Each executor uses its own channels, timers and wake-ups where it has them.

#[macro_use]
mod cases;
mod async_executor;
mod embassy;
mod local_pool;
mod reactor;
mod tokio;

use std::time::Duration;

/// Something that is measured: by everyone in the same way.
pub trait System {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// `tasks` tasks, each of which yields `each` times.
    fn yields(&mut self, tasks: u64, each: u64);

    /// Tasks that nobody waits for, a hundred at a time.
    fn starts(&mut self, count: u64);

    /// One task after the other, each waited for.
    fn spawns(&mut self, count: u64);

    /// A message to another task and one back.
    fn round_trips(&mut self, count: u64);

    /// Of `sources` tasks that wait, each for something of its own, one in `every` is woken and polled,
    /// `rounds` times.
    fn readiness(&mut self, sources: usize, every: usize, rounds: u64);

    /// One task waits for all of `sources`, as `io_poll` does: one in a hundred is set, and it asks them all,
    /// `rounds` times.
    fn looks(&mut self, sources: usize, rounds: u64);

    /// A timer is armed and given up, while `live` others run. False: there are no timers, or not as many.
    fn timers(&mut self, live: usize, count: u64) -> bool;

    /// `count` timers that are due together, `after` they were made. False: there are no timers.
    fn expiries(&mut self, count: usize, after: Duration) -> bool;
}

/// Everybody, the reactor first.
pub fn systems() -> Vec<Box<dyn System>> {
    vec![
        Box::new(reactor::Ours::default()),
        Box::new(tokio::Tokio::default()),
        Box::new(async_executor::AsyncExecutor::default()),
        Box::new(embassy::Embassy::default()),
        Box::new(local_pool::Pool::default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every case ends, which it does only if every task, message, wake and timer arrived.
    #[test]
    fn everybody_does_everything() {
        for mut system in systems() {
            system.yields(3, 10);
            system.starts(250);
            system.spawns(10);
            system.round_trips(10);
            system.readiness(200, 100, 3);
            system.readiness(1, 1, 3);
            system.looks(200, 3);
            system.timers(10, 10);
            system.expiries(10, Duration::from_millis(1));
        }
    }
}
