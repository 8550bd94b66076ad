//! One line of the log as text, formatted on the stack.
//!
//! ```
//! use reactor::time::Instant;
//! use ukernel::log::line::Line;
//!
//! let now = Instant::from_nanos(12_345_678);
//! let line = Line::compose(now, log::Level::Info, format_args!("net: up mtu={}", 1500));
//! assert_eq!(line.as_bytes(), b"[    0.012345] INFO  net: up mtu=1500\n");
//! ```

use core::fmt::{self, Write};
use log::{Level, Record};
use reactor::time::Instant;

/// The longest line, its break included. What is beyond is cut off, and `...` says so.
pub const MAX_LINE: usize = 512;

const CUT: &[u8] = b"...\n";

/// A finished line.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; MAX_LINE],
    len: usize,
    cut: bool,
}

impl Line {
    /// The line for a record of the `log` crate.
    pub fn format(now: Instant, record: &Record) -> Line {
        if record.level() < Level::Debug {
            return Line::compose(now, record.level(), *record.args());
        }
        let target = record.target();
        Line::compose(
            now,
            record.level(),
            format_args!("{} target={target}", record.args()),
        )
    }

    /// The line for a message.
    pub fn compose(now: Instant, level: Level, message: fmt::Arguments) -> Line {
        let mut line = Line::empty();
        let micros = now.as_nanos() / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        // Writing into a `Line` cannot fail; a message whose formatting does is cut there.
        let _ = write!(line, "[{seconds:5}.{micros:06}] {level:<5} ");
        let _ = line.write_fmt(message);
        line.finish();
        line
    }

    /// A line without time and level.
    pub fn plain(message: fmt::Arguments) -> Line {
        let mut line = Line::empty();
        let _ = line.write_fmt(message); // as in `compose`
        line.finish();
        line
    }

    fn empty() -> Line {
        Line {
            bytes: [0; MAX_LINE],
            len: 0,
            cut: false,
        }
    }

    /// The text, with its line break.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Ends the line. A control character, which could forge another line or drive a terminal,
    /// becomes `?`.
    fn finish(&mut self) {
        let text = &mut self.bytes[..self.len];
        if has_control(text) {
            let controls = text.iter_mut().filter(|byte| byte.is_ascii_control());
            controls.for_each(|byte| *byte = b'?');
        }
        if self.cut {
            // The text goes to the last byte but one then.
            self.bytes[MAX_LINE - CUT.len()..].copy_from_slice(CUT);
            self.len = MAX_LINE;
        } else {
            self.bytes[self.len] = b'\n';
            self.len += 1;
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_LINE - 1 - self.len;
        self.cut |= text.len() > room;
        let text = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
        Ok(())
    }
}

/// Whether there may be a control character, eight bytes at a time: most text has none.
fn has_control(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        // A byte below 0x20 borrows into its highest bit; one of 0x7f carries into it.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = !word & (word & !HIGH).wrapping_add(ONES);
        (below | delete) & HIGH != 0
    };
    words.iter().any(in_word) || rest.iter().any(u8::is_ascii_control)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    fn text(level: Level, message: fmt::Arguments) -> String {
        let line = Line::compose(Instant::from_nanos(61_000_001_000), level, message);
        String::from_utf8(line.as_bytes().into()).unwrap()
    }

    #[test]
    fn a_plain_line_has_only_its_text_and_cannot_be_two() {
        assert_eq!(Line::plain(format_args!("a\nb")).as_bytes(), b"a?b\n");
    }

    #[test]
    fn begins_with_time_and_level() {
        let line = text(Level::Warn, format_args!("x"));
        assert_eq!(line, "[   61.000001] WARN  x\n");
    }

    #[test]
    fn the_module_is_named_where_one_is_looking_for_bugs() {
        let record = |level| {
            let line = Line::format(
                Instant::ZERO,
                &Record::builder()
                    .level(level)
                    .target("a::b")
                    .args(format_args!("m"))
                    .build(),
            );
            String::from_utf8(line.as_bytes().into()).unwrap()
        };
        assert!(record(Level::Debug).ends_with("DEBUG m target=a::b\n"));
        assert!(record(Level::Info).ends_with("INFO  m\n"));
    }

    #[test]
    fn input_cannot_forge_a_line() {
        let line = text(
            Level::Info,
            format_args!("name=a\r\nukernel: exit status=0"),
        );
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("name=a??ukernel: exit status=0\n"));
    }

    #[test]
    fn every_control_character_is_found_wherever_it_stands() {
        for byte in 0..=255 {
            for place in 0..11 {
                let mut text = *b"ordinary ~\xff\x80";
                text[place] = byte;
                let found = has_control(&text);
                assert!(found || !byte.is_ascii_control(), "{byte:#x} at {place}");
            }
        }
        assert!(!has_control(
            "ordinary text ~ with \u{e4} \u{20ac}".as_bytes()
        ));
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let line = text(Level::Info, format_args!("{:600}", ""));
        assert_eq!(line.len(), MAX_LINE);
        assert!(line.ends_with(" ...\n"));
        let fits = MAX_LINE - 1 - "[   61.000001] INFO  ".len();
        let line = text(Level::Info, format_args!("{:fits$}", ""));
        assert!(line.ends_with("  \n"));
    }
}
