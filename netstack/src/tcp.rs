//! TCP: the table of connections and listeners, and what the workload holds of them.
//!
//! The table finds the connection a segment belongs to and keeps the queue of those to look at.
//! It never walks over connections: work is for those that something happened to.

mod agenda;
mod budget;
mod by_hand;
pub(crate) mod connection;
pub(crate) mod cookie;
pub(crate) mod flow;
mod half;
mod held;
pub(crate) mod listener;
pub(crate) mod observer;
pub(crate) mod path_mtu;
mod segments;
mod siphash;
mod socket;
mod spares;
mod stream;
mod time_wait;

pub use half::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use listener::{ListenOptions, TcpListener};
pub use socket::TcpSocket;
pub use stream::TcpStream;

use agenda::Agenda;
use budget::Budget;
use connection::{Connection, Options, Role};
use core::net::{IpAddr, SocketAddr};
use flow::Flow;
use foldhash::quality::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use listener::Listener;
use reactor::time::Instant;
use smoltcp::iface::SocketStorage;
use spares::{Single, Spares};
use time_wait::TimeWait;

use crate::address::BindAddress;
use crate::config::Limits;
use crate::deadlines::Deadlines;
use crate::ports::Ports;
use crate::slots::Slots;
use crate::stats::Stats;

/// Ephemeral ports (RFC 6335 §6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

/// All ephemeral ports, from a random one on: the first that is free is as good as any.
pub(crate) fn ephemeral_ports(random: u64) -> impl Iterator<Item = u16> {
    let count = EPHEMERAL.end() - EPHEMERAL.start() + 1;
    let first = (random % u64::from(count)) as u16;
    (0..count).map(move |step| EPHEMERAL.start() + (first + step) % count)
}

/// Half-open connections may be one of this many of those that there is room for; beyond it, SYNs are
/// answered by cookies. Few, because each has full buffers and peers need not exist to have them.
const HALF_OPEN_SHARE: usize = 16;

/// What a flow is known as.
#[derive(Clone, Copy, Debug)]
enum Place {
    Connection(usize),
    /// Until then; `sequence` is the next one expected from the peer.
    TimeWait {
        until: Instant,
        sequence: u32,
    },
}

/// What a connection takes besides its buffers. The tables double as they grow, so half of a table may
/// be empty.
const ENTRY_BYTES: usize = size_of::<SocketStorage<'static>>()
    + 2 * (size_of::<Connection>()
        + size_of::<(Flow, Place)>()
        + size_of::<(Instant, usize)>()
        + 2 * size_of::<usize>());

/// What a connection takes at least, unless it asked for very small buffers.
pub(crate) const SMALLEST_CONNECTION_BYTES: usize =
    budget::MIN_RECEIVE_BUFFER + budget::MIN_SEND_BUFFER + ENTRY_BYTES;

/// What a connection in TIME-WAIT takes. Both tables double as they grow.
pub(crate) const TIME_WAIT_BYTES: usize =
    2 * (size_of::<(Flow, Place)>() + size_of::<(Instant, Flow)>());

/// All TCP state of a stack.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) connections: Slots<Connection>,
    pub(crate) listeners: Slots<Listener>,
    pub(crate) deadlines: Deadlines,
    by_flow: HashMap<Flow, Place, FixedState>,
    pub(crate) ports: Ports,
    time_wait: TimeWait,
    /// Connections to look at: those through the device, and those to ourselves, which a device that
    /// has no room must not hold up.
    dirty: [Agenda; 2],
    half_open: usize,
    max_half_open: usize,
    pub(crate) orphans: usize,
    budget: Budget,
    spares: Spares,
    max_connections: usize,
}

impl Table {
    /// `seed` keys the hash, so that peers cannot choose ends that collide.
    pub(crate) fn new(seed: u64, limits: &Limits) -> Table {
        let room = limits
            .connections
            .min(limits.tcp_bytes / SMALLEST_CONNECTION_BYTES);
        Table {
            connections: Slots::new(),
            listeners: Slots::new(),
            deadlines: Deadlines::default(),
            by_flow: HashMap::with_hasher(FixedState::with_seed(seed)),
            ports: Ports::default(),
            time_wait: TimeWait::default(),
            dirty: Default::default(),
            half_open: 0,
            max_half_open: (room / HALF_OPEN_SHARE).max(1),
            orphans: 0,
            budget: Budget::new(limits.tcp_bytes),
            spares: Spares::default(),
            max_connections: limits.connections,
        }
    }

    /// The earliest time at which something here has to be looked at; the far future if never.
    pub(crate) fn deadline(&self) -> Instant {
        let never = Instant::FAR_FUTURE;
        let connections = self.deadlines.earliest().unwrap_or(never);
        connections.min(self.time_wait.earliest().unwrap_or(never))
    }

    /// Writes down how many there are.
    pub(crate) fn count(&self, stats: &mut Stats) {
        stats.connections = self.connections.len() as u64;
        stats.half_open = self.half_open as u64;
        stats.time_wait = self.time_wait.len() as u64;
        stats.tcp_bytes = self.budget.used() as u64;
    }

    fn find(&self, flow: &Flow) -> Option<Place> {
        self.by_flow.get(flow).copied()
    }

    /// The buffers that a new connection may have, at most those that it wants. `None`: there are as
    /// many connections as there may be, or no memory is left for another. Room in the tables is made
    /// here, so that nothing the connection goes through later has to allocate.
    pub(crate) fn admit(&mut self, wanted: Options, local: bool) -> Option<Options> {
        let connections = self.connections.len() + 1;
        if connections > self.max_connections {
            return None;
        }
        let granted = self.budget.grant(wanted, ENTRY_BYTES)?;
        self.connections.reserve_one().ok()?;
        self.by_flow.try_reserve(1).ok()?;
        let places = self.connections.places() + 1;
        self.deadlines.reserve(connections, places).ok()?;
        self.dirty[usize::from(local)].reserve(connections).ok()?;
        Some(granted)
    }

    /// A socket with the buffers that `admit` granted. `None` where there is no memory for it.
    fn socket(&mut self, granted: Options) -> Option<Single> {
        let taken = granted.bytes() + ENTRY_BYTES;
        let left = self.budget.left().saturating_sub(taken);
        self.spares.take(granted, left)
    }

    /// Whether a listener, or all of them, have as many half-open connections as there may be.
    fn is_crowded(&self, listener: usize) -> bool {
        self.half_open >= self.max_half_open || self.listeners[listener].is_crowded()
    }

    /// Adds a connection with the buffers that `admit` granted, and finds it by its flow from now on.
    pub(crate) fn insert(&mut self, connection: Connection) -> usize {
        let flow = connection.flow;
        if let Role::HalfOpen(listener) = connection.role {
            self.half_open += 1;
            self.listeners[listener].half_open += 1;
        }
        self.budget.take(connection.bytes() + ENTRY_BYTES);
        let key = self.connections.insert(connection);
        self.by_flow.insert(flow, Place::Connection(key));
        key
    }

    /// Takes a connection that nobody holds out of everything.
    pub(crate) fn remove(&mut self, key: usize) {
        self.forget_flow(key);
        self.discard(key);
    }

    /// Takes a connection whose flow is not its own any more out of everything else.
    fn discard(&mut self, key: usize) {
        self.set_role(key, Role::Stream);
        self.deadlines.set(key, None);
        // A queued key may be taken over by a later connection, which is then looked at once more
        // than needed.
        if let Some(connection) = self.connections.remove(key) {
            self.budget.give_back(connection.bytes() + ENTRY_BYTES);
            let socket = connection.into_socket();
            self.spares.keep(socket, self.budget.left());
        }
    }

    /// Lets a new connection have the same ends.
    pub(crate) fn forget_flow(&mut self, key: usize) {
        let flow = self.connections[key].flow;
        self.forget(
            &flow,
            |place| matches!(place, Place::Connection(known) if *known == key),
        );
    }

    /// Forgets a flow if it is still what it was.
    fn forget(&mut self, flow: &Flow, still: impl Fn(&Place) -> bool) {
        if let Entry::Occupied(known) = self.by_flow.entry(*flow)
            && still(known.get())
        {
            known.remove();
        }
    }

    /// Changes who holds a connection, and every count that depends on it.
    pub(crate) fn set_role(&mut self, key: usize, role: Role) {
        let connection = &mut self.connections[key];
        let before = core::mem::replace(&mut connection.role, role);
        match before {
            Role::HalfOpen(listener) => {
                self.half_open -= 1;
                if let Some(listener) = self.listeners.get_mut(listener) {
                    listener.half_open -= 1;
                }
            }
            Role::Orphan(_) => self.orphans -= 1,
            Role::Waiting(_) | Role::Stream => {}
        }
        if matches!(role, Role::Orphan(_)) {
            self.orphans += 1;
        }
    }

    /// Lets a new connection have the ends of one that waits for late segments.
    fn forget_time_wait(&mut self, flow: &Flow) {
        self.forget(flow, |place| matches!(place, Place::TimeWait { .. }));
    }

    /// Whatever is queued by now is for this turn; what is queued from now on is for the next one.
    pub(crate) fn begin_turn(&mut self) {
        for dirty in &mut self.dirty {
            dirty.begin_turn();
        }
    }

    /// Queues a connection to be looked at, once.
    pub(crate) fn mark(&mut self, key: usize) {
        if let Some(connection) = self.connections.get_mut(key)
            && !core::mem::replace(&mut connection.queued, true)
        {
            self.dirty[usize::from(connection.is_local())].push(key);
        }
    }

    /// Queues all connections from an address that went away. A walk, but one per lost address.
    pub(crate) fn mark_from(&mut self, address: IpAddr) {
        for (key, connection) in self.connections.iter_mut() {
            let affected = connection.flow.local.ip() == address;
            if affected && !core::mem::replace(&mut connection.queued, true) {
                self.dirty[usize::from(connection.is_local())].push(key);
            }
        }
    }

    /// As `mark`, in front of the others and in this turn.
    fn mark_first(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        if !core::mem::replace(&mut connection.queued, true) {
            self.dirty[usize::from(connection.is_local())].push_first(key);
        }
    }

    /// Takes the next connection to be looked at in this turn: of those to ourselves, or of the others.
    fn pop_marked(&mut self, local: bool) -> Option<usize> {
        while let Some(key) = self.dirty[usize::from(local)].pop() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.queued = false;
                return Some(key);
            }
        }
        None
    }

    /// Puts a connection that the device had no room for back to the front.
    fn unpop(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        connection.queued = true;
        self.dirty[usize::from(connection.is_local())].push_first(key);
    }

    /// As `has_marked`, in this turn.
    pub(crate) fn has_due(&self, local: bool) -> bool {
        self.dirty[usize::from(local)].is_due()
    }

    /// Whether there are connections to be looked at: to ourselves, or others.
    pub(crate) fn has_marked(&self, local: bool) -> bool {
        !self.dirty[usize::from(local)].is_empty()
    }

    pub(crate) fn add_listener(&mut self, at: BindAddress, listener: Listener) -> usize {
        let key = self.listeners.insert(listener);
        self.ports.insert(at, key);
        key
    }

    /// Takes a listener away; its connections are for the caller to end.
    pub(crate) fn remove_listener(&mut self, key: usize) -> Option<Listener> {
        self.ports.remove(key);
        self.listeners.remove(key)
    }

    /// The listener for a destination.
    fn listener_for(&self, destination: SocketAddr) -> Option<usize> {
        let bound = self.ports.find(destination.ip(), destination.port());
        bound.filter(|key| self.listeners[*key].is_open())
    }

    /// Whether there is a connection with these ends, or late segments of one may come.
    fn is_known(&self, flow: &Flow) -> bool {
        self.by_flow.contains_key(flow)
    }

    /// A free local port to reach `remote` from. Ports in use towards other peers are free.
    pub(crate) fn free_port(&self, local: IpAddr, remote: SocketAddr, random: u64) -> Option<u16> {
        ephemeral_ports(random).find(|port| {
            let local = SocketAddr::new(local, *port);
            !self.ports.is_used(*port) && !self.by_flow.contains_key(&Flow { local, remote })
        })
    }

    /// Turns a closed connection into an entry that only waits for late segments.
    fn start_time_wait(&mut self, key: usize, until: Instant, limit: usize, stats: &mut Stats) {
        let flow = self.connections[key].flow;
        let sequence = self.connections[key].peer_next;
        if self.time_wait.len() >= limit || !self.time_wait.has_room() {
            stats.time_wait_recycled += 1;
            if let Some((until, flow)) = self.time_wait.pop_oldest() {
                self.end_time_wait(until, &flow);
            }
        }
        // The flow keeps its place in the map, so that nothing grows.
        if self.time_wait.len() < limit
            && self.time_wait.has_room()
            && let Some(place) = self.by_flow.get_mut(&flow)
            && matches!(place, Place::Connection(known) if *known == key)
        {
            *place = Place::TimeWait { until, sequence };
            self.time_wait.push(until, flow);
            self.discard(key);
        } else {
            self.remove(key);
        }
    }

    /// Ends what is over by now.
    fn expire_time_wait(&mut self, now: Instant) {
        while let Some((until, flow)) = self.time_wait.pop_over(now) {
            self.end_time_wait(until, &flow);
        }
    }

    /// The flow may have been taken over by a new connection since, and even wait again.
    fn end_time_wait(&mut self, ends: Instant, flow: &Flow) {
        self.forget(
            flow,
            |place| matches!(place, Place::TimeWait { until, .. } if *until == ends),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_about_what_the_documentation_says() {
        assert!((1200..1800).contains(&ENTRY_BYTES), "{ENTRY_BYTES} bytes");
    }
}
