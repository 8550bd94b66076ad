//! `just bench-exact`: counts that repeat, beside the committed ones.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use crate::baseline::{Baseline, Change, Row, change};
use crate::boot;
use crate::calls;
use crate::counts::{Phase, count};
use crate::gauge::Counts;

/// The guest whose boot is counted: the demo worker.
const BOOTED: &str = "demo";

/// How often a count that has grown is taken again, before it is believed: a busy host can delay a
/// device's answer until the guest has gone to sleep.
const ATTEMPTS: usize = 5;

/// Prints every count beside the baseline's, and answers whether none has grown.
pub(crate) fn compare() -> io::Result<bool> {
    let baseline = Baseline::load()?;
    let qemu = qemu_version()?;
    if qemu != baseline.qemu {
        println!(
            "skipped: the baseline is QEMU {}'s, and this is QEMU {qemu}",
            baseline.qemu
        );
        return Ok(true);
    }
    let mut rows = measure()?;
    for _ in 1..ATTEMPTS {
        if grown(&baseline, &rows).next().is_none() {
            break;
        }
        improve(&mut rows, measure()?);
    }
    print(&rows, Some(&baseline));
    let missing = baseline
        .rows
        .keys()
        .filter(|name| !rows.contains_key(*name));
    let missing: Vec<_> = missing.collect();
    for name in &missing {
        println!("not measured any more: {name}");
    }
    for (name, column, now, before) in grown(&baseline, &rows) {
        println!("GREW: {name} {column}: {now:.2}, was {before:.2}");
    }
    Ok(missing.is_empty() && grown(&baseline, &rows).next().is_none())
}

/// Makes the counts of now the baseline.
pub(crate) fn update() -> io::Result<bool> {
    let mut rows = measure()?;
    improve(&mut rows, measure()?);
    let before = Baseline::load().ok();
    print(&rows, before.as_ref());
    let baseline = Baseline {
        qemu: qemu_version()?,
        rows,
    };
    baseline.save()?;
    Ok(true)
}

type Rows = BTreeMap<String, Row>;

fn measure() -> io::Result<Rows> {
    let mut rows = Rows::new();
    for (name, counts) in boot::phases(BOOTED)? {
        rows.insert(name.to_string(), row(&counts, 1.0));
    }
    for phase in count()? {
        rows.insert(phase.name.clone(), phase_row(&phase));
    }
    for phase in calls::count()? {
        let row = row(&phase.counts, phase.repeats as f64);
        rows.insert(format!("c_{}", phase.name), row);
    }
    Ok(rows)
}

/// What is compared. Sleeps and interrupts are not among it: whether the guest sleeps before a device
/// has answered is the host's doing.
fn row(counts: &Counts, operations: f64) -> Row {
    let columns = [
        ("instructions", counts.instructions),
        ("mmio", counts.mmio),
        ("pio", counts.pio),
        ("msr", counts.msr),
    ];
    columns
        .iter()
        .map(|(name, count)| (name.to_string(), round(*count as f64 / operations)))
        .collect()
}

fn phase_row(phase: &Phase) -> Row {
    let operations = phase.repeats as f64;
    let mut row = row(&phase.counts, operations);
    for (name, count) in [("allocations", phase.allocations), ("polls", phase.polls)] {
        row.insert(name.to_string(), round(count as f64 / operations));
    }
    row
}

/// Two digits behind the point are as much as repeats.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn improve(rows: &mut Rows, others: Rows) {
    for (name, other) in others {
        let row = rows.entry(name).or_default();
        for (column, value) in other {
            let kept = row.entry(column).or_insert(value);
            *kept = kept.min(value);
        }
    }
}

/// Each count that is more than the baseline's: row, column, now, before. A row that the baseline does
/// not have is not among them.
fn grown<'a>(
    baseline: &'a Baseline,
    rows: &'a Rows,
) -> impl Iterator<Item = (&'a str, &'a str, f64, f64)> {
    rows.iter().flat_map(|(name, row)| {
        let before = baseline.rows.get(name);
        row.iter().filter_map(move |(column, &now)| {
            let before = *before?.get(column)?;
            let grew = matches!(change(name, column, before, now), Change::More(_));
            grew.then_some((name.as_str(), column.as_str(), now, before))
        })
    })
}

const COLUMNS: [&str; 6] = ["instructions", "mmio", "pio", "msr", "allocations", "polls"];

fn print(rows: &Rows, baseline: Option<&Baseline>) {
    print!("{:<18}", "per operation");
    for column in COLUMNS {
        print!("{column:>13}");
    }
    println!("  against the baseline");
    for (name, row) in rows {
        print!("{name:<18}");
        for column in COLUMNS {
            match row.get(column) {
                Some(value) => print!("{value:>13.2}"),
                None => print!("{:>13}", ""),
            }
        }
        println!(
            "  {}",
            verdict(
                name,
                row,
                baseline.and_then(|baseline| baseline.rows.get(name))
            )
        );
    }
}

/// How a row's instructions compare.
fn verdict(name: &str, row: &Row, before: Option<&Row>) -> String {
    let instructions = |row: &Row| row.get("instructions").copied();
    let Some((now, before)) = instructions(row).zip(before.and_then(instructions)) else {
        return "new".into();
    };
    match change(name, "instructions", before, now) {
        Change::Same => "same".into(),
        Change::Less(percent) => format!("{percent:.1} % less"),
        Change::More(percent) => format!("{percent:.1} % MORE"),
    }
}

/// Such as `7.2.22`.
fn qemu_version() -> io::Result<String> {
    let output = Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split("version ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    version
        .map(str::to_string)
        .ok_or_else(|| io::Error::other("QEMU does not say its version"))
}
