//! SYNs as a flooder makes them: for a port of the server, from whoever and wherever.

use crate::pair::{Pair, SERVER};
use core::net::{Ipv4Addr, SocketAddr};
use netstack::{TcpListener, TcpStream};
use smoltcp::wire::{Ipv4Packet, TcpPacket};

/// Where IPv4 and TCP begin in a frame.
const IPV4: usize = 14;
const TCP: usize = 34;

/// A SYN that was recorded, to be sent again with other ends.
pub(crate) struct Syns {
    frame: Vec<u8>,
}

impl Syns {
    /// Records the SYN of a connection to `listener`, which is over when this returns.
    pub(crate) async fn recorded(pair: &Pair, listener: &TcpListener) -> Syns {
        pair.wire.record();
        let peer = SocketAddr::new(SERVER.into(), listener.local_addr().port());
        drop(TcpStream::connect(&pair.client, peer).await);
        let _ = listener.accept().await;
        let mut frames = pair.wire.sent(0).into_iter();
        let frame = frames.find(|frame| frame[12..14] == [8, 0]).unwrap();
        Syns { frame }
    }

    /// Puts one on the wire to the server.
    pub(crate) fn send(&mut self, pair: &Pair, from: Ipv4Addr, port: u16) {
        let frame = &mut self.frame;
        frame[26..30].copy_from_slice(&from.octets());
        frame[TCP..TCP + 2].copy_from_slice(&port.to_be_bytes());
        Ipv4Packet::new_unchecked(&mut frame[IPV4..]).fill_checksum();
        let mut segment = TcpPacket::new_unchecked(&mut frame[TCP..]);
        segment.fill_checksum(&from.into(), &SERVER.into());
        pair.wire.inject(1, frame.clone());
    }
}
