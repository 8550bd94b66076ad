//! The guest's serial line as lines of text: kept, waited for, passed on as they come. Filled by the
//! machine's reader thread; any thread may read and wait.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most lines kept, unless less is asked for. The oldest go first; [`SerialLog::text`] says how many went.
pub(super) const MAX_LINES: usize = 200_000;

/// The longest line kept whole. A longer one is broken.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// How many lines of the log an error shows.
const TAIL_LINES: usize = 30;

/// The lines that a guest has written so far.
#[derive(Debug)]
pub struct SerialLog {
    /// How many lines are kept.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    dropped: usize,
    closed: bool,
}

/// A line that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the log; the next search may begin at `index + 1`.
    pub index: usize,
    /// The line without its line break.
    pub line: String,
}

/// A line did not come. Shows the end of the log.
#[derive(Debug)]
pub struct WaitError {
    pattern: String,
    /// `None`: the log ended before the deadline.
    timed_out_after: Option<Duration>,
    tail: String,
}

impl Default for SerialLog {
    /// An empty log that keeps 200,000 lines.
    fn default() -> SerialLog {
        SerialLog::keeping(MAX_LINES)
    }
}

impl SerialLog {
    /// An empty log that keeps so many lines, at least one.
    pub(super) fn keeping(count: usize) -> SerialLog {
        SerialLog {
            room: count.clamp(1, MAX_LINES),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Reads `source` to its end; calls `on_line` for each line, before whoever waits for that line goes on. Returns when
    /// the VMM closed it.
    pub(super) fn fill(&self, source: impl Read, mut on_line: impl FnMut(&str)) {
        let mut source = BufReader::new(source);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = source
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut bytes);
            if !matches!(read, Ok(1..)) {
                break;
            }
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end_matches(['\r', '\n']);
            on_line(line);
            self.push(line);
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn push(&self, line: &str) {
        let mut state = self.lock();
        if state.lines.len() == self.room {
            state.lines.pop_front();
            state.dropped += 1;
        }
        state.lines.push_back(line.to_string());
        self.changed.notify_all();
    }

    /// Waits for a line that contains `pattern`, from line `from` on, at most for `within`.
    ///
    /// # Errors
    /// The log ended, or the time is up; the error shows the end of the log.
    pub fn wait_for(
        &self,
        pattern: &str,
        from: usize,
        within: Duration,
    ) -> Result<Found, WaitError> {
        let deadline = Instant::now() + within;
        let mut next = from;
        let mut state = self.lock();
        loop {
            if let Some(found) = state.find(pattern, &mut next) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                let timed_out_after = (!state.closed).then_some(within);
                let tail = state.tail(TAIL_LINES);
                return Err(WaitError {
                    pattern: pattern.into(),
                    timed_out_after,
                    tail,
                });
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the VMM has closed the line, at most for `within`.
    pub(super) fn wait_until_closed(&self, within: Duration) {
        let state = self.lock();
        // Either way the log is what there is.
        drop(
            self.changed
                .wait_timeout_while(state, within, |state| !state.closed),
        );
    }

    /// The whole log so far, each line ended by a line feed.
    pub fn text(&self) -> String {
        let state = self.lock();
        let mut text = match state.dropped {
            0 => String::new(),
            dropped => format!("[{dropped} earlier lines dropped]\n"),
        };
        text.push_str(&state.tail(usize::MAX));
        text
    }

    /// The number of lines so far, those dropped included: where a search for what comes next begins.
    pub fn line_count(&self) -> usize {
        let state = self.lock();
        state.dropped + state.lines.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a caller's `on_line` leaves the lines whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Searches what `next` has not seen yet, and moves it on.
    fn find(&self, pattern: &str, next: &mut usize) -> Option<Found> {
        *next = (*next).max(self.dropped);
        while let Some(line) = self.lines.get(*next - self.dropped) {
            *next += 1;
            if line.contains(pattern) {
                return Some(Found {
                    index: *next - 1,
                    line: line.clone(),
                });
            }
        }
        None
    }

    fn tail(&self, count: usize) -> String {
        let skip = self.lines.len().saturating_sub(count);
        self.lines
            .iter()
            .skip(skip)
            .flat_map(|line| [line.as_str(), "\n"])
            .collect()
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.timed_out_after {
            Some(limit) => write!(f, "no line with '{}' within {limit:?}", self.pattern)?,
            None => write!(f, "the log ended without a line with '{}'", self.pattern)?,
        }
        write!(f, "; the log's end:\n{}", self.tail)
    }
}

impl std::error::Error for WaitError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn filled(bytes: &[u8]) -> SerialLog {
        let log = SerialLog::default();
        log.fill(bytes, |_| {});
        log
    }

    #[test]
    fn lines_lose_their_breaks_and_an_unfinished_one_counts() {
        let log = SerialLog::default();
        let mut seen = Vec::new();
        log.fill(&b"one\r\ntwo\n\xff\nrest"[..], |line| {
            seen.push(line.to_string());
        });
        assert_eq!(seen, ["one", "two", "\u{fffd}", "rest"]);
        assert_eq!(log.text(), "one\ntwo\n\u{fffd}\nrest\n");
    }

    #[test]
    fn a_search_can_go_on_behind_what_it_found() {
        let log = filled(b"tick 1\nother\ntick 2\n");
        let first = log.wait_for("tick", 0, SOON).unwrap();
        let second = log.wait_for("tick", first.index + 1, SOON).unwrap();
        assert_eq!(
            (first.line.as_str(), second.line.as_str()),
            ("tick 1", "tick 2")
        );
        assert_eq!(second.index, 2);
    }

    #[test]
    fn waiting_ends_when_the_log_does() {
        let error = filled(b"a\nb\n")
            .wait_for("c", 0, SOON)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "the log ended without a line with 'c'; the log's end:\na\nb\n"
        );
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let log = SerialLog::default();
        let error = log
            .wait_for("c", 0, Duration::from_millis(1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("within 1ms"), "{error}");
    }

    #[test]
    fn a_waiter_sees_what_another_thread_reads() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let log = SerialLog::default();
        std::thread::scope(|scope| {
            scope.spawn(|| log.fill(reader, |_| {}));
            let waiter = scope.spawn(|| log.wait_for("ready", 0, SOON));
            std::io::Write::write_all(&mut writer, b"boot\nready\n").unwrap();
            assert_eq!(waiter.join().unwrap().unwrap().index, 1);
            drop(writer);
        });
    }

    /// Who was told that a line came finds it where it was passed on to.
    #[test]
    fn a_line_is_passed_on_before_it_can_be_waited_for() {
        let log = SerialLog::default();
        log.fill(&b"one\ntwo\n"[..], |line| {
            let waited = log.wait_for(line, 0, Duration::ZERO);
            assert!(waited.is_err(), "{line}");
        });
        assert_eq!(log.line_count(), 2);
    }

    #[test]
    fn the_oldest_lines_go_first_and_are_counted() {
        let log = SerialLog::default();
        for n in 0..MAX_LINES + 2 {
            log.push(&format!("line {n}"));
        }
        assert!(
            log.text()
                .starts_with("[2 earlier lines dropped]\nline 2\n")
        );
        assert_eq!(log.line_count(), MAX_LINES + 2);
        assert_eq!(log.wait_for("line 3", 0, SOON).unwrap().index, 3);
    }

    #[test]
    fn an_endless_line_is_broken() {
        let log = filled(&vec![b'x'; MAX_LINE_BYTES as usize + 1]);
        assert_eq!(log.line_count(), 2);
    }
}
