//! A disk in memory that does as the test says: takes requests when told, completes them in any
//! order, with any status, or not at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;
use std::vec::Vec;

use reactor::platform::Platform;
use virtio_drivers::transport::DeviceType;

use super::{DeviceQueue, FakeBus, Request};
use crate::virtio::Features;

const SECTOR: usize = 512;

/// A fake disk. Nothing happens but when the test calls, or [`FakeBlock::serve_all`] runs.
#[derive(Debug)]
pub struct FakeBlock {
    bus: FakeBus,
    queue: Option<DeviceQueue>,
    held: Vec<Command>,
    bad_sectors: BTreeMap<u64, u8>,
    /// The contents.
    pub bytes: Vec<u8>,
    /// Flushes completed.
    pub flushes: u64,
}

/// A request that the disk has taken.
#[derive(Clone, Debug)]
pub struct Command {
    /// Type of the request: 0 read, 1 write, 4 flush.
    pub kind: u32,
    /// Where it begins.
    pub sector: u64,
    /// Bytes of data.
    pub len: usize,
    request: Request,
}

impl FakeBlock {
    /// A disk with these features and contents (whole sectors) that raises `line`. Limits that the
    /// features announce are four data segments and blocks of 4 KiB.
    pub fn new(
        platform: Arc<dyn Platform>,
        line: u8,
        features: Features,
        bytes: Vec<u8>,
    ) -> FakeBlock {
        let mut config = Vec::from(((bytes.len() / SECTOR) as u64).to_le_bytes());
        config.extend_from_slice(&(1_u32 << 16).to_le_bytes()); // size_max
        config.extend_from_slice(&4_u32.to_le_bytes()); // seg_max
        config.extend_from_slice(&[0; 4]); // geometry
        config.extend_from_slice(&4096_u32.to_le_bytes()); // blk_size
        let bus = FakeBus::new(DeviceType::Block, features, 1, config, platform, line);
        let (held, bad_sectors) = (Vec::new(), BTreeMap::new());
        FakeBlock {
            bus,
            queue: None,
            held,
            bad_sectors,
            bytes,
            flushes: 0,
        }
    }

    /// The registers and the line.
    pub fn bus(&self) -> &FakeBus {
        &self.bus
    }

    /// From now on requests that touch `sector` end with `status`.
    pub fn set_bad_sector(&mut self, sector: u64, status: u8) {
        self.bad_sectors.insert(sector, status);
    }

    /// Takes every request that the driver has made available. Returns all that are held.
    pub fn take(&mut self) -> &[Command] {
        while let Some(request) = self.queue().pop() {
            self.held.push(Command::parse(request));
        }
        &self.held
    }

    /// Does what the held request at `index` asks and completes it.
    pub fn complete(&mut self, index: usize) {
        let command = self.held[index].clone();
        let status = self.execute(&command);
        let read = command.kind == 0 && status == 0;
        let written = if read { command.request.capacity() } else { 1 };
        self.complete_with(index, status, written);
    }

    /// Completes the held request at `index` with this status and length, doing nothing. Status
    /// 255 leaves the status byte as it is.
    pub fn complete_with(&mut self, index: usize, status: u8, written: u32) {
        let command = self.held.remove(index);
        if status != 255 {
            command.write_status(status);
        }
        self.queue().push(command.request.head, written);
        self.signal();
    }

    /// Raises the interrupt, if the driver wants one for what was completed.
    pub fn signal(&mut self) {
        if self.queue().needs_interrupt() {
            self.bus.interrupt();
        }
    }

    /// Takes and completes everything, in order.
    pub fn serve(&mut self) {
        self.take();
        while !self.held.is_empty() {
            self.complete(0);
        }
    }

    /// The device's side of the queue, for what a disk should never do.
    pub fn queue(&mut self) -> &mut DeviceQueue {
        let bus = &self.bus;
        self.queue.get_or_insert_with(|| bus.queue(0))
    }

    /// A task that serves whenever the driver notifies.
    pub fn serve_all(disk: Rc<RefCell<FakeBlock>>) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            loop {
                let bus = disk.borrow().bus.clone();
                ready!(bus.poll_notified(cx));
                disk.borrow_mut().serve();
            }
        })
    }

    fn execute(&mut self, command: &Command) -> u8 {
        let start = command.sector as usize * SECTOR;
        let sectors = command.sector..command.sector + (command.len / SECTOR) as u64;
        if let Some((_, &status)) = self.bad_sectors.range(sectors).next() {
            return status;
        }
        let Some(range) = self.bytes.get_mut(start..start + command.len) else {
            return 1;
        };
        match command.kind {
            0 => {
                command.request.write(range);
            }
            1 => range.copy_from_slice(&command.request.read()[16..]),
            4 => self.flushes += 1,
            _ => return 2,
        }
        0
    }
}

impl Command {
    fn parse(request: Request) -> Command {
        let readable = request.read();
        let header = readable
            .get(..16)
            .expect("a request begins with its header");
        let kind = u32::from_le_bytes(header[..4].try_into().expect("four bytes"));
        let sector = u64::from_le_bytes(header[8..].try_into().expect("eight bytes"));
        let status = request.writable.last().map(|&(_, len)| len);
        assert_eq!(status, Some(1), "a request ends with its status");
        let len = readable.len() - 16 + request.capacity() as usize - 1;
        Command {
            kind,
            sector,
            len,
            request,
        }
    }

    /// Number of data segments.
    pub fn segments(&self) -> usize {
        self.request.readable.len() + self.request.writable.len() - 2
    }

    /// Whether the driver used an indirect table.
    pub fn indirect(&self) -> bool {
        self.request.indirect
    }

    fn write_status(&self, status: u8) {
        let mut last = self.request.clone();
        last.writable.drain(..last.writable.len() - 1);
        last.write(&[status]);
    }
}
