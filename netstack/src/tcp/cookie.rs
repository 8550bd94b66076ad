//! SYN cookies (RFC 4987 §3.6): handshakes of which nothing is remembered.
//!
//! Where there are as many half-open connections as there may be, a SYN is still answered, with a
//! sequence number that follows from its ends and a secret. Who acknowledges that number has seen the
//! answer, so the connection is made then, whole and established. A flood of SYNs from addresses that
//! nobody has keeps nobody out, whatever its rate, and costs no memory.
//!
//! The price, paid only while it lasts: the peer's window is not scaled, there are no selective
//! acknowledgements, and a peer whose last ACK is lost and who waits for the server to speak is not
//! heard of.

use reactor::time::{Duration, Instant};
use smoltcp::phy::TxToken;
use smoltcp::wire::{TcpControl, TcpOption, TcpPacket, TcpRepr};

use super::budget::MIN_RECEIVE_BUFFER;
use super::by_hand::{BUFFER, segment, write};
use super::flow::Flow;
use super::siphash::siphash;
use crate::device::LOOPBACK_MTU;
use crate::engine::Engine;
use crate::packet::{IpHead, flags};

/// A cookie is good for one to two of these: a peer may have to repeat its last ACK.
const PERIOD: Duration = Duration::from_secs(32);
/// The segment sizes that a cookie can stand for, as it has no room to tell the peer's own: what every
/// link carries, IPv6's smallest link, and Ethernet with IPv6 and IPv4. The next smaller one is used.
const SEGMENT_SIZES: [u16; 4] = [536, 1220, 1440, 1460];

/// What makes and proves cookies.
#[derive(Debug)]
pub(crate) struct Cookies {
    secret: [u64; 2],
    /// None is good any more from here on, so that a stray ACK costs no search.
    until: Instant,
}

/// A SYN that was answered so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cookie {
    /// For the interface: its first connection has the cookie's sequence number.
    seed: u64,
    segment_size: u16,
}

impl Cookies {
    pub(crate) fn new(secret: [u64; 2]) -> Cookies {
        Cookies {
            secret,
            until: Instant::ZERO,
        }
    }

    /// The cookie for a SYN, which is proven from now on.
    fn make(&mut self, flow: &Flow, sequence: u32, segment_size: u16, now: Instant) -> Cookie {
        self.until = now + 2 * PERIOD;
        let fits = |size: &u16| *size <= segment_size;
        let index = SEGMENT_SIZES.iter().rposition(fits).unwrap_or(0);
        self.cookie(flow, sequence, period(now), index)
    }

    /// The cookie whose sequence number a peer has seen; `sequence` is that of its SYN.
    fn prove(&self, flow: &Flow, sequence: u32, seen: u32, now: Instant) -> Option<Cookie> {
        if now >= self.until {
            return None;
        }
        let latest = period(now);
        let periods = [latest, latest.wrapping_sub(1)].into_iter();
        let possible =
            periods.flat_map(|period| (0..SEGMENT_SIZES.len()).map(move |i| (period, i)));
        possible
            .map(|(period, index)| self.cookie(flow, sequence, period, index))
            .find(|cookie| initial_sequence(cookie.seed) == seen)
    }

    /// RFC 6528 §3 wants a hash of the ends whose key nobody can work out.
    fn cookie(&self, flow: &Flow, sequence: u32, period: u64, index: usize) -> Cookie {
        let [us_high, us, peer_high, peer, ports] = flow.words();
        let syn = period << 32 | u64::from(sequence);
        let words = [us_high, us, peer_high, peer, ports, syn, index as u64];
        Cookie {
            seed: siphash(self.secret, &words),
            segment_size: SEGMENT_SIZES[index],
        }
    }
}

fn period(now: Instant) -> u64 {
    now.as_nanos() / PERIOD.as_nanos() as u64
}

/// The sequence number with which smoltcp begins a connection on an interface of this seed: the number
/// that its generator (sPCG32) gives after the identification of IPv4 packets, which is not 0.
fn initial_sequence(seed: u64) -> u32 {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(0xbb2e_fcec_3c39_611d)
            .wrapping_add(0x7590_ef39);
        (state >> (29 - (state >> 61))) as u32
    };
    loop {
        let number = next();
        if (number ^ number >> 16) as u16 != 0 {
            return next();
        }
    }
}

impl Engine {
    /// Answers a SYN for `listener` and forgets it, where a connection could be made.
    pub(super) fn answer_by_cookie(
        &mut self,
        listener: usize,
        flow: &Flow,
        head: &IpHead<'_>,
        local: bool,
    ) {
        let (Some((sequence, _)), Some(granted)) =
            (head.sequence_space(), self.admit_half(listener, local))
        else {
            return;
        };
        let size = segment_size(head).unwrap_or(SEGMENT_SIZES[0]);
        let cookie = self.cookies.make(flow, sequence, size, self.link.now);
        let first = initial_sequence(cookie.seed);
        let (us, peer) = (flow.local.port(), flow.remote.port());
        let mtu = if local { LOOPBACK_MTU } else { self.link.mtu };
        let headers = if head.source.is_ipv4() { 40 } else { 60 };
        let answer = TcpRepr {
            control: TcpControl::Syn,
            // What every connection will have.
            window_len: granted.receive_buffer.min(MIN_RECEIVE_BUFFER) as u16,
            max_seg_size: Some((mtu - headers) as u16),
            ..segment(us, peer, first, sequence.wrapping_add(1))
        };
        self.tcp.forget_time_wait(flow);
        self.link.stats.syn_cookies += 1;
        self.answer(head, &answer);
    }

    /// Makes the connection whose cookie an ACK returns. `Some(None)`: it does, but there is no room
    /// for the connection; the peer will send again.
    pub(super) fn open_by_cookie<T: TxToken>(
        &mut self,
        flow: Flow,
        head: &IpHead<'_>,
        token: &mut Option<T>,
        local: bool,
    ) -> Option<Option<usize>> {
        let (next, seen) = (head.sequence_space()?.0, head.acknowledged()?);
        let (sequence, first) = (next.wrapping_sub(1), seen.wrapping_sub(1));
        let cookie = self.cookies.prove(&flow, sequence, first, self.link.now)?;
        let listener = self.tcp.listener_for(flow.local)?;
        let Some(key) = self.open_proven(listener, flow, cookie, local) else {
            return Some(None);
        };
        let (us, peer) = (flow.local.port(), flow.remote.port());
        let ack = TcpRepr {
            window_len: head.window()?,
            ..segment(peer, us, next, seen)
        };
        let syn = TcpRepr {
            control: TcpControl::Syn,
            seq_number: ack.seq_number - 1,
            max_seg_size: Some(cookie.segment_size),
            ..ack
        };
        self.deliver(key, head, &syn, None::<T>);
        // This one only opens our window, as smoltcp has not sent the answer to the SYN.
        self.deliver(key, head, &ack, token.take());
        Some(Some(key))
    }

    /// To smoltcp it is a connection that we open, whose SYN was sent.
    fn open_proven(
        &mut self,
        listener: usize,
        flow: Flow,
        cookie: Cookie,
        local: bool,
    ) -> Option<usize> {
        let mut connection = self.new_half(listener, flow, local)?;
        let interface = self.reseed(connection.path, cookie.seed);
        let socket = connection.socket_mut();
        socket
            .connect(interface.context(), flow.remote, flow.local)
            .ok()?;
        Some(self.tcp.insert(connection))
    }

    /// Gives a connection a segment that never was on the wire.
    fn deliver<T: TxToken>(
        &mut self,
        key: usize,
        head: &IpHead<'_>,
        segment: &TcpRepr<'_>,
        token: Option<T>,
    ) {
        let mut buffer = BUFFER;
        let packet = write(head.source, head.destination, segment, &mut buffer);
        self.receive_segment(key, head, flags::ACK, packet, token);
    }
}

/// The largest segment that the sender of a SYN takes.
fn segment_size(head: &IpHead<'_>) -> Option<u16> {
    let packet = TcpPacket::new_checked(head.payload).ok()?;
    let mut options = packet.options();
    while let Ok((rest, option)) = TcpOption::parse(options) {
        match option {
            TcpOption::MaxSegmentSize(size) => return Some(size),
            TcpOption::EndOfList => return None,
            _ => options = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::to_smoltcp;
    use crate::device::{Capabilities, Ingress, loopback_capabilities};
    use crate::interfaces::Path;
    use crate::link::Link;
    use crate::tcp::connection::{Connection, Options, Role};
    use crate::tcp::spares::Single;
    use crate::udp::NO_TOKEN;
    use core::net::{IpAddr, Ipv4Addr, SocketAddr};
    use smoltcp::iface::{Config, Interface};
    use smoltcp::socket::tcp::State;
    use smoltcp::wire::{HardwareAddress, IpCidr};

    const US: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn flow(port: u16) -> Flow {
        Flow {
            local: SocketAddr::new(US, 80),
            remote: SocketAddr::new(PEER, port),
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// Whether a connection opened on an interface of this seed takes an acknowledgement of `sequence`
    /// for one of its SYN.
    fn begins_with(seed: u64, sequence: u32) -> bool {
        let now = to_smoltcp(Instant::ZERO);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let capabilities = loopback_capabilities();
        let mut interface = Interface::new(config, &mut Capabilities(&capabilities), now);
        interface.update_ip_addrs(|own| own.push(IpCidr::new(US.into(), 24)).unwrap());
        let options = Options {
            receive_buffer: 64,
            send_buffer: 64,
        };
        let mut connection = Connection::new(
            flow(9),
            Path::Wire,
            Role::Stream,
            Single::new(options).unwrap(),
        );
        let (remote, local) = (flow(9).remote, flow(9).local);
        let opened = connection
            .socket_mut()
            .connect(interface.context(), remote, local);
        opened.unwrap();
        let answer = TcpRepr {
            control: TcpControl::Syn,
            ..segment(remote.port(), local.port(), 1, sequence.wrapping_add(1))
        };
        let mut link = Link::new([2; 6], 1500, 1500, capabilities.checksum, 1);
        let mut buffer = BUFFER;
        let mut device = Ingress {
            packet: Some(write(PEER, US, &answer, &mut buffer)),
            token: NO_TOKEN,
            link: &mut link,
            peer: PEER,
            sender: None,
        };
        interface.poll_ingress_single(now, &mut device, &mut connection.set);
        connection.state() == State::Established
    }

    #[test]
    fn smoltcp_begins_connections_as_foretold() {
        // A seed whose first number would be an identification of 0, which is not used.
        const SKIPS: u64 = 0x2e80;
        for seed in [SKIPS, 0, 1, 0xdead_beef, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert!(begins_with(seed, initial_sequence(seed)), "seed {seed:#x}");
            assert!(!begins_with(seed, initial_sequence(seed).wrapping_add(1)));
        }
    }

    #[test]
    fn a_cookie_is_proven_for_its_own_flow_and_time_only() {
        let mut cookies = Cookies::new([1, 2]);
        let made = cookies.make(&flow(9), 77, 1460, at(40));
        let seen = initial_sequence(made.seed);
        for seconds in [40, 63, 64, 95] {
            assert_eq!(cookies.prove(&flow(9), 77, seen, at(seconds)), Some(made));
        }
        // Its period, the second, and the one after it are over; later ones last.
        cookies.make(&flow(9), 0, 536, at(95));
        for (flow, sequence, seen, seconds) in [
            (flow(9), 77, seen, 96),
            (flow(8), 77, seen, 40),
            (flow(9), 78, seen, 40),
            (flow(9), 77, seen ^ 1, 40),
        ] {
            assert_eq!(cookies.prove(&flow, sequence, seen, at(seconds)), None);
        }
        let other = Cookies {
            secret: [1, 3],
            ..cookies
        };
        assert_eq!(other.prove(&flow(9), 77, seen, at(40)), None);
    }

    #[test]
    fn without_cookies_nothing_is_searched_for() {
        let mut cookies = Cookies::new([1, 2]);
        let seen = initial_sequence(cookies.cookie(&flow(9), 77, 0, 3).seed);
        assert_eq!(cookies.prove(&flow(9), 77, seen, at(1)), None);
        let made = cookies.make(&flow(1), 1, 1460, at(1));
        assert!(cookies.prove(&flow(9), 77, seen, at(1)).is_some());
        let last = initial_sequence(made.seed);
        assert_eq!(cookies.prove(&flow(1), 1, last, at(65)), None);
    }
}
