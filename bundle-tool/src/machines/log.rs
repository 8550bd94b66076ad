//! Reads the serial log that a [`Console`](super::Console) writes, also while it does: across the change to a new file,
//! and whole lines only.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::console::{FILE, OLDER};
use crate::manifest::LogLevel;

/// The longest line read whole, in bytes; a longer one is not a console's.
const MAX_LINE: usize = 128 * 1024;

/// A line of a guest's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came; `None` for a line that has no time, in a file that somebody has edited.
    pub time: Option<Timestamp>,
    /// What the guest wrote.
    pub text: String,
}

/// A log being read. Answers `None` at its end, and goes on from there when it is asked again.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    current: Option<BufReader<File>>,
    /// The file that `current` is, as the system knows it.
    inode: u64,
    partial: Vec<u8>,
}

impl Reader {
    /// The log of the machine in `folder`, from the oldest line on.
    ///
    /// # Errors
    /// A file cannot be read. One that is not there yet is empty.
    pub fn open(folder: &Path) -> io::Result<Reader> {
        let mut reader = Reader {
            folder: folder.into(),
            current: None,
            inode: 0,
            partial: Vec::new(),
        };
        if !reader.enter(OLDER)? {
            reader.enter(FILE)?;
        }
        Ok(reader)
    }

    /// The log from its present end on.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at_end(folder: &Path) -> io::Result<Reader> {
        let mut reader = Reader::open(folder)?;
        while reader.next_line()?.is_some() {}
        Ok(reader)
    }

    /// The next line; `None`: there is none yet.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(file) = &mut self.current {
                file.read_until(b'\n', &mut self.partial)?;
                if self.partial.ends_with(b"\n") || self.partial.len() > MAX_LINE {
                    let line = Line::parse(&String::from_utf8_lossy(&self.partial));
                    self.partial.clear();
                    return Ok(Some(line));
                }
            }
            // Nothing more is written to a file that is not the newest one, but something may have been since it was read.
            if !self.has_newer()? {
                return Ok(None);
            }
            if let Some(file) = &mut self.current
                && !file.fill_buf()?.is_empty()
            {
                continue;
            }
            self.partial.clear();
            if !self.enter(FILE)? {
                return Ok(None);
            }
        }
    }

    fn has_newer(&self) -> io::Result<bool> {
        match fs::metadata(self.folder.join(FILE)) {
            Ok(metadata) => Ok(self.current.is_none() || metadata.ino() != self.inode),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes to the beginning of a file. Whether it is there.
    fn enter(&mut self, name: &str) -> io::Result<bool> {
        let file = match File::open(self.folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        self.inode = file.metadata()?.ino();
        self.current = Some(BufReader::new(file));
        Ok(true)
    }
}

impl Line {
    /// Reads a line of the file, without its line break or with it.
    pub fn parse(line: &str) -> Line {
        let line = line.trim_end_matches('\n');
        let (time, text) = line.split_once(' ').unwrap_or((line, ""));
        match time.parse() {
            Ok(time) => Line {
                time: Some(time),
                text: text.into(),
            },
            Err(_) => Line {
                time: None,
                text: line.into(),
            },
        }
    }

    /// What a guest's log line consists of: seconds since its boot, level and message. `None` for other lines, such as
    /// those of a report, a trace, or what a program prints.
    pub fn parts(&self) -> Option<(f64, LogLevel, &str)> {
        let (uptime, rest) = self.text.strip_prefix('[')?.split_once("] ")?;
        let uptime: f64 = uptime.trim_start().parse().ok()?;
        let (level, message) = rest.split_at_checked(5)?;
        let level = match level.trim_end() {
            "ERROR" => LogLevel::Error,
            "WARN" => LogLevel::Warn,
            "INFO" => LogLevel::Info,
            "DEBUG" => LogLevel::Debug,
            "TRACE" => LogLevel::Trace,
            _ => return None,
        };
        Some((uptime, level, message.strip_prefix(' ')?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Console;
    use super::*;

    fn texts(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_line().unwrap())
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn a_line_is_a_time_and_a_text() {
        let line =
            Line::parse("2026-11-20T16:48:01.123456Z [    0.012345] INFO  net: up mtu=1500\n");
        assert_eq!(line.time, "2026-11-20T16:48:01.123456Z".parse().ok());
        let expected = (0.012345, LogLevel::Info, "net: up mtu=1500");
        assert_eq!(line.parts(), Some(expected));
        let line = Line::parse("2026-11-20T16:48:01.123456Z   at 0x0000000000101234\n");
        assert_eq!(line.text, "  at 0x0000000000101234");
        assert_eq!(line.parts(), None);
        assert_eq!(Line::parse("edited by hand\n").text, "edited by hand");
        for odd in [
            "[",
            "[1] ",
            "[1] INFO",
            "[x] INFO  y",
            "[1] \u{e4}\u{e4}\u{e4} y",
        ] {
            let line = Line {
                time: None,
                text: odd.into(),
            };
            assert_eq!(line.parts(), None, "{odd}");
        }
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_followed_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.next_line().unwrap(), None);
        let mut console = Console::create(folder.path()).unwrap();
        console.line("one");
        assert_eq!(texts(&mut reader), ["one"]);
        console.line("two");
        console.line("three");
        assert_eq!(texts(&mut reader), ["two", "three"]);
        assert_eq!(
            texts(&mut Reader::open_at_end(folder.path()).unwrap()),
            [""; 0]
        );
    }

    #[test]
    fn a_cut_line_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "on").unwrap();
        let mut reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.next_line().unwrap(), None);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        io::Write::write_all(&mut file, b"e\n").unwrap();
        assert_eq!(texts(&mut reader), ["one"]);
    }

    /// No line is left out or read twice when the file changes under a reader.
    #[test]
    fn the_change_to_a_new_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = Console::with_limit(folder.path(), 300).unwrap();
        let mut reader = Reader::open(folder.path()).unwrap();
        let mut seen = Vec::new();
        for number in 0..40 {
            console.line(&format!("{number:060}"));
            if number % 3 == 0 {
                seen.extend(texts(&mut reader));
            }
        }
        seen.extend(texts(&mut reader));
        let expected: Vec<String> = (0..40).map(|number| format!("{number:060}")).collect();
        assert_eq!(seen, expected);
        // Who comes later sees what is left.
        let late = texts(&mut Reader::open(folder.path()).unwrap());
        assert_eq!(late[..], expected[40 - late.len()..]);
        assert!((4..=6).contains(&late.len()), "{}", late.len());
    }
}
