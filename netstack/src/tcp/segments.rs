//! The life of segments: from the wire to a connection, and from a connection to the wire.
//!
//! The engine calls `receive_tcp` for each TCP packet, `tick_tcp` once a turn, and `send_tcp` while
//! the device has room. Here is the accept path: a SYN for a listener makes a connection (`open_half`), the last ACK of the
//! handshake puts it into the listener's queue (`settle`), and `TcpListener::accept` takes it.

use reactor::time::Instant;
use smoltcp::iface::PollResult;
use smoltcp::phy::{Device, TxToken};
use smoltcp::socket::tcp::State;

use super::Place;
use super::connection::{Before, Connection, Options, Role, is_established};
use super::flow::Flow;
use super::time_wait::{is_later, late_answer};
use crate::convert::to_smoltcp;
use crate::device::{Egress, Ingress};
use crate::engine::Engine;
use crate::interfaces::Path;
use crate::packet::{IpHead, flags, protocol};
use crate::stats::DropCause;

/// Packets that one connection may send before the next one has its turn.
const BURST: usize = 64;
/// Deadlines that fire in one turn; the others fire in the next.
const MAX_DEADLINES: usize = 1024;
/// When to look again at a connection that wants to send now but sends nothing. smoltcp is not
/// known to do so; were it to, this keeps the Runner from spinning.
const STALL: core::time::Duration = core::time::Duration::from_millis(10);

/// What came of letting a connection send.
enum Sent {
    /// All it has for now.
    Done,
    /// Its burst.
    More,
    /// The device has no room.
    Full,
}

impl Engine {
    /// Delivers a packet of a connection that there is: nearly all packets are. Its ends were checked
    /// when it was made. Hands the token back where the packet is something else.
    pub(crate) fn receive_known<T: TxToken>(
        &mut self,
        head: &IpHead<'_>,
        packet: &[u8],
        token: Option<T>,
        local: bool,
    ) -> Result<(), Option<T>> {
        if head.protocol == protocol::TCP
            && let (Some(flow), Some(bits)) = (Flow::of(head), head.tcp_flags())
            && let Some(Place::Connection(key)) = self.tcp.find(&flow)
            && self.tcp.connections[key].is_local() == local
        {
            self.receive_segment(key, head, bits, packet, token);
            return Ok(());
        }
        Err(token)
    }

    /// Delivers a TCP packet. `token`: where an answer may go at once.
    pub(crate) fn receive_tcp<T: TxToken>(
        &mut self,
        head: &IpHead<'_>,
        packet: &[u8],
        mut token: Option<T>,
        local: bool,
    ) {
        let (Some(flow), Some(bits)) = (Flow::of(head), head.tcp_flags()) else {
            return self.link.stats.count_drop(DropCause::Malformed);
        };
        if !self.link.routes.is_own(head.destination) {
            return self.link.stats.count_drop(DropCause::OtherAddress);
        }
        let opens = bits & (flags::SYN | flags::ACK | flags::RST) == flags::SYN;
        let key = match self.tcp.find(&flow) {
            Some(Place::Connection(key)) => Some(key),
            Some(Place::TimeWait { sequence, .. }) if !(opens && is_later(head, sequence)) => {
                return self.answer_late(head, bits);
            }
            _ if opens => match self.tcp.listener_for(flow.local) {
                Some(listener) if self.tcp.is_crowded(listener) => {
                    return self.answer_by_cookie(listener, &flow, head, local);
                }
                Some(listener) => match self.open_half(listener, flow, local) {
                    Some(key) => Some(key),
                    None => return,
                },
                None => None,
            },
            _ if bits & (flags::SYN | flags::ACK | flags::RST) == flags::ACK => {
                match self.open_by_cookie(flow, head, &mut token, local) {
                    Some(None) => return,
                    proven => proven.flatten(),
                }
            }
            _ => None,
        };
        match key {
            Some(key) => self.receive_segment(key, head, bits, packet, token),
            None => {
                let reset = bits & flags::RST != 0;
                self.link.stats.refused += u64::from(!reset);
                self.receive_stray(head, packet, token, local);
            }
        }
    }

    /// Makes the connection that a SYN asks for, unless a limit forbids it.
    fn open_half(&mut self, listener: usize, flow: Flow, local: bool) -> Option<usize> {
        let mut connection = self.new_half(listener, flow, local)?;
        connection.socket_mut().listen(flow.local).ok()?;
        let seed = self.random();
        self.reseed(connection.path, seed);
        Some(self.tcp.insert(connection))
    }

    /// The buffers that another connection of a listener may have. `None`: it may not be, which is
    /// counted.
    pub(super) fn admit_half(&mut self, listener: usize, local: bool) -> Option<Options> {
        let wanted = &mut self.tcp.listeners[listener];
        if wanted.is_full() {
            return self.link.drop(DropCause::Backlog);
        }
        let (options, has_room) = (wanted.options, wanted.reserve_one());
        let granted = self.tcp.admit(options, local).filter(|_| has_room);
        granted.or_else(|| self.link.drop(DropCause::ConnectionLimit))
    }

    /// A connection of a listener, not in the table yet.
    pub(super) fn new_half(
        &mut self,
        listener: usize,
        flow: Flow,
        local: bool,
    ) -> Option<Connection> {
        let granted = self.admit_half(listener, local)?;
        let role = Role::HalfOpen(listener);
        let Some(socket) = self.tcp.socket(granted) else {
            return self.link.drop(DropCause::ConnectionLimit);
        };
        let mut connection = Connection::new(flow, Path::new(local), role, socket);
        connection.set_handshake_timeout(self.config.timeouts.half_open);
        connection.set_unacknowledged_timeout(self.config.timeouts.unacknowledged);
        Some(connection)
    }

    /// Gives a segment to its connection.
    pub(super) fn receive_segment<T: TxToken>(
        &mut self,
        key: usize,
        head: &IpHead<'_>,
        bits: u8,
        packet: &[u8],
        token: Option<T>,
    ) {
        self.link.stats.connection_polls += 1;
        let now = self.link.now;
        let connection = &mut self.tcp.connections[key];
        let before = connection.before();
        let interface = self.interfaces.on(connection.path);
        let mut device = Ingress {
            packet: Some(packet),
            token,
            link: &mut self.link,
            peer: head.source,
            sender: Some(&mut connection.sender),
        };
        interface.poll_ingress_single(to_smoltcp(now), &mut device, &mut connection.set);
        let state = connection.after_segment(before, bits & flags::RST != 0, now);
        if bits & flags::FIN != 0
            && let Some((sequence, len)) = head.sequence_space()
        {
            connection.peer_next = sequence.wrapping_add(len);
        }
        if matches!(connection.role, Role::Orphan(_)) {
            self.receive_for_nobody(key, before);
        }
        if state == State::Closed {
            self.count_end(key);
        }
        if state == State::Closed && self.tcp.connections[key].is_over() {
            // Nothing is left to send.
            self.settle(key, None);
        } else if before.is_established() {
            self.tcp.mark(key);
        } else {
            // Nobody has an answer to a handshake but smoltcp.
            self.tcp.mark_first(key);
        }
    }

    /// A segment came for a connection that closes in the background.
    fn receive_for_nobody(&mut self, key: usize, before: Before) {
        let connection = &mut self.tcp.connections[key];
        if connection.progressed_since(before) {
            let until = connection.give_up_at(self.link.now, self.config.timeouts.linger);
            connection.role = Role::Orphan(until);
        }
        if connection.socket().can_recv() {
            // Nobody will read it (RFC 2525 §2.17; RFC 9293 §3.10.4): the peer must know.
            connection.abort();
            self.link.stats.resets_sent += 1;
        }
    }

    /// Acknowledges what a peer repeats after the end.
    fn answer_late(&mut self, head: &IpHead<'_>, bits: u8) {
        if let Some(segment) = late_answer(head, bits) {
            self.answer(head, &segment);
        }
    }

    /// Marks connections whose deadline came, and ends TIME-WAIT where it is over. In every turn,
    /// whatever room the device has: a deadline that stays in the past would let the Runner spin. What
    /// cannot be sent now stays marked, without a deadline, until the device has room.
    pub(crate) fn tick_tcp(&mut self) {
        for _ in 0..MAX_DEADLINES {
            let Some(key) = self.tcp.deadlines.pop_due(self.link.now) else {
                break;
            };
            self.link.stats.deadlines_fired += 1;
            self.tcp.mark(key);
        }
        self.tcp.expire_time_wait(self.link.now);
    }

    /// Lets the marked connections send whose turn it is, those to ourselves or the others; false where
    /// the device has no room, which the former do not need.
    pub(crate) fn send_tcp<D: Device>(
        &mut self,
        device: &mut D,
        mut budget: usize,
        local: bool,
    ) -> bool {
        while budget > 0 {
            let Some(key) = self.tcp.pop_marked(local) else {
                break;
            };
            budget -= 1;
            match self.send_connection(key, device, &mut budget) {
                Sent::Done => {}
                Sent::More => self.tcp.mark(key),
                Sent::Full => {
                    self.tcp.unpop(key);
                    return false;
                }
            }
        }
        true
    }

    // Its frame is large: most calls of the loop above find nothing to do.
    #[inline(never)]
    fn send_connection<D: Device>(
        &mut self,
        key: usize,
        device: &mut D,
        budget: &mut usize,
    ) -> Sent {
        self.link.stats.connection_polls += 1;
        self.give_up(key);
        let now = self.link.now;
        self.tcp.connections[key].update_timeout();
        let mut deadline = None;
        let mut sent = Sent::More;
        let mut silent = false;
        for _ in 0..BURST.min(*budget + 1) {
            match self.send_packet(key, device) {
                Sent::More => *budget = budget.saturating_sub(1),
                Sent::Full => return Sent::Full,
                // A deadline may pass without a packet, but not twice in a row.
                Sent::Done if !core::mem::replace(&mut silent, true) => {}
                Sent::Done => {
                    deadline = Some(now + STALL);
                    sent = Sent::Done;
                    break;
                }
            }
            // Only now: most connections are looked at because they have something to send.
            let connection = &self.tcp.connections[key];
            deadline = connection.poll_at(self.interfaces.on(connection.path), now);
            if deadline.is_none_or(|at| at > now) {
                sent = Sent::Done;
                break;
            }
        }
        if self.settle(key, deadline) {
            sent
        } else {
            Sent::Done
        }
    }

    /// One packet, if smoltcp has one.
    fn send_packet<D: Device>(&mut self, key: usize, device: &mut D) -> Sent {
        let connection = &mut self.tcp.connections[key];
        let before = connection.before();
        let interface = self.interfaces.on(connection.path);
        let mut egress = Egress {
            device,
            link: &mut self.link,
            peer: connection.flow.remote.ip(),
            local: connection.is_local(),
            full: false,
            sender: &mut connection.sender,
        };
        let now = to_smoltcp(egress.link.now);
        let result = interface.poll_egress(now, &mut egress, &mut connection.set);
        let full = egress.full;
        let routes = &self.link.routes;
        connection.after_egress(before, |address| routes.is_own(address));
        let repeated = connection.sender.observer.take_repeated();
        if repeated > 0 {
            self.link.stats.retransmits += repeated;
            connection.after_repetition();
        }
        match result {
            _ if full => Sent::Full,
            PollResult::SocketStateChanged => Sent::More,
            PollResult::None => Sent::Done,
        }
    }

    /// Gives up an orphan that took too long to close, and a connection to ourselves whose address
    /// is gone. Of others smoltcp sees that itself.
    fn give_up(&mut self, key: usize) {
        let now = self.link.now;
        let connection = &mut self.tcp.connections[key];
        let late = matches!(connection.role, Role::Orphan(until) if until <= now);
        let lost = connection.is_local() && !self.link.routes.is_own(connection.flow.local.ip());
        if (late || lost) && connection.state() != State::Closed {
            connection.abort();
            self.link.stats.resets_sent += 1;
        }
    }

    /// Acts on what became of a connection: the one place where roles change by packets. False where
    /// it is gone.
    fn settle(&mut self, key: usize, deadline: Option<Instant>) -> bool {
        let connection = &self.tcp.connections[key];
        let (role, state) = (connection.role, connection.state());
        let finished = state == State::Closed && connection.is_finished();
        if state == State::Closed {
            self.count_end(key);
        }
        match role {
            // smoltcp goes back to listening when a reset ends the handshake.
            Role::HalfOpen(_) if state == State::Listen || finished => {
                self.tcp.remove(key);
                return false;
            }
            Role::Orphan(_) if finished => {
                self.tcp.remove(key);
                return false;
            }
            Role::Orphan(_) if state == State::TimeWait => {
                self.start_time_wait(key);
                return false;
            }
            Role::HalfOpen(listener) if is_established(state) => self.establish(key, listener),
            // The same ends may connect again, even though the stream is still held.
            _ if finished => self.tcp.forget_flow(key),
            _ => {}
        }
        let deadline = match (role, deadline) {
            (Role::Orphan(until), Some(at)) => Some(at.min(until)),
            (Role::Orphan(until), None) => Some(until),
            (_, at) => at,
        };
        self.tcp.deadlines.set(key, deadline);
        true
    }

    fn establish(&mut self, key: usize, listener: usize) {
        self.link.stats.accepted += 1;
        self.tcp.set_role(key, Role::Waiting(listener));
        let listener = &mut self.tcp.listeners[listener];
        listener.ready.push_back(key);
        listener.wakers.wake_all();
        self.tcp.connections[key].update_timeout();
    }

    fn start_time_wait(&mut self, key: usize) {
        let until = self.link.now + self.config.timeouts.time_wait;
        let limit = self.config.limits.time_wait;
        self.tcp
            .start_time_wait(key, until, limit, &mut self.link.stats);
    }

    fn count_end(&mut self, key: usize) {
        use super::connection::End;
        let connection = &mut self.tcp.connections[key];
        if connection.state() != State::Closed || connection.counted {
            return;
        }
        connection.counted = true;
        match connection.end {
            Some(End::Reset) => self.link.stats.resets_received += 1,
            Some(End::TimedOut) => self.link.stats.timeouts += 1,
            _ => {}
        }
    }
}
