//! The DHCP client (RFC 2131): gets an IPv4 address and keeps it.
//!
//! The engine feeds it messages and the passing of time, and applies what comes out. It holds no
//! address itself and reads no clock. It is our own because smoltcp's client only runs on an
//! Ethernet interface, with an ARP cache that would know nothing of ours.

mod message;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;
use log::{info, warn};
pub(crate) use message::{CLIENT_PORT, SERVER_PORT};
use message::{Message, Request};
use reactor::time::Instant;

use crate::config::is_host;
use crate::link::Link;
use crate::stats::DropCause;

/// The first wait for an answer. RFC 2131 §4.1 suggests four seconds, from the days of slow
/// links; a boot should not wait so long for a lost frame.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Waits double up to this one (RFC 2131 §4.1).
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Requests for an offer before another one is looked for.
const MAX_REQUESTS: u32 = 4;
/// Renewals are repeated no faster (RFC 2131 §4.4.5), and a server's times to renew or rebind that
/// are shorter are ignored, so that no server can make us ask all the time.
const SHORTEST_RENEWAL: Duration = Duration::from_secs(60);
/// Shorter leases are kept for this long, so that no server can make us ask all the time.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// Letters of a name that servers are told; the others are left out (RFC 1035 §2.3.4).
const MAX_HOSTNAME: usize = 63;

/// What a server gave us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) dns: Vec<Ipv4Addr>,
    server: Ipv4Addr,
    times: Option<Times>,
}

/// When a lease has to be renewed, rebound and given up. An endless one has no times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    renew: Instant,
    rebind: Instant,
    end: Instant,
}

#[derive(Clone, Debug)]
enum State {
    /// Looking for servers.
    Selecting,
    /// Asking one for what it offered.
    Requesting {
        offered: Ipv4Addr,
        server: Ipv4Addr,
    },
    Bound(Lease),
    /// Asking the server that gave the lease.
    Renewing(Lease),
    /// Asking any server.
    Rebinding(Lease),
}

/// What the engine has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Use this lease; it may be the one in use, renewed.
    Bound(Lease),
    /// Stop using the address.
    Lost,
}

/// The client's state.
#[derive(Debug)]
pub(crate) struct Dhcp {
    state: State,
    hostname: String,
    transaction: u32,
    /// When the search began, for the message's field `secs`.
    since: Instant,
    attempts: u32,
    deadline: Option<Instant>,
    /// A server that does not answer is said once.
    silence_said: bool,
}

impl Dhcp {
    /// Starts at the first `tick`.
    pub(crate) fn new(hostname: &str, now: Instant) -> Dhcp {
        Dhcp {
            state: State::Selecting,
            hostname: hostname
                .chars()
                .take(MAX_HOSTNAME)
                .filter(char::is_ascii)
                .collect(),
            transaction: 0,
            since: now,
            attempts: 0,
            deadline: Some(now),
            silence_said: false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease) => Some(lease),
            State::Selecting | State::Requesting { .. } => None,
        }
    }

    /// The cable is back, maybe in another network: makes sure of the lease, or searches anew.
    pub(crate) fn link_is_up(&mut self, now: Instant) {
        self.attempts = 0;
        match self.lease().cloned() {
            Some(lease) => self.state = State::Rebinding(lease),
            None => self.state = State::Selecting,
        }
        self.deadline = Some(now);
    }

    /// Sends what is due.
    pub(crate) fn tick(&mut self, link: &mut Link, random: u64) -> Option<Outcome> {
        if self.deadline.is_none_or(|at| at > link.now) {
            return None;
        }
        match self.state.clone() {
            State::Selecting => self.discover(link, random),
            State::Requesting { .. } if self.attempts >= MAX_REQUESTS => self.restart(link.now),
            State::Requesting { offered, server } => self.request(link, offered, server, random),
            State::Bound(lease) => {
                self.transaction = random as u32;
                self.since = link.now;
                self.renew(link, lease);
            }
            State::Renewing(lease) => self.renew(link, lease),
            State::Rebinding(lease) => return self.rebind(link, lease, random),
        }
        None
    }

    /// Takes a message of a server.
    pub(crate) fn receive(
        &mut self,
        link: &mut Link,
        payload: &[u8],
        random: u64,
    ) -> Option<Outcome> {
        let message = Message::parse(payload, link.mac());
        let Some(message) = message.filter(|message| message.transaction() == self.transaction)
        else {
            return link.drop(DropCause::Dhcp);
        };
        match (&self.state, message) {
            (
                State::Selecting,
                Message::Offer {
                    offered, server, ..
                },
            ) => {
                self.attempts = 0;
                self.state = State::Requesting { offered, server };
                self.request(link, offered, server, random);
                None
            }
            (State::Selecting | State::Bound(_), _) | (_, Message::Offer { .. }) => None,
            (_, Message::Ack { terms, .. }) => self.bind(link, &terms),
            (state, Message::Nak { .. }) => {
                let had_lease = !matches!(state, State::Requesting { .. });
                warn!("net: dhcp refused the address");
                self.restart(link.now + FIRST_WAIT);
                had_lease.then_some(Outcome::Lost)
            }
        }
    }

    fn discover(&mut self, link: &mut Link, random: u64) {
        if self.attempts == 0 {
            self.transaction = random as u32;
            self.since = link.now;
        }
        if self.attempts == MAX_REQUESTS && !core::mem::replace(&mut self.silence_said, true) {
            warn!("net: no dhcp server answers; still asking");
        }
        self.broadcast(link, Request::Discover);
        self.wait(link.now, random);
    }

    fn request(&mut self, link: &mut Link, offered: Ipv4Addr, server: Ipv4Addr, random: u64) {
        self.broadcast(link, Request::Select { offered, server });
        self.wait(link.now, random);
    }

    /// Asks the lease's server until its time for that is over.
    fn renew(&mut self, link: &mut Link, lease: Lease) {
        let Some(times) = lease.times else {
            return self.deadline = None;
        };
        if link.now >= times.rebind {
            self.state = State::Rebinding(lease);
            return self.deadline = Some(link.now);
        }
        let message = self.message(
            link,
            Request::Renew {
                address: lease.address,
            },
        );
        message.send_to(link, lease.address, lease.server);
        self.deadline = Some(half_way(link.now, times.rebind));
        self.state = State::Renewing(lease);
    }

    /// Asks everybody until the lease ends.
    fn rebind(&mut self, link: &mut Link, lease: Lease, random: u64) -> Option<Outcome> {
        let end = lease.times.map(|times| times.end);
        if end.is_some_and(|end| link.now >= end) {
            warn!("net: dhcp lease ended addr={}", lease.address);
            self.restart(link.now);
            return Some(Outcome::Lost);
        }
        let message = self.message(
            link,
            Request::Renew {
                address: lease.address,
            },
        );
        message.broadcast(link, lease.address);
        match end {
            Some(end) => self.deadline = Some(half_way(link.now, end)),
            None => self.wait(link.now, random),
        }
        None
    }

    fn bind(&mut self, link: &mut Link, terms: &message::Terms) -> Option<Outcome> {
        if !is_host(terms.address.into()) {
            return link.drop(DropCause::Dhcp);
        }
        let lease = Lease {
            address: terms.address,
            prefix: terms.prefix,
            gateway: terms.gateway.filter(|gateway| is_host((*gateway).into())),
            dns: terms.dns.clone(),
            server: terms.server.or_else(|| self.server())?,
            times: times(link.now, terms),
        };
        if self
            .lease()
            .is_none_or(|before| before.address != lease.address)
        {
            info!(
                "net: dhcp lease server={} seconds={:?}",
                lease.server, terms.lease
            );
        }
        self.attempts = 0;
        self.deadline = lease.times.map(|times| times.renew);
        self.state = State::Bound(lease.clone());
        Some(Outcome::Bound(lease))
    }

    fn server(&self) -> Option<Ipv4Addr> {
        match &self.state {
            State::Requesting { server, .. } => Some(*server),
            _ => self.lease().map(|lease| lease.server),
        }
    }

    fn restart(&mut self, at: Instant) {
        self.state = State::Selecting;
        self.attempts = 0;
        self.deadline = Some(at);
    }

    /// Exponential back-off, a quarter more or less by chance (RFC 2131 §4.1), so that machines that
    /// boot together do not ask together.
    fn wait(&mut self, now: Instant, random: u64) {
        let wait = (FIRST_WAIT * 2_u32.pow(self.attempts.min(6))).min(LONGEST_WAIT);
        let chance = wait * (random % 1000) as u32 / 2000;
        self.attempts += 1;
        self.deadline = Some(now + wait / 4 * 3 + chance);
    }

    fn broadcast(&self, link: &mut Link, request: Request) {
        self.message(link, request)
            .broadcast(link, Ipv4Addr::UNSPECIFIED);
    }

    fn message(&self, link: &Link, request: Request) -> message::Outgoing<'_> {
        message::Outgoing {
            request,
            transaction: self.transaction,
            seconds: link.now.duration_since(self.since).as_secs().min(0xffff) as u16,
            hostname: &self.hostname,
        }
    }
}

fn half_way(now: Instant, end: Instant) -> Instant {
    let half = end.duration_since(now) / 2;
    (now + half.max(SHORTEST_RENEWAL)).min(end)
}

/// The defaults are those of RFC 2131 §4.4.5; times out of order, and too short ones, are replaced by
/// them.
fn times(now: Instant, terms: &message::Terms) -> Option<Times> {
    const ENDLESS: u32 = u32::MAX;
    if terms.lease == ENDLESS {
        return None;
    }
    let lease = Duration::from_secs(terms.lease.into()).max(SHORTEST_LEASE);
    let seconds = |given: Option<u32>| {
        let given = Duration::from_secs(given?.into());
        (given >= SHORTEST_RENEWAL).then_some(given)
    };
    let rebind = seconds(terms.rebind)
        .filter(|rebind| *rebind < lease)
        .unwrap_or(lease / 8 * 7);
    let renew = seconds(terms.renew)
        .filter(|renew| *renew < rebind)
        .unwrap_or(rebind / 7 * 4);
    Some(Times {
        renew: now + renew,
        rebind: now + rebind,
        end: now + lease,
    })
}
