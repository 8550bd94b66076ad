//! Lines of the log, on standard error.
//!
//! A program that has a logger for the crate `log` of its own, being in Rust, keeps it.

use std::fmt;
use std::io::Write;
use std::sync::Once;

use log::{Log, Metadata, Record};
use rustix::time::{ClockId, clock_gettime};

use crate::settings;

/// The longest line, its break included.
const MAX_LINE: usize = 512;

struct StandardError;

/// Has lines written; once.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&StandardError).is_ok() {
            log::set_max_level(settings::get().log);
        }
        for problem in &settings::get().problems {
            log::warn!("policy: {problem}");
        }
    });
}

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let now = clock_gettime(ClockId::Monotonic);
            let (seconds, micros) = (now.tv_sec, now.tv_nsec / 1000);
            let (level, message) = (record.level(), record.args());
            plain(format_args!(
                "[{seconds:5}.{micros:06}] {level:<5} {message}"
            ));
        }
    }

    fn flush(&self) {}
}

/// Writes a line. A control character, which could forge another line or drive a terminal, becomes `?`.
pub(crate) fn plain(message: fmt::Arguments<'_>) {
    let text = message.to_string();
    let text = text
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter });
    let mut line: String = text.collect();
    if line.len() >= MAX_LINE {
        line.truncate(line.floor_char_boundary(MAX_LINE - 4));
        line.push_str("...");
    }
    line.push('\n');
    // There is nowhere to say that standard error is closed.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
