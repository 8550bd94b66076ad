//! One connection: a smoltcp socket in a set of its own, and what we know beside it.
//!
//! The table owns all of them; the engine feeds them packets and asks them to send. A connection
//! never looks at another one.

use core::net::IpAddr;
use core::time::Duration;
use reactor::time::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, State};

use super::flow::Flow;
use super::observer::Sender;
use super::spares::Single;
use crate::convert::{from_smoltcp, to_smoltcp, to_smoltcp_duration};
use crate::interfaces::Path;
use reactor::sync::Wakers;

/// Probes that may stay unanswered before a kept-alive connection counts as dead.
const KEEP_ALIVE_PROBES: u32 = 4;

/// Who holds a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A SYN came for this listener; the handshake is not over.
    HalfOpen(usize),
    /// Established, in the queue of this listener.
    Waiting(usize),
    /// A stream of the workload.
    Stream,
    /// Nobody any more: it closes, or is reset after this time without progress.
    Orphan(Instant),
}

/// How a connection came to its end, where it did not just close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A reset answered our SYN.
    Refused,
    /// The peer reset it.
    Reset,
    /// The peer was silent for too long.
    TimedOut,
    /// Our address went away, or we gave it up.
    Aborted,
}

/// What each stream may set, and each listener for its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) receive_buffer: usize,
    pub(crate) send_buffer: usize,
}

impl Options {
    /// Of both buffers.
    pub(crate) fn bytes(self) -> usize {
        self.receive_buffer.saturating_add(self.send_buffer)
    }
}

/// What tasks wait for, as it was before a packet or a deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) state: State,
    received: usize,
    unsent: usize,
}

impl Before {
    /// The handshake was over.
    pub(crate) fn is_established(&self) -> bool {
        is_established(self.state)
    }

    fn of(socket: &Socket<'_>) -> Before {
        Before {
            state: socket.state(),
            received: socket.recv_queue(),
            unsent: socket.send_queue(),
        }
    }
}

/// One TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    pub(crate) flow: Flow,
    pub(crate) path: Path,
    pub(crate) role: Role,
    pub(crate) end: Option<End>,
    /// In the table's queue of connections to look at.
    pub(crate) queued: bool,
    pub(crate) sender: Sender,
    /// Tasks that wait for data or the end, and for room.
    pub(crate) readers: Wakers,
    pub(crate) writers: Wakers,
    /// Its end is in the statistics.
    pub(crate) counted: bool,
    /// The sequence number after the peer's FIN.
    pub(crate) peer_next: u32,
    unacknowledged: Duration,
    keep_alive: Option<Duration>,
    /// When the last segment came.
    heard: Instant,
    /// Silence from before a timeout was wanted, which must not count for it.
    forgiven: Duration,
    /// smoltcp's timeout while nothing is outstanding, and while something is: the sum of the above.
    limits: [Option<smoltcp::time::Duration>; 2],
}

impl Connection {
    /// With a socket that is new, or was another connection's and is as that one left it.
    #[inline]
    pub(super) fn new(flow: Flow, path: Path, role: Role, socket: Single) -> Connection {
        let Single {
            mut set, handle, ..
        } = socket;
        let socket = set.get_mut::<Socket<'_>>(handle);
        socket.set_keep_alive(None);
        // None before the first repetition: a new socket of smoltcp's would begin with Reno.
        socket.set_congestion_control(CongestionControl::None);
        // Each turn of the Runner sends what was written since the last one, so small writes join
        // without Nagle's algorithm, whose waiting meets the peer's delayed ACK.
        socket.set_nagle_enabled(false);
        Connection {
            set,
            handle,
            flow,
            path,
            role,
            end: None,
            queued: false,
            sender: Sender::default(),
            readers: Wakers::default(),
            writers: Wakers::default(),
            counted: false,
            peer_next: 0,
            unacknowledged: Duration::MAX,
            keep_alive: None,
            heard: Instant::ZERO,
            forgiven: Duration::ZERO,
            limits: [None; 2],
        }
    }

    /// Its socket, for another connection.
    pub(super) fn into_socket(self) -> Single {
        Single::of(self.set, self.handle)
    }

    /// Both ends are ours.
    pub(crate) fn is_local(&self) -> bool {
        self.path == Path::Local
    }

    pub(crate) fn socket(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Of both buffers.
    pub(crate) fn bytes(&self) -> usize {
        self.socket().recv_capacity() + self.socket().send_capacity()
    }

    pub(crate) fn state(&self) -> State {
        self.socket().state()
    }

    pub(crate) fn before(&self) -> Before {
        Before::of(self.socket())
    }

    /// Wakes who waits for what changed, and says what it is now. Writers wait for a quarter of the
    /// buffer, so that a bulk sender does not run for each acknowledgement.
    fn wake_since(&mut self, before: Before) -> State {
        let socket = self.socket();
        let (now, capacity) = (Before::of(socket), socket.send_capacity());
        let changed = now.state != before.state;
        if changed || now.received > before.received {
            self.readers.wake_all();
        }
        let roomy = now.unsent < before.unsent && (capacity - now.unsent) * 4 >= capacity;
        if changed || roomy {
            self.writers.wake_all();
        }
        now.state
    }

    /// Whether a sequence number was sent and is not acknowledged.
    pub(crate) fn is_on_its_way(&self, sequence: u32) -> bool {
        // What is not sent yet counts, too: smoltcp does not say how much of the buffer is.
        self.sender
            .observer
            .is_within(sequence, self.socket().send_queue())
    }

    /// Whether the peer took something since, be it our FIN.
    pub(crate) fn progressed_since(&self, before: Before) -> bool {
        self.state() != before.state || self.socket().send_queue() < before.unsent
    }

    /// Closed, with nothing left to send: smoltcp forgets the peer when its last reset is out.
    pub(crate) fn is_finished(&self) -> bool {
        self.state() == State::Closed && self.socket().remote_endpoint().is_none()
    }

    /// Finished, and nobody is about to look at it.
    pub(crate) fn is_over(&self) -> bool {
        !self.queued && self.is_finished()
    }

    /// The handshake is over, whatever happened since.
    pub(crate) fn is_established(&self) -> bool {
        is_established(self.state())
    }

    /// When smoltcp wants to be polled; now or earlier: at once.
    pub(crate) fn poll_at(&self, interface: &mut Interface, now: Instant) -> Option<Instant> {
        interface
            .poll_at(to_smoltcp(now), &self.set)
            .map(from_smoltcp)
    }

    /// Ends our sending side; what was written before still goes out.
    pub(crate) fn close(&mut self, now: Instant) {
        self.forgive(now.duration_since(self.heard));
        self.socket_mut().close();
    }

    /// Notes that a segment came, and whether it ended the connection; answers the state since.
    pub(crate) fn after_segment(&mut self, before: Before, reset: bool, now: Instant) -> State {
        self.heard = now;
        if !self.forgiven.is_zero() {
            self.forgive(Duration::ZERO);
        }
        let state = self.wake_since(before);
        let was_open = before.state != State::Closed;
        if was_open && reset && state == State::Closed {
            let refused = before.state == State::SynSent;
            self.end = Some(if refused { End::Refused } else { End::Reset });
        }
        state
    }

    /// Notes how sending, or the passing of time, ended the connection.
    pub(crate) fn after_egress(&mut self, before: Before, is_ours: impl Fn(IpAddr) -> bool) {
        let state = self.wake_since(before);
        let was_open = !matches!(before.state, State::Closed | State::TimeWait);
        if was_open && state == State::Closed {
            self.end = Some(if is_ours(self.flow.local.ip()) {
                End::TimedOut
            } else {
                End::Aborted
            });
        }
    }

    /// Gives the connection up; the peer is told by a reset.
    pub(crate) fn abort(&mut self) {
        let before = self.before();
        self.end.get_or_insert(End::Aborted);
        self.socket_mut().abort();
        self.wake_since(before);
    }

    /// Starts congestion control at the first repetition. Before, the send buffer and the peer's
    /// window bound the burst: with the default buffer that is the initial window of RFC 6928,
    /// where smoltcp's Reno would begin with two small segments. Local peers lose nothing.
    pub(crate) fn after_repetition(&mut self) {
        let socket = self.socket_mut();
        if socket.congestion_control() == CongestionControl::None {
            socket.set_congestion_control(CongestionControl::Reno);
        }
    }

    /// Gives the connection up unless the peer is heard within `limit`, for the handshake.
    pub(crate) fn set_handshake_timeout(&mut self, limit: Duration) {
        self.socket_mut()
            .set_timeout(Some(to_smoltcp_duration(limit)));
    }

    /// Data or a FIN of ours is not acknowledged yet.
    pub(crate) fn is_outstanding(&self) -> bool {
        is_outstanding(self.socket())
    }

    /// When a dropped connection is given up unless there is progress: as late as others while it
    /// still delivers; sooner when it only waits for the peer to close.
    pub(crate) fn give_up_at(&self, now: Instant, linger: Duration) -> Instant {
        if self.is_outstanding() {
            now + linger.max(self.unacknowledged)
        } else {
            now + linger
        }
    }

    pub(crate) fn set_unacknowledged_timeout(&mut self, limit: Duration) {
        self.unacknowledged = limit;
        self.update_limits();
    }

    /// How long the peer may be silent while it owes an answer to data, or to the SYN of a connection that is being
    /// made.
    pub(crate) fn set_user_timeout(&mut self, limit: Duration) {
        self.set_unacknowledged_timeout(limit);
        if self.state() == State::SynSent {
            self.set_handshake_timeout(limit);
        }
    }

    pub(crate) fn set_keep_alive(&mut self, interval: Option<Duration>, now: Instant) {
        self.keep_alive = interval;
        self.forgive(now.duration_since(self.heard));
        let interval = interval.map(to_smoltcp_duration);
        self.socket_mut().set_keep_alive(interval);
    }

    /// smoltcp's timeout ends a connection that is merely idle, too, so it is on only while
    /// something is unacknowledged or the connection is kept alive by probes.
    pub(crate) fn update_timeout(&mut self) {
        let limits = self.limits;
        let socket = self.socket_mut();
        if is_established(socket.state()) {
            socket.set_timeout(limits[usize::from(is_outstanding(socket))]);
        }
    }

    fn forgive(&mut self, silence: Duration) {
        self.forgiven = silence;
        self.update_limits();
    }

    fn update_limits(&mut self) {
        let probes = self
            .keep_alive
            .map(|interval| interval * (KEEP_ALIVE_PROBES + 1));
        let unacknowledged = probes.map_or(self.unacknowledged, |probes| {
            probes.max(self.unacknowledged)
        });
        self.limits = [probes, Some(unacknowledged)].map(|limit| {
            limit.map(|limit| to_smoltcp_duration(limit.saturating_add(self.forgiven)))
        });
    }
}

/// The handshake is over in this state.
pub(super) fn is_established(state: State) -> bool {
    !matches!(
        state,
        State::Closed | State::Listen | State::SynSent | State::SynReceived
    )
}

fn is_outstanding(socket: &Socket<'_>) -> bool {
    socket.send_queue() > 0
        || matches!(
            socket.state(),
            State::FinWait1 | State::Closing | State::LastAck
        )
}
