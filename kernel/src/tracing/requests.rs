//! Requests about the trace, out of the bytes that come in on the serial port.

use abi::trace::Request;

/// Finds the lines that are requests; everything else means nothing.
///
/// ```
/// use abi::trace::Request;
/// use ukernel::tracing::Requests;
/// let mut requests = Requests::default();
/// let found: Vec<Request> = b"hello\n#trace\r\n".iter().filter_map(|byte| requests.feed(*byte)).collect();
/// assert_eq!(found, [Request::Write]);
/// ```
#[derive(Debug, Default)]
pub struct Requests {
    line: [u8; Request::MAX_LINE],
    /// Bytes of the line so far, also those that there was no room for; up to one more than there is room.
    len: usize,
}

impl Requests {
    /// Takes the next byte; the request, if it ends one.
    pub fn feed(&mut self, byte: u8) -> Option<Request> {
        if byte == b'\n' || byte == b'\r' {
            let len = core::mem::take(&mut self.len);
            return Request::parse(self.line.get(..len)?);
        }
        if let Some(place) = self.line.get_mut(self.len) {
            *place = byte;
        }
        self.len = (self.len + 1).min(self.line.len() + 1);
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn found(input: &[u8]) -> Vec<Request> {
        let mut requests = Requests::default();
        let found = input.iter().filter_map(|byte| requests.feed(*byte));
        found.collect()
    }

    #[test]
    fn only_whole_lines_are_requests() {
        for nothing in [
            "#trace",
            " #trace\n",
            "#trace \n",
            "#trace off!\n",
            "x#trace\n",
            "#trace offffffffffffffffff\n",
            "#tr\nace\n",
            "#trace\0\n",
        ] {
            assert_eq!(found(nothing.as_bytes()), [], "{nothing:?}");
        }
        let all = [Request::Write, Request::On, Request::Off];
        let lines: Vec<u8> = all.iter().flat_map(|one| one.line().bytes()).collect();
        assert_eq!(found(&lines), all);
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// Against the lines of the whole input.
        #[test]
        fn requests_are_the_lines_that_say_so(pieces in prop::collection::vec(
            prop_oneof!["#trace", "#trace on", "\n", "\r", "#", "[a-z #]{0,12}"], 0..30)) {
            let text = pieces.concat();
            let (lines, _unfinished) = text.rsplit_once(['\n', '\r']).unwrap_or(("", ""));
            let lines = lines.split(['\n', '\r']);
            let expected: Vec<Request> = lines.filter_map(|line| Request::parse(line.as_bytes())).collect();
            prop_assert_eq!(found(text.as_bytes()), expected);
        }
    }
}
