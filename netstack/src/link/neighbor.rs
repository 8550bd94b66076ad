//! Who is on the link: the cache that ARP and neighbour discovery fill.
//!
//! The link asks it for the Ethernet address of a next hop and lets packets wait in it while the
//! answer is on its way. It builds no frame and reads no clock: it says whom to ask, and when it
//! wants to be looked at again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use foldhash::quality::FixedState;
use hashbrown::HashMap;
use reactor::time::Instant;

use super::ethernet::EthernetAddress;

/// Neighbours remembered. At the limit the one confirmed longest ago is forgotten, so that a
/// sender of ARP requests from many addresses costs memory for this many.
pub(crate) const MAX_NEIGHBORS: usize = 512;
/// Neighbours asked for at one time. Packets to further unknown ones are dropped.
pub(crate) const MAX_ASKING: usize = 32;
/// Bytes of packets that wait for one neighbour: four large ones, or the SYNs of a hundred
/// connections. Beyond it the oldest are dropped, as RFC 1122 §2.3.2.2 wants the latest to be kept;
/// one may always wait, whatever its size.
const MAX_WAITING_BYTES: usize = 6 * 1024;
/// Requests before a neighbour counts as absent (RFC 4861 §10, MAX_UNICAST_SOLICIT).
const MAX_REQUESTS: u8 = 3;
/// Time between them (RFC 4861 §10, RETRANS_TIMER; RFC 1122 §2.3.2.1 allows one a second).
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer is believed without asking again (RFC 4861 §10, REACHABLE_TIME). An older
/// one is still used while a unicast request confirms it, so that traffic never pauses.
const REACHABLE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Neighbor {
    mac: Option<EthernetAddress>,
    confirmed: Instant,
    /// Requests sent since the last answer; 0 when none is open.
    requests: u8,
    request_again: Instant,
    waiting: VecDeque<Vec<u8>>,
}

/// What is known of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Send it there.
    Known(EthernetAddress),
    /// Send it there, and ask this address whether it still holds.
    Stale(EthernetAddress),
    /// Unknown, or asked for already.
    Unknown,
}

/// A question to put on the link: for this address, to its last known place or to everybody.
pub(crate) type Request = (IpAddr, Option<EthernetAddress>);

/// What became of a packet that had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It waits, and somebody has been asked. So many older ones made room for it.
    Queued(usize),
    /// It waits, and the link has to ask.
    Ask,
    /// There was no room.
    Refused,
}

/// The neighbour cache.
#[derive(Debug)]
pub(crate) struct Neighbors {
    known: HashMap<IpAddr, Neighbor, FixedState>,
    asking: Vec<IpAddr>,
    deadline: Option<Instant>,
    version: u64,
}

impl Neighbors {
    /// `seed` keys the hash, so that peers cannot choose addresses that collide.
    pub(crate) fn new(seed: u64) -> Neighbors {
        Neighbors {
            known: HashMap::with_hasher(FixedState::with_seed(seed)),
            asking: Vec::with_capacity(MAX_ASKING),
            deadline: None,
            version: 0,
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Grows when an Ethernet address is learnt, changes or is forgotten.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Until when the address of a neighbour is believed without asking again.
    pub(crate) fn fresh_until(&self, address: IpAddr) -> Instant {
        let known = self.known.get(&address);
        known.map_or(Instant::ZERO, |neighbor| neighbor.confirmed + REACHABLE)
    }

    pub(crate) fn lookup(&mut self, address: IpAddr, now: Instant) -> Lookup {
        let Some(neighbor) = self.known.get_mut(&address) else {
            return Lookup::Unknown;
        };
        let Some(mac) = neighbor.mac else {
            return Lookup::Unknown;
        };
        let fresh = now.duration_since(neighbor.confirmed) < REACHABLE;
        if fresh || neighbor.requests > 0 || self.asking.len() == MAX_ASKING {
            return Lookup::Known(mac);
        }
        self.start_asking(address, now);
        Lookup::Stale(mac)
    }

    /// Whether the neighbour has told its address, however long ago.
    pub(crate) fn is_known(&self, address: IpAddr) -> bool {
        self.known
            .get(&address)
            .is_some_and(|neighbor| neighbor.mac.is_some())
    }

    /// Notes where a neighbour is and hands back what waited for it, oldest first.
    pub(crate) fn learn(
        &mut self,
        address: IpAddr,
        mac: EthernetAddress,
        now: Instant,
    ) -> VecDeque<Vec<u8>> {
        if !self.make_room(address) {
            return VecDeque::new();
        }
        let neighbor = self.entry(address, now);
        let before = neighbor.mac.replace(mac);
        neighbor.confirmed = now;
        let waiting = core::mem::take(&mut neighbor.waiting);
        if core::mem::take(&mut neighbor.requests) > 0 {
            self.stop_asking(address);
        }
        self.version += u64::from(before != Some(mac));
        waiting
    }

    /// As [`learn`](Self::learn), but only for a neighbour that was asked for or is known: answers
    /// nobody asked for must not fill the cache (RFC 4861 §7.2.5).
    pub(crate) fn learn_answer(
        &mut self,
        address: IpAddr,
        mac: EthernetAddress,
        now: Instant,
    ) -> VecDeque<Vec<u8>> {
        if self.known.contains_key(&address) {
            self.learn(address, mac, now)
        } else {
            VecDeque::new()
        }
    }

    /// Lets a packet wait for a neighbour.
    pub(crate) fn wait(&mut self, address: IpAddr, packet: Vec<u8>, now: Instant) -> Waiting {
        let asked = self
            .known
            .get(&address)
            .is_some_and(|neighbor| neighbor.requests > 0);
        if !asked && self.asking.len() == MAX_ASKING {
            return Waiting::Refused;
        }
        if !self.make_room(address) {
            return Waiting::Refused;
        }
        let neighbor = self.entry(address, now);
        let lost = make_room_for(packet.len(), &mut neighbor.waiting);
        if neighbor.waiting.try_reserve(1).is_err() {
            return Waiting::Refused;
        }
        neighbor.waiting.push_back(packet);
        if asked {
            return Waiting::Queued(lost);
        }
        self.start_asking(address, now);
        Waiting::Ask
    }

    /// Takes the next request that is due, or gives a silent neighbour up and says how many
    /// packets were lost with it. `None`: nothing is due.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Result<Request, usize>> {
        let due = |address: &&IpAddr| self.known[*address].request_again <= now;
        let address = *self.asking.iter().find(due)?;
        let neighbor = self.known.get_mut(&address)?;
        if neighbor.requests >= MAX_REQUESTS {
            let lost = neighbor.waiting.len();
            self.known.remove(&address);
            self.version += 1;
            self.stop_asking(address);
            return Some(Err(lost));
        }
        neighbor.requests += 1;
        neighbor.request_again = now + REQUEST_INTERVAL;
        let request = (address, neighbor.mac);
        self.update_deadline();
        Some(Ok(request))
    }

    fn entry(&mut self, address: IpAddr, now: Instant) -> &mut Neighbor {
        self.known.entry(address).or_insert_with(|| Neighbor {
            mac: None,
            confirmed: now,
            requests: 0,
            request_again: now,
            waiting: VecDeque::new(),
        })
    }

    /// Forgets the neighbour confirmed longest ago where a new one would not fit. Those being
    /// asked for stay: there are few, and packets wait in them. False: there is no memory for it.
    fn make_room(&mut self, address: IpAddr) -> bool {
        if self.known.contains_key(&address) {
            return true;
        }
        if self.known.len() < MAX_NEIGHBORS {
            return self.known.try_reserve(1).is_ok();
        }
        let idle = self
            .known
            .iter()
            .filter(|(_, neighbor)| neighbor.requests == 0);
        let oldest = idle.min_by_key(|(_, neighbor)| neighbor.confirmed);
        if let Some(oldest) = oldest.map(|(address, _)| *address) {
            self.known.remove(&oldest);
            self.version += 1;
        }
        self.known.try_reserve(1).is_ok()
    }

    fn start_asking(&mut self, address: IpAddr, now: Instant) {
        if let Some(neighbor) = self.known.get_mut(&address) {
            neighbor.requests = 1;
            neighbor.request_again = now + REQUEST_INTERVAL;
            self.asking.push(address);
            self.update_deadline();
        }
    }

    fn stop_asking(&mut self, address: IpAddr) {
        self.asking.retain(|asked| *asked != address);
        self.update_deadline();
    }

    fn update_deadline(&mut self) {
        self.deadline = self
            .asking
            .iter()
            .map(|address| self.known[address].request_again)
            .min();
    }
}

/// Drops the oldest packets until `len` bytes fit, and says how many.
fn make_room_for(len: usize, waiting: &mut VecDeque<Vec<u8>>) -> usize {
    let before = waiting.len();
    let mut bytes = len + waiting.iter().map(Vec::len).sum::<usize>();
    while bytes > MAX_WAITING_BYTES
        && let Some(oldest) = waiting.pop_front()
    {
        bytes -= oldest.len();
    }
    before - waiting.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::net::Ipv4Addr;

    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);

    fn ip(index: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + index as u32))
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn packets_wait_for_the_answer_in_order_and_the_oldest_yield() {
        const QUARTER: usize = MAX_WAITING_BYTES / 4;
        let mut neighbors = Neighbors::new(1);
        let mut wait = |packet, len| neighbors.wait(ip(1), vec![packet; len], at(0));
        assert_eq!(wait(0, QUARTER), Waiting::Ask);
        for packet in 1..4 {
            assert_eq!(wait(packet, QUARTER), Waiting::Queued(0));
        }
        assert_eq!(wait(4, 1), Waiting::Queued(1));
        assert_eq!(wait(5, 2 * QUARTER), Waiting::Queued(2));
        let waited = neighbors.learn_answer(ip(1), MAC, at(0));
        let waited: Vec<_> = waited
            .iter()
            .map(|packet| (packet[0], packet.len()))
            .collect();
        assert_eq!(waited, [(3, QUARTER), (4, 1), (5, 2 * QUARTER)]);
        assert_eq!(neighbors.lookup(ip(1), at(0)), Lookup::Known(MAC));
        assert_eq!(neighbors.deadline(), None);
    }

    #[test]
    fn one_packet_may_wait_whatever_its_size() {
        let mut neighbors = Neighbors::new(1);
        let huge = || vec![0; 3 * MAX_WAITING_BYTES];
        assert_eq!(neighbors.wait(ip(1), huge(), at(0)), Waiting::Ask);
        assert_eq!(neighbors.wait(ip(1), huge(), at(0)), Waiting::Queued(1));
        assert_eq!(neighbors.learn_answer(ip(1), MAC, at(0)), [huge()]);
    }

    #[test]
    fn a_silent_neighbor_is_asked_three_times_and_given_up() {
        let mut neighbors = Neighbors::new(1);
        neighbors.wait(ip(1), vec![0], at(0));
        assert_eq!(neighbors.tick(at(0)), None);
        assert_eq!(neighbors.tick(at(1)), Some(Ok((ip(1), None))));
        assert_eq!(neighbors.tick(at(1)), None);
        assert_eq!(neighbors.tick(at(2)), Some(Ok((ip(1), None))));
        assert_eq!(neighbors.tick(at(3)), Some(Err(1)));
        assert_eq!((neighbors.tick(at(4)), neighbors.deadline()), (None, None));
    }

    #[test]
    fn an_old_answer_is_used_while_it_is_confirmed() {
        let mut neighbors = Neighbors::new(1);
        neighbors.learn(ip(1), MAC, at(0));
        assert_eq!(neighbors.lookup(ip(1), at(29)), Lookup::Known(MAC));
        assert_eq!(neighbors.lookup(ip(1), at(30)), Lookup::Stale(MAC));
        assert_eq!(neighbors.lookup(ip(1), at(30)), Lookup::Known(MAC));
        assert_eq!(neighbors.tick(at(31)), Some(Ok((ip(1), Some(MAC)))));
        neighbors.learn_answer(ip(1), MAC, at(31));
        assert_eq!(neighbors.lookup(ip(1), at(60)), Lookup::Known(MAC));
    }

    #[test]
    fn an_answer_nobody_asked_for_is_not_kept() {
        let mut neighbors = Neighbors::new(1);
        neighbors.learn_answer(ip(1), MAC, at(0));
        assert!(!neighbors.is_known(ip(1)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "fills the cache four times: minutes under Miri")]
    fn floods_are_bounded() {
        let mut neighbors = Neighbors::new(1);
        for index in 0..4 * MAX_NEIGHBORS {
            neighbors.learn(ip(index), MAC, at(index as u64));
        }
        assert_eq!(neighbors.known.len(), MAX_NEIGHBORS);
        assert!(neighbors.is_known(ip(4 * MAX_NEIGHBORS - 1)));
        for index in 0..MAX_ASKING {
            assert_eq!(
                neighbors.wait(ip(100_000 + index), vec![0], at(0)),
                Waiting::Ask
            );
        }
        assert_eq!(
            neighbors.wait(ip(200_000), vec![0], at(0)),
            Waiting::Refused
        );
        assert!(neighbors.known.len() <= MAX_NEIGHBORS);
    }
}
