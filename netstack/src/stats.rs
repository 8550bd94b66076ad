//! What happened so far, in numbers.
//!
//! Every layer adds to it through the link, which all of them reach. Counters only grow; a drop
//! is said in the log once per cause, since a hostile peer must not be able to fill it.

use log::warn;

/// Why something that arrived, or was to be sent, was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropCause {
    /// What the device's driver dropped before the stack saw it: a wrong TCP or UDP checksum, or a
    /// length that cannot be ([`Hardware::dropped`](reactor::hardware::Hardware::dropped)).
    Device,
    /// A frame too short for its headers, whose lengths contradict each other, or with a wrong IPv4
    /// header checksum.
    Malformed,
    /// A frame for another Ethernet address.
    OtherHost,
    /// An Ethernet type or address family that the stack does not speak.
    UnknownProtocol,
    /// A source or destination that cannot be: a loopback address on the wire, a multicast source.
    ImpossibleAddress,
    /// An IP fragment; nothing is reassembled.
    Fragment,
    /// A packet for an address that is not ours.
    OtherAddress,
    /// A SYN, or the end of a handshake, beyond the connections that wait for a listener to accept them.
    Backlog,
    /// A SYN, or a `connect` of ours, beyond a limit on connections ([`Limits`](crate::Limits)), or
    /// without memory for it.
    ConnectionLimit,
    /// A UDP datagram to a socket whose queue was full.
    UdpQueueFull,
    /// A UDP datagram whose lengths or checksum are wrong.
    UdpMalformed,
    /// No route to the destination of a packet of ours.
    NoRoute,
    /// A neighbour did not answer, or too many packets waited for it.
    Unresolved,
    /// Too many frames of ours waited for the device, or too many packets for the loopback; or there
    /// was no memory for another.
    QueueFull,
    /// A DHCP message that is not for us or makes no sense.
    Dhcp,
    /// Neighbour discovery that fails the checks of RFC 4861 §6.1 and §7.1.
    NeighborDiscovery,
}

impl DropCause {
    /// All causes, in the order of their counters.
    pub const ALL: [DropCause; 16] = [
        DropCause::Device,
        DropCause::Malformed,
        DropCause::OtherHost,
        DropCause::UnknownProtocol,
        DropCause::ImpossibleAddress,
        DropCause::Fragment,
        DropCause::OtherAddress,
        DropCause::Backlog,
        DropCause::ConnectionLimit,
        DropCause::UdpQueueFull,
        DropCause::UdpMalformed,
        DropCause::NoRoute,
        DropCause::Unresolved,
        DropCause::QueueFull,
        DropCause::Dhcp,
        DropCause::NeighborDiscovery,
    ];

    /// The cause in `snake_case`, as metrics and logs show it.
    pub const fn name(self) -> &'static str {
        match self {
            DropCause::Device => "device",
            DropCause::Malformed => "malformed",
            DropCause::OtherHost => "other_host",
            DropCause::UnknownProtocol => "unknown_protocol",
            DropCause::ImpossibleAddress => "impossible_address",
            DropCause::Fragment => "fragment",
            DropCause::OtherAddress => "other_address",
            DropCause::Backlog => "backlog",
            DropCause::ConnectionLimit => "connection_limit",
            DropCause::UdpQueueFull => "udp_queue_full",
            DropCause::UdpMalformed => "udp_malformed",
            DropCause::NoRoute => "no_route",
            DropCause::Unresolved => "unresolved",
            DropCause::QueueFull => "queue_full",
            DropCause::Dhcp => "dhcp",
            DropCause::NeighborDiscovery => "neighbor_discovery",
        }
    }
}

/// Counters of one stack since it was made. A copy: taking it costs nothing later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Ethernet frames received, whatever became of them.
    pub frames_received: u64,
    /// Bytes of those frames.
    pub bytes_received: u64,
    /// Ethernet frames given to the device.
    pub frames_sent: u64,
    /// Bytes of those frames.
    pub bytes_sent: u64,
    /// IP packets that went through the loopback.
    pub packets_looped: u64,
    /// Turns of the Runner.
    pub turns: u64,
    /// Turns that ended with the device's transmit queue full.
    pub transmit_full: u64,
    /// Times that some connection was looked at: to take a segment, to send, for a deadline.
    pub connection_polls: u64,
    /// Deadlines of connections that fired.
    pub deadlines_fired: u64,
    /// Connections opened by peers.
    pub accepted: u64,
    /// Connections opened by the workload.
    pub connected: u64,
    /// Connections that ended by a reset from the peer.
    pub resets_received: u64,
    /// Connections that we reset: unread data at their end, linger, limits.
    pub resets_sent: u64,
    /// Connections that ended because the peer was silent.
    pub timeouts: u64,
    /// TCP segments sent again.
    pub retransmits: u64,
    /// SYNs answered without remembering them, beyond the half-open connections there may be.
    pub syn_cookies: u64,
    /// Reports, of routers, that a connection's packets are too big for a link on the way.
    pub paths_narrowed: u64,
    /// TCP segments for no connection and no listener, answered with a reset.
    pub refused: u64,
    /// TIME-WAIT connections ended before their time, at the limit or for want of memory.
    pub time_wait_recycled: u64,
    /// UDP datagrams delivered to sockets.
    pub datagrams_received: u64,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// Connections with buffers now.
    pub connections: u64,
    /// Of those, half-open ones now.
    pub half_open: u64,
    /// Connections in TIME-WAIT now.
    pub time_wait: u64,
    /// Bytes that connections take now: what [`Limits::tcp_bytes`](crate::Limits) bounds.
    pub tcp_bytes: u64,
    drops: [u64; DropCause::ALL.len()],
}

impl Stats {
    /// How much was dropped for `cause`.
    pub fn dropped(&self, cause: DropCause) -> u64 {
        self.drops[cause as usize]
    }

    /// How much was dropped in all.
    pub fn dropped_in_all(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Counts a drop; the first of each kind is logged.
    pub(crate) fn count_drop(&mut self, cause: DropCause) {
        self.set_drops(cause, self.drops[cause as usize] + 1);
    }

    /// Takes over a count that is kept elsewhere; the first of each kind is logged.
    pub(crate) fn set_drops(&mut self, cause: DropCause, count: u64) {
        let before = core::mem::replace(&mut self.drops[cause as usize], count);
        if before == 0 && count > 0 {
            warn!(
                "net: dropping cause={} (said once, counted further)",
                cause.name()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_counter() {
        let mut stats = Stats::default();
        for (times, cause) in DropCause::ALL.into_iter().enumerate() {
            for _ in 0..times {
                stats.count_drop(cause);
            }
        }
        for (times, cause) in DropCause::ALL.into_iter().enumerate() {
            assert_eq!(stats.dropped(cause), times as u64, "{}", cause.name());
        }
    }
}
