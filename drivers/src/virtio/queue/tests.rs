//! The virtqueue against the device's side of it: an honest one, and every lie it could tell.
#![allow(
    unsafe_code,
    reason = "the device's side of a queue is made from addresses"
)]

use std::collections::{BTreeMap, VecDeque};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::testing::{DeviceQueue, QueueRegisters, Request};
use crate::virtio::Buffer;

fn device_side(queue: &Queue, event_idx: bool) -> DeviceQueue {
    let registers = QueueRegisters {
        size: queue.size().into(),
        ready: true,
        addresses: queue.addresses(),
    };
    // SAFETY: the queue is this crate's, and each test drops its device's side with it.
    unsafe { DeviceQueue::new(registers, event_idx) }
}

fn pair(size: u16, event_idx: bool, indirect: bool) -> (Queue, DeviceQueue) {
    let queue = Queue::new(0, size, event_idx, indirect).unwrap();
    let device = device_side(&queue, event_idx);
    (queue, device)
}

fn read(bytes: &[u8]) -> Segment {
    Segment::ToDevice(Buffer::from(bytes.to_vec()), bytes.len() as u32)
}

fn write(len: usize) -> Segment {
    Segment::FromDevice(Buffer::zeroed(len).unwrap())
}

fn submit(queue: &mut Queue, segments: Vec<Segment>) -> Option<Token> {
    queue.submit(segments.into_iter()).ok()
}

/// A used element and its buffers.
type Popped = (Used, Vec<Vec<u8>>);

fn pop(queue: &mut Queue) -> Result<Option<Popped>, Fault> {
    let mut buffers = Vec::new();
    let used = queue.pop(|buffer| buffers.push(buffer.into_vec()))?;
    Ok(used.map(|used| (used, buffers)))
}

#[test]
fn carries_bytes_both_ways() {
    for indirect in [false, true] {
        let (mut queue, mut device) = pair(4, true, indirect);
        let token = submit(
            &mut queue,
            vec![read(b"ask"), read(b"ed"), write(4), write(2)],
        )
        .unwrap();
        let request = device.pop().unwrap();
        assert_eq!(
            (request.read(), request.indirect),
            (b"asked".to_vec(), indirect)
        );
        assert_eq!(request.capacity(), 6);
        assert_eq!(request.write(b"reply"), 5);
        device.push(request.head, 5);
        let (used, buffers) = pop(&mut queue).unwrap().unwrap();
        assert_eq!(used, Used { token, written: 5 });
        assert_eq!(buffers, [&b"ask"[..], b"ed", b"repl", b"y\0"]);
        assert_eq!(pop(&mut queue).unwrap(), None);
        assert_eq!(queue.outstanding(), 0);
    }
}

#[test]
fn lends_only_the_leading_part_that_was_asked_for() {
    let (mut queue, mut device) = pair(2, false, false);
    let buffer = Buffer::from(b"seen, unseen".to_vec());
    submit(&mut queue, vec![Segment::ToDevice(buffer, 4)]).unwrap();
    assert_eq!(device.pop().unwrap().read(), b"seen");
    let buffer = Buffer::from(b"short".to_vec());
    submit(&mut queue, vec![Segment::ToDevice(buffer, 100)]).unwrap();
    assert_eq!(
        device.pop().unwrap().read(),
        b"short",
        "never beyond the buffer"
    );
}

#[test]
fn hands_back_what_does_not_fit() {
    let (mut queue, _device) = pair(4, true, false);
    submit(&mut queue, vec![write(1), write(1), write(1)]).unwrap();
    assert!(queue.has_room(1) && !queue.has_room(2));
    let left = queue
        .submit(vec![write(1), write(1)].into_iter())
        .unwrap_err();
    assert_eq!(left.len(), 2);
    assert!(
        queue.submit(Vec::new().into_iter()).is_err(),
        "an empty request is none"
    );
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(!queue.has_room(1));
}

#[test]
fn indirect_requests_take_one_entry_each() {
    let (mut queue, mut device) = pair(2, true, true);
    assert_eq!(queue.max_segments(), 8);
    assert!(!queue.has_room(9));
    submit(&mut queue, (0..8).map(|_| write(1)).collect()).unwrap();
    submit(&mut queue, (0..8).map(|_| write(1)).collect()).unwrap();
    assert!(!queue.has_room(1));
    for _ in 0..2 {
        let request = device.pop().unwrap();
        device.push(request.head, 8);
        assert_eq!(pop(&mut queue).unwrap().unwrap().1.len(), 8);
    }
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(
        !device.pop().unwrap().indirect,
        "a table for one descriptor would be waste"
    );
}

/// Over 2^16 requests every index wraps, the ring many times over.
#[test]
fn indices_wrap() {
    let rounds = if cfg!(miri) { 50 } else { 70_000 };
    for event_idx in [false, true] {
        let (mut queue, mut device) = pair(2, event_idx, false);
        let mut notifications = 0;
        for round in 0..rounds {
            let token = submit(&mut queue, vec![write(4)]).unwrap();
            notifications += u32::from(queue.needs_notification());
            let request = device.pop().unwrap();
            assert_eq!(device.pop(), None, "which arms the next notification");
            request.write(&u32::to_le_bytes(round));
            assert!(!queue.enable_interrupts());
            device.push(request.head, 4);
            assert!(device.needs_interrupt());
            let (used, buffers) = pop(&mut queue).unwrap().unwrap();
            assert_eq!(used, Used { token, written: 4 });
            assert_eq!(buffers, [round.to_le_bytes()]);
        }
        assert_eq!(notifications, rounds);
    }
}

#[test]
fn notifies_once_for_a_batch_and_only_when_asked() {
    let (mut queue, mut device) = pair(8, true, false);
    assert!(!queue.needs_notification(), "nothing was submitted");
    submit(&mut queue, vec![write(1)]).unwrap();
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(queue.needs_notification());
    assert!(!queue.needs_notification(), "nothing new");
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(
        !queue.needs_notification(),
        "the device is still busy: it did not ask again"
    );
    while device.pop().is_some() {}
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(queue.needs_notification());

    let (mut queue, device) = pair(8, false, false);
    let mut device = device;
    device.refuse_notifications();
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(!queue.needs_notification());
    device.ask_for_notification();
    submit(&mut queue, vec![write(1)]).unwrap();
    assert!(queue.needs_notification());
}

#[test]
fn interrupts_come_when_asked_for() {
    for event_idx in [false, true] {
        let (mut queue, mut device) = pair(8, event_idx, false);
        for _ in 0..6 {
            submit(&mut queue, vec![write(1)]).unwrap();
        }
        let finish = |device: &mut DeviceQueue| {
            let head = device.pop().unwrap().head;
            device.push(head, 0);
            device.needs_interrupt()
        };
        queue.disable_interrupts();
        assert!(!finish(&mut device));
        assert!(queue.enable_interrupts(), "the one that came meanwhile");
        pop(&mut queue).unwrap();
        assert!(!queue.enable_interrupts());
        assert!(finish(&mut device));
        pop(&mut queue).unwrap();
        if event_idx {
            assert!(!finish(&mut device), "one interrupt until asked again");
            pop(&mut queue).unwrap();
            assert!(!queue.enable_interrupts_after(1));
            assert!(!finish(&mut device));
            assert!(
                !queue.enable_interrupts_after(1),
                "one is not more than one"
            );
            pop(&mut queue).unwrap();
            queue.enable_interrupts_after(0);
            assert!(finish(&mut device));
        }
    }
}

/// Every lie is a fault, stays one, and leaves the buffers with the device.
#[test]
fn faults_are_final() {
    type Lie = fn(&mut DeviceQueue, Request);
    let lies: [(Lie, Fault); 6] = [
        (|device, _| device.push_raw(77, 0), Fault::UsedId),
        (|device, _| device.push_raw(u32::MAX, 0), Fault::UsedId),
        (
            |device, request| device.push_raw(u32::from(request.head) + 1, 0),
            Fault::UsedId,
        ),
        (
            |device, request| device.push(request.head, 9),
            Fault::UsedLength,
        ),
        (|device, _| device.publish(2), Fault::UsedIndex),
        (|device, _| device.publish(u16::MAX), Fault::UsedIndex),
    ];
    for (lie, fault) in lies {
        let (mut queue, mut device) = pair(4, true, false);
        submit(&mut queue, vec![write(8)]).unwrap();
        let request = device.pop().unwrap();
        lie(&mut device, request.clone());
        assert_eq!(pop(&mut queue), Err(fault));
        device.publish(1);
        assert_eq!(pop(&mut queue), Err(fault));
        assert_eq!((queue.fault(), queue.outstanding()), (Some(fault), 1));
        assert!(!queue.has_used() && !queue.has_room(1) && !queue.needs_notification());
        request.write(b"a write "); // Miri: the memory is still there
    }
}

#[test]
fn a_request_cannot_be_used_twice() {
    let (mut queue, mut device) = pair(4, true, false);
    submit(&mut queue, vec![write(1), write(1)]).unwrap();
    submit(&mut queue, vec![write(1)]).unwrap();
    let first = device.pop().unwrap();
    device.push(first.head, 2);
    device.push(first.head, 2);
    assert!(pop(&mut queue).unwrap().is_some());
    assert_eq!(pop(&mut queue), Err(Fault::UsedId));
}

/// A middle descriptor of a chain is no request, though it is in use.
#[test]
fn only_heads_name_requests() {
    let (mut queue, mut device) = pair(4, true, false);
    submit(&mut queue, vec![write(1), write(1)]).unwrap();
    device.push_raw(1, 0);
    assert_eq!(pop(&mut queue), Err(Fault::UsedId));
}

#[derive(Clone, Debug)]
enum Step {
    Submit(Vec<(bool, u8)>),
    Take,
    Finish(prop::sample::Index, u8),
    Lie(u32, u32),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    let segment = (any::<bool>(), 1..20_u8);
    prop_oneof![
        4 => prop::collection::vec(segment, 1..5).prop_map(Step::Submit),
        3 => Just(Step::Take),
        3 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, n)| Step::Finish(i, n)),
        1 => (0..20_u32, 0..100_u32).prop_map(|(id, len)| Step::Lie(id, len)),
        6 => Just(Step::Pop),
    ]
}

/// What the driver must know about its requests, kept apart from the queue.
#[derive(Default)]
struct Model {
    /// Lengths of the segments of each request that the driver has lent, and what may be written.
    outstanding: BTreeMap<Token, (Vec<usize>, u32)>,
    /// The used ring, in order: what each element must give, or that it is a lie.
    used: VecDeque<Option<Used>>,
    failed: bool,
}

impl Model {
    fn submit(&mut self, queue: &mut Queue, mut shape: Vec<(bool, u8)>) {
        shape.sort_unstable(); // what the device reads comes first
        let segment = |&(writable, len): &(bool, u8)| {
            if writable {
                write(len.into())
            } else {
                read(&vec![len; len.into()])
            }
        };
        let room = queue.has_room(shape.len());
        let token = submit(queue, shape.iter().map(segment).collect());
        assert_eq!(
            token.is_some(),
            room,
            "`has_room` tells whether `submit` succeeds"
        );
        let Some(token) = token else { return };
        let lengths = shape.iter().map(|&(_, len)| len.into()).collect();
        let writable = shape
            .iter()
            .filter(|(w, _)| *w)
            .map(|&(_, len)| u32::from(len))
            .sum();
        assert!(
            self.outstanding
                .insert(token, (lengths, writable))
                .is_none()
        );
    }

    /// Whether a used element could be an honest one at the end of the ring.
    fn is_plausible(&self, id: u32, written: u32) -> bool {
        let finished = self
            .used
            .iter()
            .flatten()
            .any(|used| u32::from(used.token.0) == id);
        let token = Token(id as u16);
        let lent = self
            .outstanding
            .get(&token)
            .is_some_and(|&(_, max)| written <= max);
        lent && !finished
    }

    fn pop(&mut self, queue: &mut Queue) {
        let result = pop(queue);
        // A lie is found at its own element at the latest, and before it if it makes the ring
        // hold more than was lent.
        let lied = self.used.contains(&None);
        let found = result.is_err() && lied;
        if self.failed || found || matches!(self.used.front(), Some(None)) {
            self.failed = true;
            assert!(
                result.is_err() && queue.fault().is_some(),
                "a lie was believed: {result:?}"
            );
            return;
        }
        let popped = result.expect("an honest device was called a liar");
        assert_eq!(
            popped.as_ref().map(|(used, _)| *used),
            self.used.pop_front().flatten()
        );
        if let Some((used, buffers)) = popped {
            let (lengths, _) = self.outstanding.remove(&used.token).unwrap();
            assert_eq!(buffers.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
        }
        assert_eq!(usize::from(queue.outstanding()), self.outstanding.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// An honest device gets every request exactly once, and the driver every buffer back,
    /// whatever the order. The first lie is found, and nothing that is lent is freed or reused.
    #[test]
    fn agrees_with_the_model(
        steps in prop::collection::vec(step(), 1..200),
        log_size in 0..4_u32,
        event_idx: bool,
        indirect: bool,
    ) {
        let (mut queue, mut device) = pair(1 << log_size, event_idx, indirect);
        let mut model = Model::default();
        let mut taken: Vec<Request> = Vec::new();
        for step in steps {
            match step {
                // A lie about a request that is submitted later would become the truth.
                Step::Submit(_) if model.used.contains(&None) => {}
                Step::Submit(shape) => model.submit(&mut queue, shape),
                Step::Take => taken.extend(device.pop()),
                Step::Finish(index, share) if !taken.is_empty() => {
                    let request = taken.remove(index.index(taken.len()));
                    let written = request.capacity() * u32::from(share) / 255;
                    request.write(&vec![share; written as usize]);
                    device.push(request.head, written);
                    model.used.push_back(Some(Used { token: Token(request.head), written }));
                }
                Step::Lie(id, len) if !model.is_plausible(id, len) => {
                    device.push_raw(id, len);
                    model.used.push_back(None);
                }
                Step::Finish(..) | Step::Lie(..) => {}
                Step::Pop => model.pop(&mut queue),
            }
            queue.needs_notification();
            if model.failed {
                // The device may go on writing what it has, for ever (Miri, sanitizers).
                taken.iter().for_each(|request| {
                    request.write(&vec![0xee; request.capacity() as usize]);
                });
            }
        }
    }

    /// A used index may jump anywhere, over elements that were never written or are stale: the
    /// driver's own count still adds up, and nothing panics.
    #[test]
    fn survives_any_used_index(
        jumps in prop::collection::vec((any::<u16>(), 0..8_u32, 0..4_u32), 1..50),
    ) {
        let (mut queue, mut device) = pair(4, true, false);
        for (index, id, len) in jumps {
            submit(&mut queue, vec![write(2)]);
            device.push_raw(id, len);
            device.publish(index % 8);
            let before = queue.fault();
            let _ = pop(&mut queue);
            prop_assert!(before.is_none() || queue.fault() == before);
            prop_assert!(queue.outstanding() <= queue.size());
        }
    }
}
