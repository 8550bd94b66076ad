//! The demo's own arguments: what follows ` -- ` on the kernel's command line.
//!
//! `heartbeat=<seconds>|off` and `connections=<number>`. Unknown or malformed ones are named in a
//! warning and ignored, as the kernel does with its own options.

use core::time::Duration;

use crate::number::decimal;

/// Most concurrent HTTP connections, however much memory there is.
pub const MAX_CONNECTIONS: u64 = 16_384;

/// Longest period of the heartbeat, in seconds: a day.
const MAX_PERIOD: u64 = 86_400;

/// What the demo was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often the heartbeat line is logged; `None` never.
    pub heartbeat: Option<Duration>,
    /// Most concurrent HTTP connections; `None` leaves it to the memory there is.
    pub connections: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            heartbeat: Some(Duration::from_secs(10)),
            connections: None,
        }
    }
}

impl Settings {
    /// Reads the arguments, in their order; `reject` is told those that make no sense.
    pub fn parse(arguments: &[&str], mut reject: impl FnMut(&str)) -> Self {
        let mut settings = Settings::default();
        for argument in arguments {
            if settings.take(argument).is_none() {
                reject(argument);
            }
        }
        settings
    }

    fn take(&mut self, argument: &str) -> Option<()> {
        match argument.split_once('=')? {
            ("heartbeat", "off") => self.heartbeat = None,
            ("heartbeat", seconds) => {
                let seconds =
                    decimal(seconds).filter(|seconds| (1..=MAX_PERIOD).contains(seconds))?;
                self.heartbeat = Some(Duration::from_secs(seconds));
            }
            ("connections", number) => {
                let number = decimal(number).filter(|n| (1..=MAX_CONNECTIONS).contains(n))?;
                self.connections = Some(number as usize);
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    fn parse(arguments: &[&str]) -> (Settings, Vec<String>) {
        let mut rejected = Vec::new();
        let settings = Settings::parse(arguments, |word| rejected.push(word.to_string()));
        (settings, rejected)
    }

    #[test]
    fn reads_its_arguments() {
        let (settings, rejected) = parse(&["heartbeat=3", "connections=100"]);
        assert_eq!(settings.heartbeat, Some(Duration::from_secs(3)));
        assert_eq!(settings.connections, Some(100));
        assert!(rejected.is_empty());
        assert_eq!(parse(&["heartbeat=off"]).0.heartbeat, None);
    }

    #[test]
    fn ignores_and_names_what_makes_no_sense() {
        let words = [
            "heartbeat=0",
            "heartbeat=-1",
            "connections=0",
            "connections=99999",
            "x",
            "a=b",
        ];
        let (settings, rejected) = parse(&words);
        assert_eq!(settings, Settings::default());
        assert_eq!(rejected, words);
    }
}
