//! Traces as text: a line for each record, so that they can share a serial line with the log.
//!
//! A line is the prefix, a letter for the kind, and fields between single spaces. Numbers are hexadecimal without a
//! prefix, times nanoseconds since the machine started. Texts have every byte that is no printable ASCII
//! character, the space and `%` written as `%` and two digits; an empty one is a lone `%`.
//!
//! | line | fields |
//! | --- | --- |
//! | `h` head, first | version, records that were lost |
//! | `t` a task's name | task, name |
//! | `s` a span that has ended | begin, duration, task, task that ended it, span, span around it or 0, name |
//! | `o` a span that has not | begin, task, span, span around it or 0, name |
//! | `e` an event | time, task, span or 0, name, text |
//!
//! ```
//! use abi::trace::{Event, Record, Text};
//! let event = Event { at: 1_000_000, task: 3, span: 0, name: "hit", text: "key=a b" };
//! let record = Record::Event(event.map(|text| Text::new(text.as_bytes())));
//! let line = record.to_string();
//! assert_eq!(line, "#trace e f4240 3 0 hit key=a%20b");
//! assert_eq!(Record::parse(&line), Some(record));
//! assert_eq!(Record::parse("some log line"), None);
//! ```

use core::fmt::{self, Write};

/// Begins each line of a trace.
pub const PREFIX: &str = "#trace ";
/// The version of the format; a head with another one is not read.
pub const VERSION: u32 = 1;
/// The most bytes of a name or a text; what is beyond is cut when it is recorded.
pub const MAX_TEXT: usize = 31;

/// What a machine that traces is asked for, by a line on its serial port's input. Other lines there mean nothing to it.
///
/// ```
/// use abi::trace::Request;
/// assert_eq!(Request::parse(b"#trace"), Some(Request::Write));
/// assert_eq!(Request::parse(b"#trace off"), Some(Request::Off));
/// assert_eq!(Request::parse(b"#trace offside"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `#trace`: to write what was recorded since it was written last.
    Write,
    /// `#trace on`: to record from now on.
    On,
    /// `#trace off`: to stop that.
    Off,
}

impl Request {
    /// The longest line that is one, in bytes, without its line break.
    pub const MAX_LINE: usize = 10;

    /// Reads a line, without its line break.
    pub fn parse(line: &[u8]) -> Option<Request> {
        match line {
            b"#trace" => Some(Request::Write),
            b"#trace on" => Some(Request::On),
            b"#trace off" => Some(Request::Off),
            _ => None,
        }
    }

    /// The line that asks for it, with its line break.
    pub const fn line(self) -> &'static str {
        match self {
            Request::Write => "#trace\n",
            Request::On => "#trace on\n",
            Request::Off => "#trace off\n",
        }
    }
}

/// Bytes of a name, as they are or as they stand in a line.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    bytes: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// A text with these bytes.
    pub const fn new(bytes: &'a [u8]) -> Text<'a> {
        Text {
            bytes,
            escaped: false,
        }
    }

    /// A text as it stands in a line.
    const fn escaped(field: &'a str) -> Text<'a> {
        Text {
            bytes: field.as_bytes(),
            escaped: true,
        }
    }

    /// Its bytes. An escape that is none stands for itself.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + 'a {
        let (mut rest, escaped) = (self.bytes, self.escaped);
        core::iter::from_fn(move || match rest {
            [b'%'] if escaped => None, // an empty text, or a cut line
            [b'%', high, low, after @ ..] if escaped => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    Some(high << 4 | low)
                }
                _ => {
                    rest = &rest[1..];
                    Some(b'%')
                }
            },
            [first, after @ ..] => {
                rest = after;
                Some(*first)
            }
            [] => None,
        })
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.bytes().peekable();
        if bytes.peek().is_none() {
            return f.write_char('%');
        }
        bytes.try_for_each(|byte| match byte {
            b'%' | 0..=b' ' | 0x7f.. => write!(f, "%{byte:02x}"),
            _ => f.write_char(char::from(byte)),
        })
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Texts are equal if their bytes are, escaped or not.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Text<'_>) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for Text<'_> {}

/// What a line tells. Spans and tasks are numbers that are used for one thing only; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The first one of a drain.
    Head {
        /// How many were overwritten since the last drain.
        lost: u64,
    },
    /// What a task is called.
    Task {
        /// Its number.
        task: u32,
        /// Its name.
        name: Text<'a>,
    },
    /// A span of time.
    Span(Span<Text<'a>>),
    /// Something that happened, or, without a name, an attribute of its span.
    Event(Event<Text<'a>>),
}

/// A span of time. Texts are of type `T`: [`Text`] in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<T> {
    /// When it began.
    pub begin: u64,
    /// The task it began in.
    pub task: u32,
    /// Its number.
    pub number: u64,
    /// The span that it is a part of.
    pub parent: u64,
    /// What it is called.
    pub name: T,
    /// `None`: it is not over.
    pub end: Option<End>,
}

/// The end of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How long the span took.
    pub duration: u64,
    /// The task it ended in.
    pub task: u32,
}

/// Something that happened. Texts are of type `T`: [`Text`] in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// When.
    pub at: u64,
    /// In which task.
    pub task: u32,
    /// In which span.
    pub span: u64,
    /// What; empty: it is an attribute of the span.
    pub name: T,
    /// More of it, such as `key=value`.
    pub text: T,
}

impl<T> Span<T> {
    /// The same with its text as another type.
    pub fn map<U>(self, text: impl Fn(T) -> U) -> Span<U> {
        Span {
            begin: self.begin,
            task: self.task,
            number: self.number,
            parent: self.parent,
            name: text(self.name),
            end: self.end,
        }
    }
}

impl<T> Event<T> {
    /// The same with its texts as another type.
    pub fn map<U>(self, text: impl Fn(T) -> U) -> Event<U> {
        Event {
            at: self.at,
            task: self.task,
            span: self.span,
            name: text(self.name),
            text: text(self.text),
        }
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self {
            Record::Head { lost } => write!(f, "h {VERSION:x} {lost:x}"),
            Record::Task { task, name } => write!(f, "t {task:x} {name}"),
            Record::Span(span) => span.fmt(f),
            Record::Event(event) => event.fmt(f),
        }
    }
}

impl fmt::Display for Span<Text<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(End { duration, task }) => write!(
                f,
                "s {:x} {duration:x} {:x} {task:x} ",
                self.begin, self.task
            )?,
            None => write!(f, "o {:x} {:x} ", self.begin, self.task)?,
        }
        write!(f, "{:x} {:x} {}", self.number, self.parent, self.name)
    }
}

impl fmt::Display for Event<Text<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            at,
            task,
            span,
            name,
            text,
        } = self;
        write!(f, "e {at:x} {task:x} {span:x} {name} {text}")
    }
}

impl<'a> Record<'a> {
    /// Reads a line, without its line break. `None`: it is no record, or one that was cut or garbled.
    pub fn parse(line: &'a str) -> Option<Record<'a>> {
        let mut fields = Fields(line.trim_end().strip_prefix(PREFIX)?);
        let record = match fields.next()? {
            "h" => {
                let version = fields.number()?;
                let lost = fields.number()?;
                (version == u64::from(VERSION)).then_some(Record::Head { lost })?
            }
            "t" => Record::Task {
                task: fields.small_number()?,
                name: fields.text()?,
            },
            "s" => Record::Span(fields.span(true)?),
            "o" => Record::Span(fields.span(false)?),
            "e" => Record::Event(Event {
                at: fields.number()?,
                task: fields.small_number()?,
                span: fields.number()?,
                name: fields.text()?,
                text: fields.text()?,
            }),
            _ => return None,
        };
        fields.0.is_empty().then_some(record)
    }
}

/// What is left of a line.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The next field; no field is empty.
    fn next(&mut self) -> Option<&'a str> {
        let (field, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        (!field.is_empty()).then_some(field)
    }

    fn number(&mut self) -> Option<u64> {
        let field = self.next()?;
        let digits = field.bytes().all(|byte| byte.is_ascii_hexdigit()); // no sign
        digits.then(|| u64::from_str_radix(field, 16).ok())?
    }

    fn small_number(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn text(&mut self) -> Option<Text<'a>> {
        self.next().map(Text::escaped)
    }

    fn span(&mut self, is_over: bool) -> Option<Span<Text<'a>>> {
        let begin = self.number()?;
        let duration = if is_over { self.number()? } else { 0 };
        let task = self.small_number()?;
        let ended_by = if is_over { self.small_number()? } else { 0 };
        Some(Span {
            begin,
            task,
            number: self.number()?,
            parent: self.number()?,
            name: self.text()?,
            end: is_over.then_some(End {
                duration,
                task: ended_by,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let line = Record::Task {
            task: 1,
            name: Text::new(&all),
        }
        .to_string();
        assert!(
            line.bytes().all(|byte| (b' '..0x7f).contains(&byte)),
            "{line}"
        );
        let Some(Record::Task { name, .. }) = Record::parse(&line) else {
            panic!("{line}");
        };
        assert_eq!(name.bytes().collect::<Vec<u8>>(), all);
        assert_eq!(name.to_string(), Text::new(&all).to_string());
    }

    #[test]
    fn every_kind_comes_back() {
        let name = Text::new(b"");
        for record in [
            Record::Head { lost: u64::MAX },
            Record::Task {
                task: u32::MAX,
                name,
            },
            Record::Span(Span {
                begin: 1,
                task: 2,
                number: 1 << 39,
                parent: 0,
                name: Text::new(b"GET /"),
                end: Some(End {
                    duration: u64::MAX,
                    task: 3,
                }),
            }),
            Record::Span(Span {
                begin: 9,
                task: 8,
                number: 7,
                parent: 6,
                name,
                end: None,
            }),
            Record::Event(Event {
                at: 5,
                task: 4,
                span: 3,
                name,
                text: Text::new(b"%"),
            }),
        ] {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
            assert_eq!(Record::parse(&std::format!("{record}\r")), Some(record));
        }
    }

    #[test]
    fn garbled_lines_are_no_records() {
        for rest in [
            "",
            "h",
            "h 1",
            "h 2 0",
            "h 1 0 0",
            "h 1 +0",
            "h 1 -1",
            "x 1",
            "t 1",
            "t 100000000 x",
            "t 1  x",
            "t 1 x ",
            "e 1 1 1 x",
            "s 1 1 1 1 1 1",
            "o 1 1 1 1 x y",
            "h 1 10000000000000000",
            " h 1 0",
        ] {
            let line = std::format!("{PREFIX}{rest}");
            let expected = rest == "t 1 x "; // space at the end is the line's
            assert_eq!(Record::parse(&line).is_some(), expected, "{line:?}");
        }
        assert_eq!(Record::parse(" #trace h 1 0"), None);
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        for (field, bytes) in [
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("a%", "a"),
            ("%41%", "A"),
            ("%%41", "%A"),
        ] {
            assert_eq!(Text::escaped(field), Text::new(bytes.as_bytes()), "{field}");
        }
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        for request in [Request::Write, Request::On, Request::Off] {
            let line = request.line().strip_suffix('\n').unwrap().as_bytes();
            assert_eq!(Request::parse(line), Some(request));
            assert!(line.len() <= Request::MAX_LINE);
        }
    }
}
