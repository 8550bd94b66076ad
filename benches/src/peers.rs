//! Runs this kernel beside what a user would pick instead, and prints how they compare: all guests on
//! the same machine, booted once each, under loads that take turns.

pub(crate) mod boot;
pub(crate) mod candidate;
mod report;
pub(crate) mod rig;
mod rows;

use std::io;

use crate::peers::candidate::{Candidate, Network};
use crate::peers::report::Report;
use crate::peers::rig::Rig;

/// How long and how often to measure.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Of one load on one guest.
    pub(crate) seconds: f64,
}

/// Measures every row and prints the table; `build/bench` has what was measured so far, row by row. Needs root for tap devices; without it the rows through
/// tap are said to be missing.
///
/// With `only`: nothing but the rows through a network whose name contains it; nothing is saved.
pub(crate) fn run(effort: Effort, only: Option<&str>) -> io::Result<bool> {
    let networks = match rig::enter_private_network()? {
        true => &[Network::Tap, Network::User][..],
        false => &[Network::User][..],
    };
    let candidates = Candidate::all()?;
    let mut report = Report::new(only);
    if only.is_none() {
        boot::measure(&candidates, effort, &mut report);
        rows::without_network(&candidates, effort, &mut report);
    }
    for &network in networks {
        let rigs = candidates.iter().enumerate();
        let rigs = rigs.filter_map(|(index, candidate)| Rig::serve(candidate, index, network));
        rows::through(network, &rigs.collect::<Vec<_>>(), effort, &mut report);
    }
    report.print();
    Ok(true)
}
