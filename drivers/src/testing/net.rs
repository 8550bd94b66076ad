//! A network device that does as the test says: delivers packets into the driver's buffers,
//! collects what the driver sends, and lies about either.

use std::sync::Arc;
use std::vec::Vec;

use reactor::platform::Platform;
use virtio_drivers::transport::DeviceType;

use super::{DeviceQueue, FakeBus, Request};
use crate::virtio::Features;

/// Bytes of the header in front of a packet.
const HEADER: usize = 12;

/// A fake network device. Delivering and collecting happen when the test says so, inside the call.
#[derive(Debug)]
pub struct FakeNet {
    bus: FakeBus,
    queues: Option<[DeviceQueue; 2]>,
    /// Sent packets that the device has not given back.
    held: Vec<Request>,
}

impl FakeNet {
    /// The hardware address of every fake.
    pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    /// A device with these features and this MTU, its link up, that raises `line`.
    pub fn new(platform: Arc<dyn Platform>, line: u8, features: Features, mtu: u16) -> FakeNet {
        let mut config = Vec::from(Self::MAC);
        config.extend_from_slice(&1_u16.to_le_bytes()); // status
        config.extend_from_slice(&1_u16.to_le_bytes()); // queue pairs
        config.extend_from_slice(&mtu.to_le_bytes());
        let bus = FakeBus::new(DeviceType::Network, features, 2, config, platform, line);
        FakeNet {
            bus,
            queues: None,
            held: Vec::new(),
        }
    }

    /// The registers and the line.
    pub fn bus(&self) -> &FakeBus {
        &self.bus
    }

    /// Takes the link up or down, with an interrupt.
    pub fn set_link(&self, up: bool) {
        self.bus.set_config(6, &u16::from(up).to_le_bytes());
    }

    /// Delivers a frame whose checksum nobody vouches for. Returns whether there were buffers.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        self.deliver_with(0, frame)
    }

    /// Delivers a frame with header flags, over as many buffers as it needs.
    pub fn deliver_with(&mut self, flags: u8, frame: &[u8]) -> bool {
        self.deliver_merged(flags, 0, frame)
    }

    /// As [`FakeNet::deliver_with`], and says which kind of segments were merged into the frame.
    pub fn deliver_merged(&mut self, flags: u8, gso_type: u8, frame: &[u8]) -> bool {
        let mut packet = std::vec![0; HEADER];
        packet[0] = flags;
        packet[1] = gso_type;
        packet.extend_from_slice(frame);
        let mut buffers = Vec::new();
        let mut room = 0;
        while room < packet.len() {
            let Some(buffer) = self.receive_queue().pop() else {
                return false;
            };
            room += buffer.capacity() as usize;
            buffers.push(buffer);
        }
        packet[10..12].copy_from_slice(&(buffers.len() as u16).to_le_bytes());
        let mut rest = &packet[..];
        for buffer in buffers {
            let written = buffer.write(rest);
            rest = &rest[written as usize..];
            self.receive_queue().push(buffer.head, written);
        }
        self.signal();
        true
    }

    /// Delivers a small frame into a buffer that was taken from [`FakeNet::receive_queue`].
    pub fn deliver_to(&mut self, buffer: &Request, frame: &[u8]) {
        let mut packet = std::vec![0; HEADER];
        packet[10] = 1;
        packet.extend_from_slice(frame);
        let written = buffer.write(&packet);
        self.receive_queue().push(buffer.head, written);
        self.signal();
    }

    /// Writes raw bytes, header and all, into one buffer and claims that they were `claimed` many.
    pub fn deliver_raw(&mut self, packet: &[u8], claimed: u32) -> bool {
        let Some(buffer) = self.receive_queue().pop() else {
            return false;
        };
        buffer.write(packet);
        self.receive_queue().push(buffer.head, claimed);
        self.signal();
        true
    }

    /// The receive queue, for worse lies than these. [`FakeNet::signal`] raises the interrupt.
    pub fn receive_queue(&mut self) -> &mut DeviceQueue {
        &mut self.connected()[0]
    }

    /// The transmit queue.
    pub fn transmit_queue(&mut self) -> &mut DeviceQueue {
        &mut self.connected()[1]
    }

    /// Takes the packets that the driver has sent, header and frame each, and keeps their buffers.
    pub fn take_sent(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while let Some(request) = self.transmit_queue().pop() {
            packets.push(request.read());
            self.held.push(request);
        }
        packets
    }

    /// Gives up to `count` buffers of taken packets back.
    pub fn finish_sent(&mut self, count: usize) {
        let count = count.min(self.held.len());
        for request in self.held.drain(..count).collect::<Vec<_>>() {
            self.transmit_queue().push(request.head, 0);
        }
        self.signal();
    }

    /// Takes the packets that the driver has sent and gives their buffers back.
    pub fn sent(&mut self) -> Vec<Vec<u8>> {
        let packets = self.take_sent();
        self.finish_sent(usize::MAX);
        packets
    }

    /// Raises the interrupt, if the driver wants one for what was given back.
    pub fn signal(&mut self) {
        let [receive, transmit] = self.connected();
        if receive.needs_interrupt() | transmit.needs_interrupt() {
            self.bus.interrupt();
        }
    }

    fn connected(&mut self) -> &mut [DeviceQueue; 2] {
        let bus = &self.bus;
        self.queues
            .get_or_insert_with(|| [bus.queue(0), bus.queue(1)])
    }
}
