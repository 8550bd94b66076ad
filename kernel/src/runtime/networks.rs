//! Network devices into network stacks: what the command line says about each interface, in
//! netstack's words.

use alloc::vec::Vec;
use core::fmt;

use drivers::net::VirtioNet;
use netstack::{Config, Ipv4Config, Ipv6Config, Limits, Stack, StaticIpv4, StaticIpv6};
use rand_core::Rng;
use reactor::Reactor;

use super::spawn_runner;
use crate::command_line::{CommandLine, Ipv4Options, Ipv6Options, NetworkOptions};
use crate::random::Random;

/// Names of the tasks that own the devices; further ones share the last name.
const TASKS: [&str; 4] = ["net0", "net1", "net2", "net"];

/// One part in this many of the RAM that is free at boot is what all stacks may take, however many
/// peers there are. The rest is for what the workload does with its connections: a task each, say.
const STACKS_SHARE: u64 = 2;

/// Makes a stack for each device that is not told to be off, and spawns its Runner. `free_bytes` of
/// RAM are free.
pub(super) fn start(
    reactor: &Reactor,
    devices: Vec<VirtioNet>,
    command_line: &CommandLine<'_>,
    random: &Random,
    free_bytes: u64,
) -> Vec<Stack> {
    let each = free_bytes / STACKS_SHARE / devices.len().max(1) as u64;
    let limits = Limits::within(each as usize);
    let mut stacks = Vec::new();
    for (number, device) in devices.into_iter().enumerate() {
        let options = command_line.network(number);
        if options.off {
            log::info!("net{number}: off");
            continue; // dropping the device resets it
        }
        let mut config = config(&device, options, command_line.hostname);
        config.limits = limits.clone();
        let (mac, mtu) = (Mac(device.mac()), device.mtu());
        let mut random = random.clone();
        match netstack::new(device, config, reactor.clock(), move || random.next_u64()) {
            Ok((stack, runner)) => {
                spawn_runner(reactor, &TASKS, number, async move {
                    log::info!("net{number}: up mac={mac} mtu={mtu}");
                    runner.run().await;
                });
                stacks.push(stack);
            }
            Err(error) => log::warn!("net{number}: off problem=\"{error}\""),
        }
    }
    stacks
}

/// An Ethernet address as people write it.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What netstack is told about an interface.
fn config(device: &VirtioNet, options: NetworkOptions, hostname: Option<&str>) -> Config {
    let mut config = Config::new(device.mac());
    config.hostname = hostname.unwrap_or_default().into();
    config.ipv4 = match options.ipv4 {
        Ipv4Options::Dhcp => Ipv4Config::Dhcp,
        Ipv4Options::Static {
            address,
            prefix,
            gateway,
            dns,
        } => {
            let dns = dns.into_iter().flatten().collect();
            Ipv4Config::Static(StaticIpv4 {
                address,
                prefix,
                gateway,
                dns,
            })
        }
    };
    config.ipv6 = match options.ipv6 {
        Ipv6Options::Slaac => Ipv6Config::Slaac,
        Ipv6Options::Off => Ipv6Config::None,
        Ipv6Options::Static {
            address,
            prefix,
            gateway,
        } => Ipv6Config::Static(StaticIpv6 {
            address,
            prefix,
            gateway,
            dns: Vec::new(),
        }),
    };
    config
}
