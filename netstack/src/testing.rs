//! A wire between two devices, for tests of whole stacks on the host.
//!
//! It loses, repeats, delays and reorders frames as told, decided by a seed, in the virtual time
//! of the reactor it runs on: the same test gives the same numbers every run. Its ends wake their
//! Runner as a network card's interrupt would. Tests can also put frames on it and read what an
//! end sent, to play a peer that no stack would be.
//!
//! ```
//! use netstack::testing::{Conditions, Wire, random};
//! use reactor::{Reactor, testing::VirtualClock, time::Duration};
//!
//! let reactor = Reactor::new(VirtualClock::new());
//! let bad = Conditions { loss: 20, delay: Duration::from_millis(5), ..Conditions::default() };
//! let (wire, one, _other) = Wire::new(&reactor.clock(), 42, bad);
//! let config = netstack::Config::new([2, 0, 0, 0, 0, 1]);
//! let (_stack, runner) = netstack::new(one, config, reactor.clock(), random(1)).unwrap();
//! reactor.spawner().spawn(runner.run()).detach();
//! wire.record();
//! reactor.block_on(reactor.clock().sleep(Duration::from_secs(1)));
//! assert!(!wire.sent(0).is_empty(), "it looks for a DHCP server");
//! ```

mod segmentation;

use core::num::NonZeroU16;
use reactor::Clock;
use reactor::hardware::Hardware;
use reactor::time::{Duration, Instant};
use reactor::timers::Sleep;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

pub use segmentation::Segmentation;

/// What the wire does to frames, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Frames lost, in thousandths.
    pub loss: u32,
    /// Frames delivered twice, in thousandths.
    pub duplication: u32,
    /// Frames that take up to ten times `delay` (at least ten milliseconds), and so are overtaken,
    /// in thousandths.
    pub reordering: u32,
    /// How long every frame takes.
    pub delay: Duration,
    /// What the devices at both ends do for TCP over IPv4. For good: stacks ask once.
    pub segmentation: Segmentation,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// Frames put on the wire.
    pub sent: u64,
    /// Frames that the wire lost, also for being down.
    pub lost: u64,
    /// Frames taken by the other end.
    pub delivered: u64,
    /// Packets of several segments that a stack handed to the device.
    pub large: u64,
}

/// Frames one direction holds; a sender beyond it is told that its queue is full.
const ROOM: usize = 1024;
/// Frames kept for [`Wire::sent`].
const MAX_RECORD: usize = 4096;
const MTU: usize = 1514;
/// Refusals in a row at one moment, beyond which a stack polls a full queue instead of waiting for
/// it. Virtual time would stand still for ever; a panic tells why.
const MAX_REFUSALS: u32 = 1000;

/// A seeded generator of numbers: good enough for tests, not for a network.
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The wire: what tests hold to change it and to look at it.
#[derive(Clone)]
pub struct Wire {
    shared: Rc<RefCell<Shared>>,
    clock: Clock,
}

struct Shared {
    conditions: Conditions,
    random: Box<dyn FnMut() -> u64>,
    up: bool,
    record: bool,
    order: u64,
    ends: [End; 2],
}

#[derive(Default)]
struct End {
    /// On their way to this end, by arrival and order.
    incoming: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
    /// It was refused, and wants to know of room.
    refused: bool,
    /// When it was refused last, and how often in a row at that moment.
    refusals: (Instant, u32),
    room: usize,
    mtu: usize,
    dropped: u64,
    stats: WireStats,
}

impl Wire {
    /// A wire and its two ends.
    pub fn new(clock: &Clock, seed: u64, conditions: Conditions) -> (Wire, WireEnd, WireEnd) {
        let end = || End {
            room: ROOM,
            mtu: MTU,
            ..End::default()
        };
        let shared = Rc::new(RefCell::new(Shared {
            conditions,
            random: Box::new(random(seed)),
            up: true,
            record: false,
            order: 0,
            ends: [end(), end()],
        }));
        let wire = Wire {
            shared,
            clock: clock.clone(),
        };
        let end = |index| WireEnd {
            wire: wire.clone(),
            index,
            alarm: Box::pin(clock.sleep_until(Instant::ZERO)),
        };
        let ends = (end(0), end(1));
        (wire, ends.0, ends.1)
    }

    /// Changes what happens to frames from now on.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.shared.borrow_mut().conditions = conditions;
    }

    /// Pulls the cable out, or puts it back; both ends notice.
    pub fn set_up(&self, up: bool) {
        let mut shared = self.shared.borrow_mut();
        shared.up = up;
        shared.ends.iter_mut().for_each(End::wake);
    }

    /// How many frames an end may have on the wire; 0 makes its transmit queue full.
    pub fn set_room(&self, end: usize, room: usize) {
        let mut shared = self.shared.borrow_mut();
        shared.ends[end].room = room;
        shared.ends[end].wake();
    }

    /// The size of the frames that an end can send; to be set before a stack is made on it.
    pub fn set_mtu(&self, end: usize, bytes: usize) {
        self.shared.borrow_mut().ends[end].mtu = bytes;
    }

    /// How many frames an end's driver has dropped by itself so far.
    pub fn set_dropped(&self, end: usize, frames: u64) {
        let mut shared = self.shared.borrow_mut();
        shared.ends[end].dropped = frames;
        shared.ends[end].wake();
    }

    /// Lets an end receive a frame now, whatever the conditions.
    pub fn inject(&self, end: usize, frame: Vec<u8>) {
        let now = self.clock.now();
        self.shared.borrow_mut().deliver(end, now, frame);
    }

    /// Keeps what the ends send from now on.
    pub fn record(&self) {
        self.shared.borrow_mut().record = true;
    }

    /// Takes the frames that an end sent since the last call, oldest first.
    pub fn sent(&self, end: usize) -> Vec<Vec<u8>> {
        self.shared.borrow_mut().ends[end].sent.drain(..).collect()
    }

    /// What an end sent so far, and what became of it.
    pub fn stats(&self, end: usize) -> WireStats {
        self.shared.borrow().ends[end].stats
    }
}

impl Shared {
    fn chance(&mut self, thousandths: u32) -> bool {
        (self.random)() % 1000 < u64::from(thousandths)
    }

    fn send(&mut self, from: usize, frame: Vec<u8>, now: Instant) {
        self.ends[from].stats.sent += 1;
        if self.record && self.ends[from].sent.len() < MAX_RECORD {
            self.ends[from].sent.push_back(frame.clone());
        }
        let conditions = self.conditions;
        if !self.up || self.chance(conditions.loss) {
            self.ends[from].stats.lost += 1;
            return;
        }
        let copies = 1 + usize::from(self.chance(conditions.duplication));
        for _ in 0..copies {
            let mut delay = conditions.delay;
            if self.chance(conditions.reordering) {
                let longest = (delay * 10).max(Duration::from_millis(10)).as_nanos() as u64;
                delay += Duration::from_nanos((self.random)() % longest);
            }
            self.deliver(1 - from, now + delay, frame.clone());
        }
    }

    fn deliver(&mut self, to: usize, at: Instant, frame: Vec<u8>) {
        self.order += 1;
        let order = self.order;
        self.ends[to].incoming.insert((at, order), frame);
        self.ends[to].wake();
    }

    fn has_room(&self, end: usize) -> bool {
        self.ends[1 - end].incoming.len() < self.ends[end].room
    }
}

impl End {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// One end of a [`Wire`]: an Ethernet device.
pub struct WireEnd {
    wire: Wire,
    index: usize,
    alarm: Pin<Box<Sleep>>,
}

impl Hardware for WireEnd {
    fn flush(&mut self) {}

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.wire.clock.now();
        let mut shared = self.wire.shared.borrow_mut();
        let room = shared.has_room(self.index);
        let end = &mut shared.ends[self.index];
        let next = end.incoming.keys().next().map(|(at, _)| *at);
        if next.is_some_and(|at| at <= now) || (room && core::mem::take(&mut end.refused)) {
            return Poll::Ready(());
        }
        end.waker = Some(cx.waker().clone());
        match next {
            Some(at) => {
                self.alarm.as_mut().reset(at);
                self.alarm.as_mut().poll(cx)
            }
            None => Poll::Pending,
        }
    }

    fn is_up(&self) -> bool {
        self.wire.shared.borrow().up
    }

    fn dropped(&self) -> u64 {
        self.wire.shared.borrow().ends[self.index].dropped
    }
}

impl Device for WireEnd {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let now = self.wire.clock.now();
        let mut shared = self.wire.shared.borrow_mut();
        let end = &mut shared.ends[self.index];
        let first = end
            .incoming
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let frame = first.remove();
        let sender = &mut shared.ends[1 - self.index];
        sender.stats.delivered += 1;
        if sender.refused {
            sender.wake();
        }
        drop(shared);
        Some((Received(frame), Sending::new(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        let mut shared = self.wire.shared.borrow_mut();
        let room = shared.has_room(self.index);
        let end = &mut shared.ends[self.index];
        end.refused = !room;
        let now = self.wire.clock.now();
        end.refusals = match end.refusals {
            _ if room => (now, 0),
            (at, times) if at == now => (at, times + 1),
            _ => (now, 1),
        };
        assert!(
            end.refusals.1 <= MAX_REFUSALS,
            "a full transmit queue is polled"
        );
        drop(shared);
        room.then(|| Sending::new(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        let shared = self.wire.shared.borrow();
        capabilities.max_transmission_unit = shared.ends[self.index].mtu;
        if shared.conditions.segmentation != Segmentation::Stack {
            capabilities.checksum.tcp = Checksum::Rx;
            capabilities.segmentation.tcpv4 = Some(segmentation::LARGEST);
        }
        capabilities
    }
}

/// A frame that came through the wire.
pub struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Room for a frame on the wire.
pub struct Sending<'e> {
    end: &'e mut WireEnd,
    segment: Option<NonZeroU16>,
}

impl<'e> Sending<'e> {
    fn new(end: &'e mut WireEnd) -> Sending<'e> {
        Sending { end, segment: None }
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        assert!(
            len <= MTU || self.segment.is_some() && len <= segmentation::LARGEST.get(),
            "a frame of {len} bytes is larger than the wire's MTU"
        );
        let mut frame = std::vec![0; len];
        let result = f(&mut frame);
        let Sending { end, segment } = self;
        let now = end.wire.clock.now();
        let mut shared = end.wire.shared.borrow_mut();
        let how = shared.conditions.segmentation;
        shared.ends[end.index].stats.large += u64::from(segment.is_some());
        if how != Segmentation::Stack && segmentation::is_tcp(&frame) {
            segmentation::complete(&mut frame);
        }
        match segment {
            Some(size) if how == Segmentation::Device => {
                for cut in segmentation::cut(&frame, size) {
                    shared.send(end.index, cut, now);
                }
            }
            _ => shared.send(end.index, frame, now),
        }
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}
