//! From a booted machine to the workload, and from its result to the machine's end.
//!
//! Called once by the boot code, on the boot stack, when memory, log and interrupts work. Everything
//! here happens before the workload's first instruction, so it is short: no device is waited for,
//! no address either. The exception is a workload that asks for a bundle, which is read and checked first.

mod bundle;
mod networks;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use drivers::block::{Disk, DiskRunner};
use drivers::rng::{Entropy, EntropyRunner};
use reactor::irq::IrqEvent;
use reactor::task::{Priority, yield_now};
use reactor::{Clock, Reactor};
use x86_64::instructions::random::RdRand;

use crate::arch::{self, Machine, line, time, timer};
use crate::boot::BootInfo;
use crate::command_line::CommandLine;
use crate::context::Parts;
use crate::devices::{Bringer, Devices};
use crate::entropy::{self, Quality};
use crate::memory::{HeapStats, PAGE_SIZE, frame_stats};
use crate::random::Random;
use crate::shutdown::Shutdown;
use crate::stats::{Gauges, MemoryStats};
use crate::tracing::Tracing;
use crate::{Context, ExitCode, exit, panic, workload};
use bundle::Loaded;
pub(crate) use bundle::{LOADER, Loader};

/// Names of the tasks that own the disks; further ones share the last name.
const DISK_TASKS: [&str; 4] = ["disk0", "disk1", "disk2", "disk"];

/// What a poll may take before its task is named in the log. It is time on the wall, and a host that
/// runs other things takes the processor away for tens of milliseconds: a shorter budget would
/// accuse the innocent.
const POLL_BUDGET: Duration = Duration::from_millis(100);
/// How long an entropy device may take, where there is nothing else to make secrets from.
const ENTROPY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an entropy device is asked again.
const RESEED_PERIOD: Duration = Duration::from_secs(3600);

/// Starts the devices and the workload, and ends the machine with the workload's exit status.
#[inline(never)] // a phase of the boot that benchmarks tell apart
pub fn start(mut boot: BootInfo) -> ! {
    let loader = workload::bundle_loader();
    let mut command_line = match loader {
        None => CommandLine::parse(boot.command_line),
        Some(loader) => (loader.parse)(boot.command_line),
    };
    say(&command_line);
    let reactor = Reactor::new(Arc::new(Machine));
    reactor.set_poll_budget(POLL_BUDGET);
    // Before the first turn takes the lines: the request to stop may have come while the machine booted.
    let stop = reactor.irq_event(line::SHUTDOWN);
    panic::set_current_task(reactor.current_task());
    let (random, quality) = seed();
    let bringer = Bringer {
        reactor: &reactor,
        random: &random,
        free_bytes: boot.memory.free,
    };
    let mut devices = bringer.bring_up(boot.command_line);
    let loaded =
        loader.map(|loader| (loader.load)(&reactor, &mut boot, &mut devices, &mut command_line));
    exit::exit(reactor.block_on(run(
        &reactor,
        boot,
        devices,
        loaded,
        command_line,
        (random, quality),
        stop,
    )))
}

/// Runs the workload, and answers its exit status.
async fn run(
    reactor: &Reactor,
    boot: BootInfo,
    mut devices: Devices,
    loaded: Option<&'static Loaded>,
    command_line: CommandLine<'static>,
    (random, quality): (Random, Quality),
    stop: IrqEvent,
) -> u8 {
    stir(
        reactor,
        core::mem::take(&mut devices.entropy),
        &random,
        quality,
    )
    .await;
    let shutdown = Shutdown::new();
    let context = context(
        reactor,
        devices,
        loaded,
        command_line,
        boot.modules,
        random,
        shutdown.clone(),
    );
    let main = workload::start(context);
    // Everything that can wait until the workload has begun.
    yield_now().await;
    announce(&boot);
    start_log(reactor);
    start_shutdown(reactor, stop, shutdown);
    // `Err` is a cancelled `main`: nobody has its handle but this function.
    main.await.map_or(abi::exit::FAILURE, ExitCode::to_u8)
}

/// Says what machine this is.
fn announce(boot: &BootInfo) {
    log::info!(
        "boot: up protocol={:?} ram_kib={} free_kib={} clock={:?} timer={:?} command_line=\"{}\"",
        boot.protocol,
        boot.memory.ram >> 10,
        boot.memory.free >> 10,
        time::kind(),
        timer::device(),
        boot.command_line
    );
}

/// Sets the log level, then says what the command line had wrong.
fn say(command_line: &CommandLine<'_>) {
    if let Some(level) = command_line.log {
        log::set_max_level(level);
    }
    for warning in command_line.warnings() {
        log::warn!("command line: ignored {warning}");
    }
    if command_line.unsaid_warnings() > 0 {
        log::warn!(
            "command line: ignored more={}",
            command_line.unsaid_warnings()
        );
    }
    for word in &command_line.linux_options {
        log::debug!("command line: for Linux only option={word}");
    }
}

/// Sends the log's lines out when there is time for it.
fn start_log(reactor: &Reactor) {
    let sender = crate::log::drain(reactor.irq_event(line::SERIAL_OUTPUT));
    let spawner = reactor.spawner();
    spawner.task("log").priority(Priority::Low).spawn(sender);
}

/// Makes the random source from the processor's generator, which almost every machine has.
fn seed() -> (Random, Quality) {
    let processor = RdRand::new();
    let scraps = || Vec::from([time::now().as_nanos(), time::tsc_hz(), wall_nanos()]);
    entropy::first(|| processor?.get_u64(), scraps)
}

/// Mixes in what the entropy devices give, now and then. The workload waits for the first of it
/// only if the processor gave nothing: no secret could be made before.
async fn stir(
    reactor: &Reactor,
    devices: Vec<(Entropy, EntropyRunner)>,
    random: &Random,
    quality: Quality,
) {
    let mut mixed = quality == Quality::Processor;
    for (source, runner) in devices {
        spawn_runner(reactor, &["entropy"; 4], 0, async move {
            log::info!("entropy: up");
            runner.run().await;
        });
        if !mixed {
            let first = reactor
                .clock()
                .timeout(ENTROPY_TIMEOUT, entropy::mix(random, &source));
            mixed = first.await == Ok(true);
        }
        let reseed = reseed(reactor.clock(), random.clone(), source);
        reactor
            .spawner()
            .task("reseed")
            .priority(Priority::Low)
            .spawn(reseed);
    }
    if !mixed {
        log::warn!(
            "entropy: WEAK: no generator in the processor, no virtio-rng: keep no secrets here"
        );
    }
}

/// Keeps the random source fresh, for as long as the device works.
async fn reseed(clock: Clock, random: Random, source: Entropy) {
    while entropy::mix(&random, &source).await {
        clock.sleep(RESEED_PERIOD).await;
    }
}

fn wall_nanos() -> u64 {
    time::since_1970().map_or(0, |span| span.as_nanos() as u64)
}

/// Spawns the tasks that own the devices, and gathers what the workload is handed.
fn context(
    reactor: &Reactor,
    devices: Devices,
    loaded: Option<&'static Loaded>,
    command_line: CommandLine<'static>,
    modules: &'static [&'static [u8]],
    random: Random,
    shutdown: Shutdown,
) -> Context {
    let free = memory_stats().heap_free_bytes;
    let networks = networks::start(reactor, devices.networks, &command_line, &random, free);
    // Looking at the loader again leaves the other branch out of an image without one.
    let (disks, bundle) = match (workload::bundle_loader(), loaded) {
        (Some(loader), Some(loaded)) => (loader.give)(loaded),
        _ => (
            start_disks(reactor, devices.disks)
                .into_iter()
                .map(Some)
                .collect(),
            None,
        ),
    };
    Context::new(Parts {
        networks,
        disks,
        bundle,
        clock: reactor.clock(),
        spawner: reactor.spawner(),
        policy: command_line.policy,
        arguments: command_line.arguments,
        variables: command_line.variables,
        modules,
        random,
        shutdown,
        tracing: Tracing::new(command_line.trace),
        gauges: GAUGES,
    })
}

/// Spawns the tasks that own the disks.
fn start_disks(reactor: &Reactor, disks: Vec<(Disk, DiskRunner)>) -> Vec<Disk> {
    let numbered = disks.into_iter().enumerate();
    let started = numbered.map(|(number, (disk, runner))| {
        let (bytes, read_only) = (disk.len_bytes(), disk.read_only());
        spawn_runner(reactor, &DISK_TASKS, number, async move {
            log::info!("disk{number}: up bytes={bytes} read_only={read_only}");
            runner.run().await;
        });
        disk
    });
    started.collect()
}

/// Passes Ctrl-Alt-Del on.
fn start_shutdown(reactor: &Reactor, stop: IrqEvent, shutdown: Shutdown) {
    reactor.spawner().task("shutdown").spawn(async move {
        stop.raised().await;
        log::info!("shutdown: requested");
        shutdown.request();
    });
}

/// Spawns a device's Runner. Its priority is high because its completions make others ready; only
/// the first poll of the workload comes before its work.
fn spawn_runner(
    reactor: &Reactor,
    names: &[&'static str; 4],
    number: usize,
    runner: impl Future + 'static,
) {
    let name = names[number.min(names.len() - 1)];
    let spawner = reactor.spawner();
    let task = spawner.task(name).priority(Priority::High);
    task.spawn(async move {
        yield_now().await;
        runner.await
    });
}

/// How the context asks the machine for what it counts.
const GAUGES: Gauges = Gauges {
    wall_clock: time::since_1970,
    memory: memory_stats,
    machine: arch::stats::now,
    log_lines_dropped: crate::log::dropped_lines,
    serial: crate::arch::serial::stats,
};

fn memory_stats() -> MemoryStats {
    let (heap, frames) = (HeapStats::now(), frame_stats());
    MemoryStats {
        ram_bytes: frames.total * PAGE_SIZE,
        heap_used_bytes: heap.used,
        heap_free_bytes: heap.claimed - heap.used + frames.free * PAGE_SIZE,
        allocations: heap.allocations,
    }
}
