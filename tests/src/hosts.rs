//! The hosts of a network, played by the test: what a flood takes, which QEMU's user-mode network, with
//! two connections that may wait, cannot carry.
//!
//! Every address of the network answers ARP from here, and any port of any of them can open a TCP
//! connection to the guest: with a handshake, or without one. Segments are made by hand, as the wire
//! between here and the guest loses none.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bundle_tool::machine::Nic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, ETHERNET_HEADER_LEN, EthernetAddress, EthernetFrame,
    EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};

/// The guest, on a network of 65,534 hosts.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The kernel option that gives the guest its address.
pub const OPTION: &str = "net=10.9.0.1/16";
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 99]);
/// The first sequence number of every connection.
const FIRST: i32 = 1_000;
/// How long one frame may wait for the guest to take it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a SYN is repeated.
const REPEAT: Duration = Duration::from_millis(500);

/// All hosts of the network but the guest.
pub struct Hosts {
    socket: UnixDatagram,
    guest: PathBuf,
    /// The guest's, once it was heard.
    mac: EthernetAddress,
    connections: HashMap<SocketAddrV4, Connection>,
    /// Frames that came while one was being sent.
    waiting: VecDeque<Vec<u8>>,
    silent: bool,
}

/// What is known of a connection to the guest, by our end of it.
#[derive(Debug)]
struct Connection {
    port: u16,
    /// Of the next byte from here.
    next: TcpSeqNumber,
    /// Of the next byte from there, once the handshake is over.
    expected: Option<TcpSeqNumber>,
    received: Vec<u8>,
    closed: bool,
}

impl Hosts {
    /// Makes a network whose sockets lie in `folder`, and the interface that leads to it.
    ///
    /// # Errors
    /// The socket could not be made.
    pub fn new(folder: &Path) -> io::Result<(Hosts, Nic)> {
        let (guest, here) = (folder.join("guest"), folder.join("here"));
        let socket = UnixDatagram::bind(&here)?;
        socket.set_nonblocking(true)?;
        let nic = Nic::datagram(&guest, &here);
        let hosts = Hosts {
            socket,
            guest,
            mac: EthernetAddress::BROADCAST,
            connections: HashMap::new(),
            waiting: VecDeque::new(),
            silent: false,
        };
        Ok((hosts, nic))
    }

    /// The guest's Ethernet address, once it was heard.
    pub fn mac(&self) -> [u8; 6] {
        self.mac.0
    }

    /// Puts a frame on the wire as it is.
    ///
    /// # Errors
    /// The guest takes no frames.
    pub fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        self.put(frame)?;
        self.take_waiting()
    }

    /// Sends a SYN, and does not care for the answer.
    ///
    /// # Errors
    /// The guest takes no frames.
    pub fn send_syn(&mut self, from: SocketAddrV4, port: u16) -> io::Result<()> {
        self.send(from, port, TcpControl::Syn, TcpSeqNumber(FIRST), None, b"")?;
        self.take_waiting()
    }

    /// Sends the SYN of a connection. Its handshake ends when the answer comes.
    ///
    /// # Errors
    /// The guest takes no frames.
    pub fn open(&mut self, from: SocketAddrV4, port: u16) -> io::Result<()> {
        let connection = Connection {
            port,
            next: TcpSeqNumber(FIRST) + 1,
            expected: None,
            received: Vec::new(),
            closed: false,
        };
        self.connections.insert(from, connection);
        self.send_syn(from, port)
    }

    /// How many connections have been opened and not closed by the guest.
    pub fn established(&self) -> usize {
        let open = |connection: &&Connection| connection.expected.is_some() && !connection.closed;
        self.connections.values().filter(open).count()
    }

    /// Sends `bytes`, at most a segment, on every connection.
    ///
    /// # Errors
    /// The guest takes no frames.
    pub fn send_on_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for from in self.connections.keys().copied().collect::<Vec<_>>() {
            self.send_on(from, bytes)?;
            self.take_waiting()?;
        }
        Ok(())
    }

    /// Acknowledges nothing from here on, as hosts do that are gone.
    pub fn fall_silent(&mut self) {
        self.silent = true;
    }

    /// Resets every connection; their hosts speak again.
    ///
    /// # Errors
    /// The guest takes no frames.
    pub fn reset_all(&mut self) -> io::Result<()> {
        self.silent = false;
        for (from, connection) in std::mem::take(&mut self.connections) {
            let next = connection.next;
            self.send(from, connection.port, TcpControl::Rst, next, None, b"")?;
            self.take_waiting()?;
        }
        Ok(())
    }

    /// Opens a connection, repeating the SYN as a host does, sends `request`, and returns what comes
    /// back once it has `length` bytes. Then it resets the connection.
    ///
    /// # Errors
    /// It does not come within `deadline`.
    pub fn exchange(
        &mut self,
        from: SocketAddrV4,
        port: u16,
        request: &[u8],
        length: usize,
        deadline: Duration,
    ) -> io::Result<Vec<u8>> {
        let end = Instant::now() + deadline;
        self.open(from, port)?;
        while self.connections[&from].expected.is_none() {
            check(end)?;
            self.wait(REPEAT)?;
            if self.connections[&from].expected.is_none() {
                self.open(from, port)?;
            }
        }
        self.send_on(from, request)?;
        while self.connections[&from].received.len() < length {
            check(end)?;
            self.wait(REPEAT)?;
        }
        let connection = self.connections.remove(&from);
        let Connection { next, received, .. } = connection.expect("it was just there");
        self.send(from, port, TcpControl::Rst, next, None, b"")?;
        Ok(received)
    }

    /// Takes frames until none has come for `quiet`.
    ///
    /// # Errors
    /// The socket failed, or the guest takes no frames.
    pub fn wait(&mut self, quiet: Duration) -> io::Result<()> {
        while self.is_ready(PollFlags::IN, quiet)? {
            self.take_waiting()?;
        }
        Ok(())
    }

    /// Takes the frames that are there.
    fn take_waiting(&mut self) -> io::Result<()> {
        self.collect()?;
        while let Some(frame) = self.waiting.pop_front() {
            self.receive(&frame)?;
        }
        Ok(())
    }

    /// Puts the frames that are there aside.
    fn collect(&mut self) -> io::Result<()> {
        let mut frame = [0; 2048];
        loop {
            match self.socket.recv(&mut frame) {
                Ok(length) => self.waiting.push_back(frame[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn is_ready(&self, wanted: PollFlags, within: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
        let mut sockets = [PollFd::new(&self.socket, wanted)];
        // A child that ends meanwhile, another test's too, interrupts.
        Ok(retry_on_intr(|| poll(&mut sockets, Some(&timeout)))? > 0)
    }

    fn receive(&mut self, frame: &[u8]) -> io::Result<()> {
        let Ok(frame) = EthernetFrame::new_checked(frame) else {
            return Ok(());
        };
        self.mac = frame.src_addr();
        match frame.ethertype() {
            EthernetProtocol::Arp => self.answer_arp(frame.payload()),
            EthernetProtocol::Ipv4 => self.receive_segment(frame.payload()),
            _ => Ok(()),
        }
    }

    /// Every address is here.
    fn answer_arp(&mut self, packet: &[u8]) -> io::Result<()> {
        let packet = ArpPacket::new_checked(packet).map_err(io::Error::other)?;
        let Ok(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = ArpRepr::parse(&packet)
        else {
            return Ok(());
        };
        if target_protocol_addr == GUEST {
            return Ok(()); // it announces itself
        }
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: MAC,
            source_protocol_addr: target_protocol_addr,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut frame = self.frame(EthernetProtocol::Arp, answer.buffer_len());
        answer.emit(&mut ArpPacket::new_unchecked(
            &mut frame[ETHERNET_HEADER_LEN..],
        ));
        self.put(&frame)
    }

    fn receive_segment(&mut self, packet: &[u8]) -> io::Result<()> {
        let packet = Ipv4Packet::new_checked(packet).map_err(io::Error::other)?;
        if packet.next_header() != IpProtocol::Tcp {
            return Ok(());
        }
        let segment = TcpPacket::new_checked(packet.payload()).map_err(io::Error::other)?;
        let from = SocketAddrV4::new(packet.dst_addr(), segment.dst_port());
        let Some(connection) = self.connections.get_mut(&from) else {
            return Ok(());
        };
        connection.closed |= segment.rst() || segment.fin();
        if connection.expected.is_none() && segment.syn() && segment.ack() {
            connection.expected = Some(segment.seq_number() + 1);
        } else if connection.expected == Some(segment.seq_number()) && !segment.rst() {
            connection.received.extend_from_slice(segment.payload());
            connection.expected = Some(segment.seq_number() + segment.segment_len());
        }
        let (port, next, expected) = (connection.port, connection.next, connection.expected);
        if segment.segment_len() > 0 && !segment.rst() && !self.silent {
            self.send(from, port, TcpControl::None, next, expected, b"")?;
        }
        Ok(())
    }

    fn send_on(&mut self, from: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&from) else {
            return Ok(());
        };
        let Some(expected) = connection.expected else {
            return Ok(());
        };
        let (port, next) = (connection.port, connection.next);
        connection.next += bytes.len();
        self.send(from, port, TcpControl::Psh, next, Some(expected), bytes)
    }

    fn send(
        &mut self,
        from: SocketAddrV4,
        port: u16,
        control: TcpControl,
        seq_number: TcpSeqNumber,
        ack_number: Option<TcpSeqNumber>,
        payload: &[u8],
    ) -> io::Result<()> {
        let segment = TcpRepr {
            src_port: from.port(),
            dst_port: port,
            control,
            seq_number,
            ack_number,
            window_len: u16::MAX,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: *from.ip(),
            dst_addr: GUEST,
            next_header: IpProtocol::Tcp,
            payload_len: segment.buffer_len(),
            hop_limit: 64,
        };
        let checksums = ChecksumCapabilities::default();
        let length = ip.buffer_len() + segment.buffer_len();
        let mut frame = self.frame(EthernetProtocol::Ipv4, length);
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[ETHERNET_HEADER_LEN..]);
        ip.emit(&mut packet, &checksums);
        segment.emit(
            &mut TcpPacket::new_unchecked(packet.payload_mut()),
            &ip.src_addr.into(),
            &ip.dst_addr.into(),
            &checksums,
        );
        self.put(&frame)
    }

    /// A frame to the guest with room for `length` bytes.
    fn frame(&self, ethertype: EthernetProtocol, length: usize) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET_HEADER_LEN + length];
        let header = EthernetRepr {
            src_addr: MAC,
            dst_addr: self.mac,
            ethertype,
        };
        header.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        frame
    }

    /// Waits while the guest has no buffer for it, and takes what it sends meanwhile: it may do so
    /// before it takes more.
    fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send_to(frame, &self.guest) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.collect()?;
                    if !self.is_ready(PollFlags::IN | PollFlags::OUT, PATIENCE)? {
                        return Err(error);
                    }
                }
                sent => return sent.map(drop),
            }
        }
    }
}

fn check(end: Instant) -> io::Result<()> {
    if Instant::now() > end {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}
