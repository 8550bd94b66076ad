//! Everything that was measured: medians, spreads, ratios to the reference, as a table and as JSON.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use system_tests::guest::repository;

use crate::plot::bars::{self, Gain};

/// Whom everybody is compared with, round by round.
const REFERENCE: &str = "linux-tiny";
/// Who must not lose.
const OURS: &str = "ukernel";
/// The same worker without a machine: what no guest is expected to reach.
const HOST: &str = "host";
/// Closer than this is no difference.
const EVEN: f64 = 0.03;

/// What a row is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    PerSecond,
    MegabytesPerSecond,
    Micros,
    Millis,
    Kib,
    Mib,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::PerSecond => "/s",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::Micros => "µs",
            Unit::Millis => "ms",
            Unit::Kib => "KiB",
            Unit::Mib => "MiB",
        }
    }

    fn more_is_better(self) -> bool {
        matches!(self, Unit::PerSecond | Unit::MegabytesPerSecond)
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    unit: Unit,
    /// A value a round, by who was measured.
    values: BTreeMap<String, Vec<f64>>,
}

/// A collection of rows, in the order in which they came.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    failures: BTreeMap<String, u32>,
    /// What the names of the rows contain that are wanted.
    #[serde(skip)]
    only: Option<String>,
}

impl Report {
    /// For rows whose names contain `only`, or for all.
    pub(crate) fn new(only: Option<&str>) -> Report {
        Report {
            only: only.map(String::from),
            ..Report::default()
        }
    }

    /// Whether a row is worth measuring.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| row.contains(only))
    }

    pub(crate) fn add(&mut self, row: &str, who: &str, unit: Unit, value: f64) {
        let index = self
            .rows
            .iter()
            .position(|known| known.name == row && known.unit == unit);
        let index = index.unwrap_or_else(|| {
            let (name, values) = (row.to_string(), BTreeMap::new());
            self.rows.push(Row { name, unit, values });
            self.rows.len() - 1
        });
        self.rows[index]
            .values
            .entry(who.to_string())
            .or_default()
            .push(value);
    }

    /// Writes down what there is so far, so that a run that is interrupted leaves it. Nothing, where only
    /// some rows are wanted.
    pub(crate) fn keep(&mut self) {
        if self.only.is_none()
            && let Err(error) = self.save()
        {
            self.fail("peers.json", OURS, &error.to_string());
        }
    }

    /// What went wrong, once a kind.
    pub(crate) fn fail(&mut self, row: &str, who: &str, problem: &str) {
        *self
            .failures
            .entry(format!("{row}: {who}: {problem}"))
            .or_default() += 1;
    }

    /// A line a row: everybody's median, and how this kernel's rounds compare with the reference's.
    pub(crate) fn print(&self) {
        let mut columns: Vec<&str> = Vec::new();
        for who in self.rows.iter().flat_map(|row| row.values.keys()) {
            if !columns.contains(&who.as_str()) {
                columns.push(who);
            }
        }
        columns.sort_by_key(|who| (!who.starts_with(OURS), *who == HOST));
        print!("\n{:<52}{:>5}", "median of the rounds", "");
        for who in &columns {
            print!("{who:>14}");
        }
        println!("   against {REFERENCE}");
        for row in &self.rows {
            print!("{:<52}{:>5}", row.name, row.unit.name());
            for who in &columns {
                match row.values.get(*who) {
                    Some(values) => print!("{:>14}", number(spread(values).1)),
                    None => print!("{:>14}", "-"),
                }
            }
            println!("   {}", row.verdict());
        }
        if !self.failures.is_empty() {
            println!("\nfailed:");
        }
        for (what, count) in &self.failures {
            println!("  {what} ({count} times)");
        }
    }

    /// Everything, for tools.
    fn save(&self) -> io::Result<()> {
        let folder = repository().join("build/bench");
        std::fs::create_dir_all(&folder)?;
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        std::fs::write(folder.join("peers.json"), text + "\n")?;
        bars::draw(&folder.join("peers.svg"), &self.gains())
    }

    /// By how much each row is won (more than one) or lost, as far as the reference has it.
    fn gains(&self) -> Vec<Gain> {
        let gain = |row: &Row| {
            Some(Gain {
                row: row.name.clone(),
                gain: row.gain()?,
            })
        };
        self.rows.iter().filter_map(gain).collect()
    }
}

impl Row {
    /// The ratios to the reference in the same round: least, median, most.
    fn ratio(&self, who: &str) -> Option<(f64, f64, f64)> {
        let reference = self.values.get(REFERENCE)?;
        let pairs = self.values.get(who)?.iter().zip(reference);
        let ratios: Vec<f64> = pairs.map(|(value, reference)| value / reference).collect();
        (!ratios.is_empty()).then(|| spread(&ratios))
    }

    /// By how much this kernel is better than the reference.
    fn gain(&self) -> Option<f64> {
        let (_, median, _) = self.ratio(OURS)?;
        Some(match self.unit.more_is_better() {
            true => median,
            false => 1.0 / median,
        })
    }

    /// The ratio, and whether the row is won or lost by it.
    fn verdict(&self) -> String {
        let Some((least, median, most)) = self.ratio(OURS) else {
            return String::new();
        };
        let gain = self.gain().unwrap_or(1.0);
        let word = match gain {
            gain if gain < 1.0 - EVEN => "LOST",
            gain if gain > 1.0 + EVEN => "won",
            _ => "even",
        };
        format!("{median:.2} x [{least:.2} .. {most:.2}]  {word}")
    }
}

/// Three digits are enough, and large numbers need no point.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Least, median, most.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    };
    (sorted[0], median, sorted[sorted.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_pair_by_pair() {
        let mut report = Report::new(None);
        for (ours, theirs) in [(10.0, 20.0), (40.0, 80.0), (9.0, 10.0)] {
            report.add("row", OURS, Unit::Micros, ours);
            report.add("row", REFERENCE, Unit::Micros, theirs);
        }
        assert_eq!(report.rows[0].ratio(OURS), Some((0.5, 0.5, 0.9)));
        assert!(report.rows[0].verdict().ends_with("won"));
    }

    #[test]
    fn less_is_worse_where_more_is_better() {
        let mut report = Report::new(None);
        report.add("row", OURS, Unit::PerSecond, 5.0);
        report.add("row", REFERENCE, Unit::PerSecond, 10.0);
        assert!(report.rows[0].verdict().ends_with("LOST"));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_eq!(spread(&[3.0]), (3.0, 3.0, 3.0));
    }
}
