//! The task that owns a disk's device: moves requests to it, takes completions back, and gives
//! the device up when it breaks the rules or does not answer. The only owner of the virtqueue.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use reactor::Clock;
use reactor::irq::IrqEvent;
use reactor::time::Instant;
use reactor::timers::Sleep;
use virtio_drivers::transport::mmio::MmioTransport;

use super::DiskError;
use super::table::{Data, Operation, Outcome, Request, SharedTable, SlotId, Table};
use crate::virtio::{Buffer, Device, Failure, Registers, Segment, Used};

/// Request types (virtio 1.2 §5.2.6).
const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;

/// Status bytes (§5.2.6).
const STATUS_OK: u8 = 0;
const STATUS_IOERR: u8 = 1;
const STATUS_UNSUPP: u8 = 2;
/// Stands in the status byte until the device writes it. Firecracker completes a request that it
/// cannot parse without writing it at all.
const STATUS_NONE: u8 = 0xff;

/// Bytes of a request's header: type, reserved, sector.
const HEADER: usize = 16;

/// Looks at the ring in one poll before other tasks get their turn.
const MAX_ROUNDS: usize = 4;

/// Owns the device. See [`DiskRunner::run`].
#[derive(Debug)]
pub struct DiskRunner<T: Registers = MmioTransport<'static>> {
    device: Device<T>,
    irq: IrqEvent,
    clock: Clock,
    timeout: Duration,
    table: Rc<SharedTable>,
    /// What the device has, by token.
    in_flight: Vec<Option<InFlight>>,
    /// Header and status buffers of requests that are done, for the next ones.
    spare: Vec<(Buffer, Buffer)>,
    /// Scratch lists, empty between calls; they keep their memory.
    outgoing: Vec<Segment>,
    returned: Vec<Buffer>,
}

#[derive(Debug)]
struct InFlight {
    slot: SlotId,
    operation: Operation,
    bytes: usize,
    since: Instant,
}

impl<T: Registers> DiskRunner<T> {
    pub(super) fn new(
        device: Device<T>,
        irq: IrqEvent,
        clock: Clock,
        table: Rc<SharedTable>,
        timeout: Duration,
    ) -> DiskRunner<T> {
        DiskRunner {
            device,
            irq,
            clock,
            timeout,
            table,
            in_flight: Vec::new(),
            spare: Vec::new(),
            outgoing: Vec::new(),
            returned: Vec::new(),
        }
    }

    /// Serves the disk for ever. Spawn it as one task; nothing works without it. Dropping it
    /// resets the device and fails every request.
    pub async fn run(mut self) {
        let mut alarm = pin!(None::<Sleep>);
        poll_fn(|cx| {
            self.turn(cx);
            self.watch(alarm.as_mut(), cx);
            Poll::<()>::Pending
        })
        .await;
    }

    /// One poll: takes completions, submits what waits, tells the device once, asks for the next
    /// interrupt.
    fn turn(&mut self, cx: &mut Context<'_>) {
        self.table.with(|table| table.register_runner(cx));
        while self.irq.poll_raised(cx).is_ready() {
            self.table.with(|table| table.stats.interrupts += 1);
        }
        for _ in 0..MAX_ROUNDS {
            if self.device.failed() {
                return;
            }
            self.device.queue_mut(0).disable_interrupts();
            self.reap();
            self.submit();
            let notified = self.device.notify();
            self.table
                .with(|table| table.stats.notifications += notified);
            if !self.device.queue_mut(0).enable_interrupts() {
                return;
            }
        }
        cx.waker().wake_by_ref(); // completions keep coming: go on in the next turn
    }

    /// Gives the device up if it has had a request for too long. One alarm serves all requests: it
    /// is set for the oldest when the device gets busy and moved only when it rings.
    fn watch(&mut self, mut alarm: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) {
        if alarm.is_none() || self.device.queue(0).outstanding() == 0 {
            let due = self.due();
            alarm.set(due.map(|due| self.clock.sleep_until(due)));
        }
        while let Some(rings) = alarm.as_mut().as_pin_mut() {
            if rings.poll(cx).is_pending() {
                return;
            }
            let due = self.due();
            alarm.set(due.map(|due| self.clock.sleep_until(due)));
            if due.is_some_and(|due| due <= self.clock.now()) {
                self.give_up(Failure::Stuck);
                alarm.set(None);
            }
        }
    }

    /// When the oldest request with the device will have taken too long.
    fn due(&self) -> Option<Instant> {
        let oldest = self
            .in_flight
            .iter()
            .flatten()
            .map(|request| request.since)
            .min();
        oldest.map(|since| since + self.timeout)
    }

    /// Takes every completion that is there: at most as many as the device had requests.
    fn reap(&mut self) {
        loop {
            let returned = &mut self.returned;
            match self.device.queue_mut(0).pop(|buffer| returned.push(buffer)) {
                Ok(Some(used)) => self.complete(used),
                Ok(None) => return,
                Err(fault) => return self.give_up(Failure::Fault(fault)),
            }
        }
    }

    /// Moves requests to the device, oldest first, until one does not fit.
    fn submit(&mut self) {
        loop {
            let Some(segments) = self.table.with(|table| table.next_segments()) else {
                return;
            };
            if !self.device.queue(0).has_room(segments + 2) {
                return;
            }
            let frame = self.frame();
            let Some((slot, request)) = self.table.with(Table::take_next) else {
                return;
            };
            match frame {
                Some((header, status)) => self.lend(slot, request, header, status),
                None => {
                    let result = Err(DiskError::OutOfMemory);
                    let outcome = Outcome {
                        result,
                        data: request.data,
                    };
                    self.table.with(|table| table.complete(slot, outcome));
                }
            }
        }
    }

    /// A header and a status buffer. `None`: out of memory.
    fn frame(&mut self) -> Option<(Buffer, Buffer)> {
        self.spare
            .pop()
            .or_else(|| Some((Buffer::zeroed(HEADER)?, Buffer::zeroed(1)?)))
    }

    /// Writes a request's frame and gives the whole of it to the device.
    fn lend(&mut self, slot: SlotId, request: Request, mut header: Buffer, mut status: Buffer) {
        let Request {
            operation,
            sector,
            data,
        } = request;
        let bytes = data.bytes();
        write_header(header.bytes_mut(), operation, sector);
        status.bytes_mut()[0] = STATUS_NONE;
        self.outgoing.push(Segment::ToDevice(header, HEADER as u32));
        data.for_each(|buffer| {
            self.outgoing.push(match operation {
                Operation::Write => {
                    let len = buffer.len() as u32; // at most MAX_TRANSFER
                    Segment::ToDevice(buffer, len)
                }
                _ => Segment::FromDevice(buffer),
            });
        });
        self.outgoing.push(Segment::FromDevice(status));
        let since = self.clock.now();
        let token = self.device.queue_mut(0).submit(self.outgoing.drain(..));
        let Ok(token) = token else {
            // `has_room` said that there is; a queue that says otherwise has failed meanwhile.
            return self
                .table
                .with(|table| table.complete(slot, Outcome::failed()));
        };
        let index = token.index();
        if self.in_flight.len() <= index {
            self.in_flight.resize_with(index + 1, || None);
        }
        self.in_flight[index] = Some(InFlight {
            slot,
            operation,
            bytes,
            since,
        });
    }

    /// Ends the request behind a used element, whose buffers are in `returned`.
    fn complete(&mut self, used: Used) {
        let status = self
            .returned
            .pop()
            .expect("every request ends with its status");
        let mut buffers = self.returned.drain(..);
        let header = buffers
            .next()
            .expect("every request begins with its header");
        let data = Data::collect(buffers);
        let request = self.in_flight[used.token.index()].take();
        let request = request.expect("the queue gives out only tokens of outstanding requests");
        let result = judge(&request, status.bytes()[0], used.written);
        self.table.with(|table| {
            count(table, &request, result);
            table.complete(request.slot, Outcome { result, data });
        });
        self.spare.push((header, status));
    }

    fn give_up(&mut self, failure: Failure) {
        self.device.fail(failure);
        self.in_flight.clear();
        self.table.fail();
    }
}

impl<T: Registers> Drop for DiskRunner<T> {
    fn drop(&mut self) {
        self.table.fail();
    }
}

fn write_header(bytes: &mut [u8], operation: Operation, sector: u64) {
    let kind = match operation {
        Operation::Read => TYPE_IN,
        Operation::Write => TYPE_OUT,
        Operation::Flush => TYPE_FLUSH,
    };
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    bytes[4..8].fill(0);
    bytes[8..].copy_from_slice(&sector.to_le_bytes());
}

/// What a completed request's status and length mean.
fn judge(request: &InFlight, status: u8, written: u32) -> Result<(), DiskError> {
    // Data and status byte; what lies beyond `written` is not to be relied on (§2.7.8.2).
    let read = request.operation == Operation::Read;
    match status {
        STATUS_OK if read && (written as usize) <= request.bytes => Err(DiskError::Incomplete),
        STATUS_OK => Ok(()),
        STATUS_IOERR => Err(DiskError::Io),
        STATUS_UNSUPP => Err(DiskError::Unsupported),
        other => Err(DiskError::BadStatus(other)),
    }
}

fn count(table: &mut Table, request: &InFlight, result: Result<(), DiskError>) {
    let stats = &mut table.stats;
    match (result, request.operation) {
        (Err(_), _) => stats.errors += 1,
        (Ok(()), Operation::Read) => {
            stats.reads += 1;
            stats.read_bytes += request.bytes as u64;
        }
        (Ok(()), Operation::Write) => {
            stats.writes += 1;
            stats.written_bytes += request.bytes as u64;
        }
        (Ok(()), Operation::Flush) => stats.flushes += 1,
    }
}
