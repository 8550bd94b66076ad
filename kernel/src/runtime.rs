//! From a booted machine to the workload, and from its result to the machine's end.
//!
//! Called once by the boot code, on the boot stack, when memory, log and interrupts work. Everything
//! here happens before the workload's first instruction, so it is short: no device is waited for,
//! no address either.

use alloc::sync::Arc;
use alloc::vec::Vec;

use netstack::{Config, Ipv4Config, Ipv6Config, Stack, StaticIpv4, StaticIpv6};
use rand_core::Rng;
use drivers::net::VirtioNet;
use reactor::Reactor;
use reactor::task::Priority;
use x86_64::instructions::random::RdRand;

use crate::arch::stats::MachineStats;
use crate::arch::{Machine, line, time};
use crate::boot::BootInfo;
use crate::command_line::{CommandLine, Ipv4Options, Ipv6Options, NetworkOptions};
use crate::context::Parts;
use crate::devices::{Bringer, Devices};
use crate::entropy::{self, Quality};
use crate::memory::{HeapStats, PAGE_SIZE, frame_stats};
use crate::random::Random;
use crate::shutdown::Shutdown;
use crate::stats::{Gauges, MemoryStats};
use crate::{Context, exit, panic, workload};

/// Names of the tasks that own the network devices; a further one shares the last name.
const NET_TASKS: [&str; 4] = ["net0", "net1", "net2", "net"];
/// Names of the tasks that own the disks.
const DISK_TASKS: [&str; 4] = ["disk0", "disk1", "disk2", "disk"];

/// Starts the devices and the workload, and ends the machine with the workload's exit status.
pub fn start(boot: BootInfo) -> ! {
    let command_line = CommandLine::parse(boot.command_line.as_bytes());
    say(&command_line);
    let reactor = Reactor::new(Arc::new(Machine));
    panic::set_current_task(reactor.current_task());
    start_log(&reactor);
    let random = seed();
    let bringer = Bringer { reactor: &reactor, random: &random, ram_bytes: boot.memory.ram };
    let devices = bringer.bring_up(boot.command_line);
    let context = context(&reactor, devices, command_line, random);
    let main = workload::start(context);
    // `Err` is a cancelled `main`: nobody has its handle but this function.
    let status = reactor.block_on(main).map_or(abi::exit::FAILURE, |status| status.to_u8());
    exit::exit(status)
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
        log::warn!("command line: ignored more={}", command_line.unsaid_warnings());
    }
    for word in &command_line.linux_options {
        log::debug!("command line: for Linux only option={word}");
    }
}

/// Sends the log's lines out when there is time for it.
fn start_log(reactor: &Reactor) {
    let sender = crate::log::drain(reactor.irq_event(line::SERIAL_OUTPUT));
    reactor.spawner().task("log").priority(Priority::Low).spawn(sender);
}

/// Makes the random source. The processor's generator is there on every machine that a cloud has;
/// what else differs from start to start is little.
fn seed() -> Random {
    let processor = RdRand::new();
    let scraps = [time::now().as_nanos(), time::tsc_hz(), wall_nanos()];
    let (random, quality) = entropy::first(|| processor?.get_u64(), scraps);
    if quality == Quality::Weak {
        log::warn!("entropy: WEAK, the processor has no generator; do not use this machine for secrets");
    }
    random
}

fn wall_nanos() -> u64 {
    time::since_1970().map_or(0, |span| span.as_nanos() as u64)
}

/// Spawns the tasks that own the devices, and gathers what the workload is handed.
fn context(
    reactor: &Reactor,
    devices: Devices,
    command_line: CommandLine<'static>,
    random: Random,
) -> Context {
    let shutdown = Shutdown::new();
    start_shutdown(reactor, shutdown.clone());
    let networks = start_networks(reactor, devices.networks, &command_line, &random);
    let disks = devices.disks.into_iter().enumerate().map(|(number, (disk, runner))| {
        spawn_runner(reactor, &DISK_TASKS, number, runner.run());
        disk
    });
    Context::new(Parts {
        networks,
        disks: disks.collect(),
        clock: reactor.clock(),
        spawner: reactor.spawner(),
        arguments: command_line.arguments,
        random,
        shutdown,
        gauges: GAUGES,
    })
}

/// Passes Ctrl-Alt-Del on.
fn start_shutdown(reactor: &Reactor, shutdown: Shutdown) {
    let event = reactor.irq_event(line::SHUTDOWN);
    reactor.spawner().task("shutdown").spawn(async move {
        event.raised().await;
        log::info!("shutdown: requested");
        shutdown.request();
    });
}

/// Spawns a device's Runner. Its priority is high because its completions make others ready.
fn spawn_runner(
    reactor: &Reactor,
    names: &[&'static str; 4],
    number: usize,
    runner: impl Future + 'static,
) {
    let name = names[number.min(names.len() - 1)];
    reactor.spawner().task(name).priority(Priority::High).spawn(runner);
}

fn start_networks(
    reactor: &Reactor,
    devices: Vec<VirtioNet>,
    command_line: &CommandLine<'_>,
    random: &Random,
) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for (number, device) in devices.into_iter().enumerate() {
        let options = command_line.network(number);
        if options.off {
            log::info!("net{number}: off");
            continue; // dropping the device resets it
        }
        let config = config(&device, options, command_line.hostname);
        let mut random = random.clone();
        match netstack::new(device, config, reactor.clock(), move || random.next_u64()) {
            Ok((stack, runner)) => {
                spawn_runner(reactor, &NET_TASKS, number, runner.run());
                stacks.push(stack);
            }
            Err(error) => log::warn!("net{number}: off problem=\"{error}\""),
        }
    }
    stacks
}

/// What netstack is told about an interface.
fn config(device: &VirtioNet, options: NetworkOptions, hostname: Option<&str>) -> Config {
    let mut config = Config::new(device.mac());
    config.hostname = hostname.unwrap_or_default().into();
    config.ipv4 = match options.ipv4 {
        Ipv4Options::Dhcp => Ipv4Config::Dhcp,
        Ipv4Options::Static { address, prefix, gateway, dns } => {
            let dns = dns.into_iter().flatten().collect();
            Ipv4Config::Static(StaticIpv4 { address, prefix, gateway, dns })
        }
    };
    config.ipv6 = match options.ipv6 {
        Ipv6Options::Slaac => Ipv6Config::Slaac,
        Ipv6Options::Off => Ipv6Config::None,
        Ipv6Options::Static { address, prefix, gateway } => {
            Ipv6Config::Static(StaticIpv6 { address, prefix, gateway, dns: Vec::new() })
        }
    };
    config
}

/// How the context asks the machine for what it counts.
const GAUGES: Gauges = Gauges {
    wall_clock: time::since_1970,
    memory: memory_stats,
    interrupts: interrupt_count,
    log_lines_dropped: crate::log::dropped_lines,
};

fn memory_stats() -> MemoryStats {
    let (heap, frames) = (HeapStats::now(), frame_stats());
    MemoryStats {
        ram_bytes: frames.total * PAGE_SIZE,
        heap_used_bytes: heap.used,
        heap_free_bytes: heap.claimed - heap.used + frames.free * PAGE_SIZE,
    }
}

fn interrupt_count() -> u64 {
    let stats = MachineStats::now();
    stats.interrupts.iter().sum::<u64>() + stats.timer_fired
}
