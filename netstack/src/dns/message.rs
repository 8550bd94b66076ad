//! DNS messages: a question, and what an answer says to it.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData,
    DnsRepr,
};

/// Addresses kept of one answer; further ones are ignored.
const MAX_ADDRESSES: usize = 8;

/// A name as the wire has it: labels with their length before them, and an empty one at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// `None` where the text is no domain name (RFC 1035 §2.3.4). A dot at the end is allowed.
    pub(super) fn encode(text: &str) -> Option<Name> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            if label.is_empty() || label.len() > 63 || !label.is_ascii() {
                return None;
            }
            wire.push(label.len() as u8);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        (wire.len() <= 255).then_some(Name(wire))
    }
}

/// What a server said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name's addresses; none where it has none, or does not exist.
    Addresses(Vec<IpAddr>),
    /// It cannot or does not want to say.
    Failed,
}

/// A question and, later, its answer.
#[derive(Debug)]
pub(super) struct Query<'n> {
    name: &'n Name,
    kind: DnsQueryType,
    id: u16,
    pub(super) answer: Option<Answer>,
}

impl<'n> Query<'n> {
    pub(super) fn new(name: &'n Name, kind: DnsQueryType, id: u16) -> Query<'n> {
        Query {
            name,
            kind,
            id,
            answer: None,
        }
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let repr = DnsRepr {
            transaction_id: self.id,
            opcode: DnsOpcode::Query,
            flags: DnsFlags::RECURSION_DESIRED,
            question: DnsQuestion {
                name: &self.name.0,
                type_: self.kind,
            },
        };
        let mut message = vec![0; repr.buffer_len()];
        repr.emit(&mut DnsPacket::new_unchecked(&mut message[..]));
        message
    }

    /// What a message says to this question; `None` where it is malformed or for another one.
    pub(super) fn read(&self, message: &[u8]) -> Option<Answer> {
        let packet = DnsPacket::new_checked(message).ok()?;
        let is_answer = packet.flags().contains(DnsFlags::RESPONSE)
            && packet.transaction_id() == self.id
            && packet.opcode() == DnsOpcode::Query
            && packet.question_count() == 1;
        if !is_answer {
            return None;
        }
        let (records, question) = DnsQuestion::parse(packet.payload()).ok()?;
        if question.type_ != self.kind || !same(&packet, question.name, &self.name.0) {
            return None;
        }
        match packet.rcode() {
            DnsRcode::NoError => {}
            DnsRcode::NXDomain => return Some(Answer::Addresses(Vec::new())),
            _ => return Some(Answer::Failed),
        }
        let addresses = self.read_records(&packet, records)?;
        // Cut off before the first address: there is no way to get the rest.
        let cut = packet.flags().contains(DnsFlags::TRUNCATED) && addresses.is_empty();
        Some(if cut {
            Answer::Failed
        } else {
            Answer::Addresses(addresses)
        })
    }

    /// Collects the addresses of the name and of what it is an alias for (RFC 1034 §3.6.2).
    fn read_records(&self, packet: &DnsPacket<&[u8]>, mut rest: &[u8]) -> Option<Vec<IpAddr>> {
        let mut wanted: &[u8] = &self.name.0;
        let mut addresses = Vec::new();
        for _ in 0..packet.answer_record_count() {
            // A record that was cut off ends the list.
            let Ok((after, record)) = DnsRecord::parse(rest) else {
                break;
            };
            rest = after;
            if !same(packet, record.name, wanted) {
                continue;
            }
            let address = match record.data {
                DnsRecordData::A(address) if self.kind == DnsQueryType::A => address.into(),
                DnsRecordData::Aaaa(address) if self.kind == DnsQueryType::Aaaa => address.into(),
                DnsRecordData::Cname(alias) => {
                    wanted = alias;
                    continue;
                }
                _ => continue,
            };
            if addresses.len() < MAX_ADDRESSES {
                addresses.push(address);
            }
        }
        Some(addresses)
    }
}

/// Whether two names, either of them compressed or not, are the same but for case.
fn same(packet: &DnsPacket<&[u8]>, one: &[u8], other: &[u8]) -> bool {
    let (mut one, mut other) = (packet.parse_name(one), packet.parse_name(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(Ok(one)), Some(Ok(other))) if one.eq_ignore_ascii_case(other) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    /// An answer to `query`: a header, the question, and records after it.
    fn answer(query: &Query<'_>, rcode: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = query.message();
        message[2..4].copy_from_slice(&[0x81, 0x80 | rcode]);
        message[7] = records.len() as u8;
        records.iter().for_each(|record| message.extend(*record));
        message
    }

    /// A record for the name at `pointer`.
    fn record(pointer: u8, kind: u8, data: &[u8]) -> Vec<u8> {
        let mut record = vec![
            0xc0,
            pointer,
            0,
            kind,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            data.len() as u8,
        ];
        record.extend(data);
        record
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(Name::encode("a.bc").unwrap().0, b"\x01a\x02bc\0");
        assert_eq!(Name::encode("A.bC."), Name::encode("a.bc"));
        let long = String::from("x").repeat(64);
        for wrong in ["", ".", "a..b", "é.org", &long, &"abcd.".repeat(60)] {
            assert_eq!(Name::encode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn aliases_are_followed_and_other_names_ignored() {
        let name = Name::encode("www.example.org").unwrap();
        let query = Query::new(&name, DnsQueryType::A, 7);
        let alias = [3, b'w', b'e', b'b', 0xc0, 16];
        let cname = record(12, 5, &alias);
        let at = (12 + name.0.len() + 4 + 12) as u8;
        let address = record(at, 1, &[1, 2, 3, 4]);
        let foreign = record(16, 1, &[9, 9, 9, 9]);
        let message = answer(&query, 0, &[&cname, &foreign, &address]);
        let expected = Answer::Addresses(vec![Ipv4Addr::new(1, 2, 3, 4).into()]);
        assert_eq!(query.read(&message), Some(expected));
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let name = Name::encode("example.org").unwrap();
        let query = Query::new(&name, DnsQueryType::A, 7);
        let records: [&[u8]; 1] = [&record(12, 1, &[1, 2, 3, 4])];
        let other_name = Name::encode("example.com").unwrap();
        for wrong in [
            Query::new(&name, DnsQueryType::A, 8),
            Query::new(&name, DnsQueryType::Aaaa, 7),
            Query::new(&other_name, DnsQueryType::A, 7),
        ] {
            assert_eq!(query.read(&answer(&wrong, 0, &records)), None);
        }
        assert_eq!(query.read(&query.message()), None);
        assert_eq!(query.read(&answer(&query, 2, &[])), Some(Answer::Failed));
        let nothing = Some(Answer::Addresses(vec![]));
        assert_eq!(query.read(&answer(&query, 3, &[])), nothing);
    }

    proptest! {
        // Miri has no files to remember failures in, and runs a case in a second.
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_an_answer_or_none(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..64,
        ) {
            let name = Name::encode("example.org").unwrap();
            let query = Query::new(&name, DnsQueryType::A, 7);
            let _ = query.read(&bytes);
            // The same behind a valid beginning, so that the records are reached.
            let mut message = answer(&query, 0, &[]);
            message[7] = 3;
            message.append(&mut bytes);
            message.truncate(message.len().saturating_sub(cut));
            let _ = query.read(&message);
        }
    }
}
