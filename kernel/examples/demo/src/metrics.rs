//! Numbers with a name, a unit and an explanation, in the two forms that leave the machine.
//!
//! One list of [`Family`]s feeds both `/metrics` (Prometheus text format 0.0.4) and `/stats.json`
//! (an object with one number, or one array over the devices, per family), so that they cannot
//! disagree.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// The `Content-Type` of [`prometheus`].
pub const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a number behaves, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows while the machine runs.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A number and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Things, or bytes.
    Count(u64),
    /// A span of time, shown in seconds as Prometheus wants it.
    Nanoseconds(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(count) => write!(f, "{count}"),
            // Integers only: floating point is done in software here, and would round.
            Value::Nanoseconds(ns) => {
                write!(f, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
            }
        }
    }
}

/// What a family is counted over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// The machine as a whole.
    One(Value),
    /// Each device of a kind: the label's name, and the values by device number.
    PerDevice(&'static str, Vec<Value>),
}

/// A named number, or one for each device of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Name without the common prefix, in Prometheus' style: base units, counters end in `_total`.
    pub name: &'static str,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The values.
    pub samples: Samples,
}

/// A family over the machine as a whole.
pub fn one(name: &'static str, help: &'static str, kind: Kind, value: Value) -> Family {
    Family {
        name,
        help,
        kind,
        samples: Samples::One(value),
    }
}

/// A family with one number per device.
pub fn per_device(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: impl IntoIterator<Item = u64>,
) -> Family {
    let values = values.into_iter().map(Value::Count).collect();
    Family {
        name,
        help,
        kind: Kind::Counter,
        samples: Samples::PerDevice(label, values),
    }
}

/// The families in Prometheus' text format.
pub fn prometheus(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        // Writing to a String does not fail.
        let _ = write_prometheus(&mut text, family);
    }
    text
}

fn write_prometheus(text: &mut String, family: &Family) -> fmt::Result {
    let Family {
        name,
        help,
        kind,
        samples,
    } = family;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    writeln!(
        text,
        "# HELP ukernel_{name} {help}\n# TYPE ukernel_{name} {kind}"
    )?;
    match samples {
        Samples::One(value) => writeln!(text, "ukernel_{name} {value}"),
        Samples::PerDevice(label, values) => values
            .iter()
            .enumerate()
            .try_for_each(|(n, value)| writeln!(text, "ukernel_{name}{{{label}=\"{n}\"}} {value}")),
    }
}

/// The families as one JSON object.
pub fn json(families: &[Family]) -> String {
    let mut text = String::from("{");
    for (index, family) in families.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write_json(&mut text, index, family);
    }
    text.push('}');
    text
}

fn write_json(text: &mut String, index: usize, family: &Family) -> fmt::Result {
    let comma = |index| if index == 0 { "" } else { "," };
    write!(text, "{}\"{}\":", comma(index), family.name)?;
    match &family.samples {
        Samples::One(value) => write!(text, "{value}"),
        Samples::PerDevice(_, values) => {
            text.push('[');
            for (n, value) in values.iter().enumerate() {
                write!(text, "{}{value}", comma(n))?;
            }
            text.push(']');
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn families() -> Vec<Family> {
        vec![
            one(
                "polls_total",
                "Polls of all tasks",
                Kind::Counter,
                Value::Count(12),
            ),
            one(
                "idle_seconds_total",
                "Time asleep",
                Kind::Counter,
                Value::Nanoseconds(2_000_000_345),
            ),
            one("tasks", "Tasks alive", Kind::Gauge, Value::Count(3)),
            per_device("disk_read_bytes_total", "Bytes read", "disk", [512, 0]),
            per_device("net_frames_total", "Frames", "net", []),
        ]
    }

    #[test]
    fn prometheus_text_has_help_and_type_before_its_samples() {
        assert_eq!(
            prometheus(&families()),
            "# HELP ukernel_polls_total Polls of all tasks\n\
             # TYPE ukernel_polls_total counter\n\
             ukernel_polls_total 12\n\
             # HELP ukernel_idle_seconds_total Time asleep\n\
             # TYPE ukernel_idle_seconds_total counter\n\
             ukernel_idle_seconds_total 2.000000345\n\
             # HELP ukernel_tasks Tasks alive\n\
             # TYPE ukernel_tasks gauge\n\
             ukernel_tasks 3\n\
             # HELP ukernel_disk_read_bytes_total Bytes read\n\
             # TYPE ukernel_disk_read_bytes_total counter\n\
             ukernel_disk_read_bytes_total{disk=\"0\"} 512\n\
             ukernel_disk_read_bytes_total{disk=\"1\"} 0\n\
             # HELP ukernel_net_frames_total Frames\n\
             # TYPE ukernel_net_frames_total counter\n"
        );
    }

    #[test]
    fn json_has_a_number_or_an_array_per_family() {
        assert_eq!(
            json(&families()),
            "{\"polls_total\":12,\"idle_seconds_total\":2.000000345,\"tasks\":3,\
             \"disk_read_bytes_total\":[512,0],\"net_frames_total\":[]}"
        );
        assert_eq!(json(&[]), "{}");
    }
}
