//! A TCP/IP stack as futures, over smoltcp.
//!
//! Here begins what a workload sees: [`new`] takes a device and gives a [`Stack`] to hand out and
//! a [`Runner`] to run as one task. The crate owns everything between Ethernet frames and byte
//! streams; it names no driver, reads no clock but the reactor's, and never panics for what comes
//! off the wire.
//!
//! How a frame travels: `runner` → `engine` (whom is it for?) → `link` (ARP, neighbours) or
//! `tcp::segments` (the accept path is there) or `udp` → smoltcp, with one socket set per
//! connection, so that the work depends on the active ones only.
#![cfg_attr(not(any(test, feature = "std", feature = "testing")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod config;
mod configuration;
mod convert;
mod deadlines;
mod device;
mod dhcp;
mod dns;
mod engine;
mod error;
mod interfaces;
mod io;
mod link;
mod packet;
mod ports;
mod runner;
mod slaac;
mod slots;
mod stack;
mod stats;
mod tcp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod udp;

pub use address::BindAddress;
pub use config::{
    Config, ConfigError, Ipv4Config, Ipv6Config, Limits, StaticIpv4, StaticIpv6, Timeouts,
};
pub use error::{BindError, ConnectError, ResolveError, SendError, StreamError};
pub use policy::AddressPrefix;
pub use policy::network::{Access, Policy, PortRange, Protocol, Rule};
pub use runner::Runner;
pub use stack::Stack;
pub use stats::{DropCause, Stats};
pub use tcp::{
    ListenOptions, OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpListener, TcpSocket, TcpStream,
    WriteHalf,
};

pub use udp::{UdpOptions, UdpSocket};

use alloc::boxed::Box;
use reactor::Clock;
use reactor::hardware::Hardware;
use smoltcp::phy::Device;

/// Makes a stack for an Ethernet device: one whose frames begin with Ethernet's header, whatever medium its
/// capabilities name. smoltcp is built without a link layer, and then has no word for it.
///
/// `random` must be a CSPRNG: sequence numbers, ports and the ids of DNS and DHCP come from it. It
/// is called within calls of the stack, and must not call the stack itself.
///
/// # Errors
/// A [`ConfigError`] where the configuration names an address that no host can have, or the device's frames are too
/// small.
pub fn new<D: Device + Hardware + 'static>(
    device: D,
    config: Config,
    clock: Clock,
    random: impl FnMut() -> u64 + 'static,
) -> Result<(Stack, Runner<D>), ConfigError> {
    config.validate()?;
    let capabilities = device.capabilities();
    let mtu = capabilities
        .max_transmission_unit
        .saturating_sub(link::ETHERNET_HEADER);
    if mtu < config::MIN_MTU {
        return Err(ConfigError::Mtu(mtu));
    }
    let engine = engine::Engine::new(config, &capabilities, Box::new(random), clock.now());
    let stack = Stack::new(engine, clock);
    Ok((stack.clone(), Runner::new(stack, device)))
}
