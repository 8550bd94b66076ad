//! A line in the log now and then, which shows that the machine is alive and what it does.

use core::time::Duration;

use ukernel::{Context, Stats};

/// Starts the task that logs a line now and every `period`; without a period there is none.
pub fn start(ctx: &Context, period: Option<Duration>) {
    if let Some(period) = period {
        ctx.task("heartbeat").spawn(beat_every(period, ctx.clone()));
    }
}

async fn beat_every(period: Duration, ctx: Context) {
    let mut ticks = ctx.clock().interval(period);
    let mut before = ctx.stats();
    loop {
        ticks.tick().await;
        let now = ctx.stats();
        beat(&before, &now);
        before = now;
    }
}

fn beat(before: &Stats, now: &Stats) {
    // In 64 bits: formatting 128 is code that nothing else needs.
    let span = (now.uptime - before.uptime).as_millis().max(1) as u64;
    let idle = (now.reactor.idle - before.reactor.idle).as_millis() as u64;
    log::info!(
        "demo: heartbeat uptime={}s tasks={} polls={} interrupts={} idle={}% heap_used={}",
        now.uptime.as_secs(),
        now.reactor.tasks_live,
        now.reactor.polls - before.reactor.polls,
        now.machine.interrupts_in_all() - before.machine.interrupts_in_all(),
        idle * 100 / span,
        now.memory.heap_used_bytes,
    );
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use ukernel::testing::Machine;

    use super::*;

    std::thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps what this thread logs.
    struct Kept;

    impl log::Log for Kept {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }

        fn flush(&self) {}
    }

    /// The heartbeats of a minute and a half.
    fn beats(period: Option<Duration>) -> Vec<String> {
        // Another test may have set it.
        let _ = log::set_logger(&Kept);
        log::set_max_level(log::LevelFilter::Info);
        let machine = Machine::new();
        let ctx = machine.context();
        LINES.take();
        machine.block_on(async {
            start(&ctx, period);
            ctx.clock().sleep(Duration::from_secs(90)).await;
        });
        let mut lines = LINES.take();
        lines.retain(|line| line.starts_with("demo: heartbeat "));
        lines
    }

    #[test]
    fn beats_at_once_and_every_period() {
        let beats = beats(Some(Duration::from_secs(40)));
        assert_eq!(beats.len(), 3, "{beats:#?}");
        for (beat, expected) in beats.iter().zip([
            [" uptime=0s ", " idle=0% "],
            [" uptime=40s ", " idle=100% "],
            [" uptime=80s ", " idle=100% "],
        ]) {
            assert!(expected.iter().all(|part| beat.contains(part)), "{beat}");
        }
    }

    #[test]
    fn may_be_switched_off() {
        assert_eq!(beats(None), Vec::<String>::new());
    }
}
