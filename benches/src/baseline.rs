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
/// The same for what happens once, a boot: it reads clocks until two readings agree, and how often depends
/// on the host. In instructions.
const NOTHING_ONCE: f64 = 250.0;
/// And in accesses to devices.
const NO_ACCESS_ONCE: f64 = 2.0;

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

/// What does not matter in a column of a row.
fn nothing(row: &str, column: &str) -> f64 {
    match (row.starts_with("boot_"), column) {
        (true, "instructions") => NOTHING_ONCE,
        (true, _) => NO_ACCESS_ONCE,
        (false, _) => NOTHING,
    }
}

/// Compares a count in a column of a row with the one that was committed.
pub(crate) fn change(row: &str, column: &str, before: f64, now: f64) -> Change {
    let difference = now - before;
    if difference.abs() <= (before * TOLERANCE / 100.0).max(nothing(row, column)) {
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
        let change = |now| change("wire_echo", "instructions", 1000.0, now);
        assert_eq!(change(1020.0), Change::Same);
        assert_eq!(change(980.0), Change::Same);
        assert_eq!(change(1030.0), Change::More(3.0));
        assert_eq!(change(900.0), Change::Less(10.0));
    }

    #[test]
    fn a_count_that_was_zero_may_not_come_into_being() {
        let change = |now| change("wire_echo", "allocations", 0.0, now);
        assert_eq!(change(0.05), Change::Same);
        assert_eq!(change(1.0), Change::More(f64::INFINITY));
    }

    #[test]
    fn a_boot_may_look_at_the_clock_once_more_but_not_do_more() {
        let change = |now| change("boot_interrupts", "instructions", 1400.0, now);
        assert_eq!(change(1600.0), Change::Same);
        assert_eq!(change(1750.0), Change::More(25.0));
    }
}
