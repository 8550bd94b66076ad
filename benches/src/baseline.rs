//! The committed counts that later ones are compared with: `benches/baseline.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use system_tests::guest::repository;

/// How much more than the baseline a count may be, in per cent, before that is a failure; and how much
/// less, before the baseline is worth an update.
pub(crate) const TOLERANCE: f64 = 2.0;
/// Counts differ by less than this, per operation, for nothing: a wake more in a thousand.
const NOTHING: f64 = 0.06;

/// Counts per operation, by name.
pub(crate) type Row = BTreeMap<String, f64>;

/// Every row, and where it was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// QEMU's version: another one translates and answers differently.
    pub(crate) qemu: String,
    pub(crate) rows: BTreeMap<String, Row>,
}

/// How a count compares with the baseline's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    Same,
    /// Less, by so many per cent.
    Less(f64),
    /// More, by so many per cent.
    More(f64),
}

impl Baseline {
    fn path() -> PathBuf {
        repository().join("benches/baseline.json")
    }

    pub(crate) fn load() -> io::Result<Baseline> {
        let text = fs::read_to_string(Baseline::path())?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    pub(crate) fn save(&self) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        fs::write(Baseline::path(), text + "\n")
    }
}

/// Compares a count with the one that was committed.
pub(crate) fn change(before: f64, now: f64) -> Change {
    let difference = now - before;
    if difference.abs() <= (before * TOLERANCE / 100.0).max(NOTHING) {
        return Change::Same;
    }
    let percent = 100.0 * difference.abs() / before;
    match difference > 0.0 {
        true => Change::More(percent),
        false => Change::Less(percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_are_the_same_and_three_are_not() {
        assert_eq!(change(1000.0, 1020.0), Change::Same);
        assert_eq!(change(1000.0, 980.0), Change::Same);
        assert_eq!(change(1000.0, 1030.0), Change::More(3.0));
        assert_eq!(change(1000.0, 900.0), Change::Less(10.0));
    }

    #[test]
    fn a_count_that_was_zero_may_not_come_into_being() {
        assert_eq!(change(0.0, 0.05), Change::Same);
        assert_eq!(change(0.0, 1.0), Change::More(f64::INFINITY));
    }
}
