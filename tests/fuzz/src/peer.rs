//! The peer that a fuzzer plays: it sends anything, starts conversations, and answers what the stack
//! sent in the right protocol, with the wrong contents. Called by the target `frames`.

use std::collections::VecDeque;

use arbitrary::Arbitrary;

use crate::answer::{Answer, Distance, Flags, refusal};
use crate::packet::{
    Ends, OURS_IPV4, OURS_IPV6, PEER_IPV4, PEER_IPV6, Segment, TCP, UDP, ip, tcp, udp,
};

/// Frames of the stack's that the peer remembers.
const MEMORY: usize = 16;
/// The longest frame that a device hands over.
const MAX_FRAME: usize = 1514;

/// What the peer does next.
#[derive(Arbitrary, Debug)]
pub enum Step<'a> {
    /// These bytes, as they are.
    Frame(&'a [u8]),
    /// An IP packet out of the blue, with a right header and these contents.
    Packet {
        v6: bool,
        multicast: bool,
        protocol: u8,
        bytes: &'a [u8],
    },
    /// A datagram to one of the stack's ports.
    Datagram {
        v6: bool,
        from: u16,
        to: Port,
        bytes: &'a [u8],
    },
    /// The first segment of a connection, or another one.
    Open {
        v6: bool,
        from: u8,
        flags: Flags,
        options: &'a [u8],
        bytes: &'a [u8],
    },
    /// A whole handshake.
    Connect { v6: bool, from: u8 },
    /// An answer to a frame of the stack's.
    Answer { back: u8, answer: Answer<'a> },
    /// An ICMP error about it.
    Refuse {
        back: u8,
        kind: u8,
        code: u8,
        word: u32,
    },
    /// A frame of the stack's, with the ends as they are and a byte changed.
    Reflect { back: u8, at: u16, byte: u8 },
    /// Milliseconds pass.
    Wait(u16),
}

/// Ports that something may listen on.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Port {
    Echo,
    DhcpClient,
    Http,
    Any(u16),
}

/// What the peer remembers.
#[derive(Default)]
pub struct Peer {
    seen: VecDeque<Vec<u8>>,
}

impl Peer {
    /// Takes note of what the stack sent.
    pub fn see(&mut self, frames: Vec<Vec<u8>>) {
        self.seen.extend(frames);
        let excess = self.seen.len().saturating_sub(MEMORY);
        self.seen.drain(..excess);
    }

    /// The frame of a step; `None` where there is nothing to answer, or time is to pass.
    pub fn frame(&self, step: &Step) -> Option<Vec<u8>> {
        let mut frame = match *step {
            Step::Frame(bytes) => bytes.to_vec(),
            Step::Packet {
                v6,
                multicast,
                protocol,
                bytes,
            } => ip(ends(v6, multicast), protocol, bytes.to_vec()),
            Step::Datagram {
                v6,
                from,
                to,
                bytes,
            } => ip(ends(v6, false), UDP, udp(from, to.number(), bytes)),
            Step::Open {
                v6,
                from,
                flags,
                options,
                bytes,
            } => ip(
                ends(v6, false),
                TCP,
                tcp(opening(from, flags, options, bytes)),
            ),
            Step::Connect { v6, from } => ip(
                ends(v6, false),
                TCP,
                tcp(opening(from, Flags::Syn, &[], &[])),
            ),
            Step::Answer { back, ref answer } => answer.to(self.recall(back)?)?,
            Step::Refuse {
                back,
                kind,
                code,
                word,
            } => refusal(self.recall(back)?, kind, code, word)?,
            Step::Reflect { back, at, byte } => {
                let mut frame = self.recall(back)?.to_vec();
                let at = usize::from(at) % frame.len();
                frame[at] = byte;
                frame
            }
            Step::Wait(_) => return None,
        };
        frame.truncate(MAX_FRAME);
        Some(frame)
    }

    /// The frame behind that of a step, once the stack has had time for its own.
    pub fn following_frame(&self, step: &Step) -> Option<Vec<u8>> {
        let accept = Answer {
            flags: Flags::Ack,
            sequence: Distance::None,
            acknowledgement: Distance::None,
            window: 4096,
            kind: 0,
            options: &[],
            bytes: &[],
        };
        match step {
            Step::Connect { .. } => accept.to(self.recall(0)?),
            _ => None,
        }
    }

    /// A frame of the stack's, counted back from the newest.
    fn recall(&self, back: u8) -> Option<&[u8]> {
        let index = self
            .seen
            .len()
            .checked_sub(1 + usize::from(back) % MEMORY)?;
        Some(&self.seen[index])
    }
}

impl Port {
    fn number(self) -> u16 {
        match self {
            Port::Echo => 7,
            Port::DhcpClient => 68,
            Port::Http => 80,
            Port::Any(number) => number,
        }
    }
}

fn ends(v6: bool, multicast: bool) -> Ends {
    match (v6, multicast) {
        (false, false) => Ends::V4 {
            source: PEER_IPV4,
            target: OURS_IPV4,
        },
        (false, true) => Ends::V4 {
            source: PEER_IPV4,
            target: [255; 4],
        },
        (true, false) => Ends::V6 {
            source: PEER_IPV6,
            target: OURS_IPV6,
        },
        // All nodes on the link: whom routers advertise to.
        (true, true) => {
            let mut target = [0; 16];
            (target[0], target[1], target[15]) = (0xff, 2, 1);
            Ends::V6 {
                source: PEER_IPV6,
                target,
            }
        }
    }
}

fn opening<'a>(from: u8, flags: Flags, options: &'a [u8], payload: &'a [u8]) -> Segment<'a> {
    Segment {
        from: 1024 + u16::from(from % 4),
        to: 80,
        sequence: 0x1000,
        acknowledgement: 0,
        flags: flags.bits(),
        window: 4096,
        options,
        payload,
    }
}
