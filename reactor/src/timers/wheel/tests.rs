//! The wheel against a model that sorts all deadlines.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// A wheel with its entries, and what they should do.
struct Bench {
    wheel: Wheel,
    now: u64,
    entries: Vec<Pin<Box<Entry>>>,
    /// Deadline and index of what is armed.
    model: BTreeSet<(u64, usize)>,
    /// Whether a bound may be lower than the deadlines behind it.
    cancelled: bool,
}

impl Bench {
    fn at(now: u64) -> Bench {
        Bench {
            wheel: Wheel::new(),
            now,
            entries: Vec::new(),
            model: BTreeSet::new(),
            cancelled: false,
        }
    }

    fn arm(&mut self, deadline: u64) -> usize {
        let entry = Box::pin(Entry::new(Instant::from_nanos(deadline)));
        // SAFETY: pinned in a box; `Drop` cancels before the boxes go.
        unsafe {
            self.wheel
                .arm(NonNull::from(&*entry), Instant::from_nanos(self.now));
        };
        self.entries.push(entry);
        self.model.insert((deadline, self.entries.len() - 1));
        self.entries.len() - 1
    }

    fn cancel(&mut self, index: usize) {
        let Some(entry) = self.entries.get(index).filter(|entry| entry.is_armed()) else {
            return;
        };
        self.wheel.cancel(entry);
        self.cancelled = true;
        assert!(self.model.remove(&(entry.deadline().as_nanos(), index)));
    }

    /// Lets turns pass at `now` until nothing is due.
    fn fire_at(&mut self, now: u64) {
        self.now = self.now.max(now);
        let now = Instant::from_nanos(self.now);
        while self
            .wheel
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.wheel.fire_due(now);
        }
        self.forget_fired();
        let late = self.model.first().filter(|first| first.0 <= self.now);
        assert_eq!(late, None, "late at {}", self.now);
        self.check();
    }

    /// Lets one turn pass that looks at no more than `limit` entries.
    fn fire_some(&mut self, limit: usize) {
        self.cancelled = true; // what is left has been moved to the list that is due at once
        if self
            .wheel
            .next_deadline()
            .is_some_and(|deadline| deadline.as_nanos() <= self.now)
        {
            self.wheel.fire_some(Instant::from_nanos(self.now), limit);
        }
        self.forget_fired();
    }

    fn forget_fired(&mut self) {
        let (entries, now) = (&self.entries, self.now);
        self.model
            .retain(|(deadline, index)| *deadline > now || !entries[*index].has_fired());
    }

    fn check(&self) {
        for (deadline, index) in &self.model {
            assert!(
                self.entries[*index].is_armed(),
                "{deadline} is early at {}",
                self.now
            );
        }
        assert_eq!(self.wheel.live(), self.model.len());
        let (bound, first) = (
            self.wheel.next_deadline(),
            self.model.first().map(|it| it.0),
        );
        assert_eq!(bound.is_some(), first.is_some());
        if let (Some(bound), Some(first)) = (bound, first) {
            assert!(bound.as_nanos() <= first);
            let past = first >> TICK_SHIFT < self.wheel.elapsed.get();
            assert!(self.cancelled || past || bound.as_nanos() == first);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        (0..self.entries.len()).for_each(|index| self.cancel(index));
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Arms a timer so far ahead of now (or behind, if negative).
    Arm(i128),
    Cancel(usize),
    /// Lets so much time pass, then fires.
    Pass(u64),
    /// Lets time pass until the wheel asks to be called.
    PassToNext,
    /// A turn that does not get through with what is due.
    PartialTurn(usize),
}

/// Spans of every magnitude, so that all levels of the wheel are met.
fn span() -> impl Strategy<Value = u64> {
    (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => span().prop_map(|ahead| Step::Arm(i128::from(ahead))),
        1 => (0..5000i128).prop_map(|behind| Step::Arm(-behind)),
        2 => (0..64usize).prop_map(Step::Cancel),
        1 => (0..40u32, any::<u64>()).prop_map(|(shift, bits)| Step::Pass(bits >> 24 >> shift)),
        2 => Just(Step::PassToNext),
        1 => (1..4usize).prop_map(Step::PartialTurn),
    ]
}

fn run(start: u64, steps: Vec<Step>) {
    let mut bench = Bench::at(start);
    for step in steps {
        match step {
            Step::Arm(ahead) => {
                let deadline = (i128::from(bench.now) + ahead).clamp(0, i128::from(u64::MAX));
                bench.arm(deadline as u64);
            }
            Step::Cancel(index) => bench.cancel(index),
            Step::PartialTurn(limit) => {
                bench.now = bench
                    .now
                    .max(bench.model.iter().nth(3).map_or(0, |it| it.0));
                bench.fire_some(limit);
            }
            Step::Pass(span) => bench.fire_at(bench.now.saturating_add(span)),
            Step::PassToNext => {
                let next = bench.wheel.next_deadline().unwrap_or_default();
                bench.fire_at(next.as_nanos());
            }
        }
        bench.check();
    }
    bench.fire_at(u64::MAX);
    assert!(bench.model.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 5 } else { 2000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fires_what_a_sorted_list_would(
        start in span(),
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 30 } else { 120 }),
    ) {
        run(start, steps);
    }
}

#[test]
fn fires_at_the_deadline_and_not_a_nanosecond_before() {
    for deadline in [
        0,
        1,
        1023,
        1024,
        65_535,
        65_536,
        1 << 40,
        (1 << 52) + 7,
        u64::MAX,
    ] {
        let mut bench = Bench::at(0);
        let index = bench.arm(deadline);
        if deadline > 0 {
            bench.wheel.fire_due(Instant::from_nanos(deadline - 1));
            assert!(bench.entries[index].is_armed(), "{deadline}");
        }
        bench.wheel.fire_due(Instant::from_nanos(deadline));
        assert!(bench.entries[index].has_fired(), "{deadline}");
        bench.model.clear();
    }
}

#[test]
fn asks_for_exactly_the_earliest_deadline_without_intermediate_calls() {
    let mut bench = Bench::at(0);
    for power in (3..63).rev() {
        bench.arm((1 << power) + 5);
        assert_eq!(
            bench.wheel.next_deadline(),
            Some(Instant::from_nanos((1 << power) + 5))
        );
    }
    let mut calls = 0;
    while let Some(next) = bench.wheel.next_deadline() {
        bench.fire_at(next.as_nanos());
        calls += 1;
    }
    assert_eq!(
        (calls, bench.wheel.fired.get(), bench.wheel.spurious.get()),
        (60, 60, 0)
    );
}

#[test]
fn a_cancelled_earliest_timer_costs_one_spurious_call_at_most() {
    let mut bench = Bench::at(0);
    let first = bench.arm(10_000_000);
    bench.arm(10_000_500);
    bench.arm(10_900_000);
    bench.cancel(first);
    bench.fire_at(10_000_000);
    assert_eq!(
        (bench.wheel.spurious.get(), bench.wheel.fired.get()),
        (1, 0)
    );
    assert_eq!(
        bench.wheel.next_deadline(),
        Some(Instant::from_nanos(10_000_500))
    );
    bench.fire_at(10_000_500);
    bench.fire_at(10_900_000);
    assert_eq!(
        (bench.wheel.spurious.get(), bench.wheel.fired.get()),
        (1, 2)
    );
}

#[test]
fn an_emptied_wheel_asks_for_nothing() {
    let mut bench = Bench::at(77);
    let indices: Vec<usize> = (0..200)
        .map(|i| bench.arm(77 + (i * i * i * 1000)))
        .collect();
    indices.into_iter().for_each(|index| bench.cancel(index));
    assert_eq!(bench.wheel.next_deadline(), None);
    assert_eq!((bench.wheel.levels.get(), bench.wheel.live()), (0, 0));
}

#[test]
#[cfg_attr(
    miri,
    ignore = "thousands of entries; partial turns are met by the model test"
)]
fn one_turn_looks_at_a_bounded_number() {
    let mut bench = Bench::at(0);
    let count = 2 * MAX_LOOKED_AT_PER_TURN as u64 + 100;
    (0..count).for_each(|_| {
        bench.arm(5_000_000);
    });
    let now = Instant::from_nanos(5_000_000);
    for turn in 1..=2 {
        bench.wheel.fire_due(now);
        assert_eq!(
            bench.wheel.fired.get(),
            turn * MAX_LOOKED_AT_PER_TURN as u64
        );
        assert!(bench.wheel.next_deadline().is_some_and(|next| next <= now));
    }
    bench.fire_at(5_000_000);
    assert_eq!(bench.wheel.fired.get(), count);
}

#[test]
fn a_timer_is_cancelled_while_its_slot_is_taken_apart() {
    let mut bench = Bench::at(0);
    let indices: Vec<usize> = (0..7).map(|_| bench.arm(9_000_000)).collect();
    bench.now = 9_000_000;
    bench.fire_some(2);
    assert_eq!(bench.wheel.fired.get(), 2);
    let other = bench.arm(9_000_700); // in a slot of its own again
    bench.cancel(indices[2]); // the first of the list
    bench.cancel(indices[4]); // in its middle
    bench.cancel(indices[6]); // its last
    bench.cancel(other);
    assert_eq!(bench.wheel.live(), 2);
    bench.fire_at(9_000_000);
    assert_eq!(
        (bench.wheel.fired.get(), bench.wheel.next_deadline()),
        (4, None)
    );
}

#[test]
fn arming_and_cancelling_moves_no_other_timer() {
    let count = if cfg!(miri) { 100 } else { 100_000 };
    let mut bench = Bench::at(1);
    let indices: Vec<usize> = (0..count)
        .map(|i| bench.arm(i * 7919 % 1_000_000_007))
        .collect();
    indices
        .into_iter()
        .rev()
        .for_each(|index| bench.cancel(index));
    assert_eq!((bench.wheel.moved.get(), bench.wheel.live()), (0, 0));
}

#[test]
fn a_timer_moves_less_often_than_there_are_levels() {
    let mut bench = Bench::at(0);
    bench.arm(u64::MAX);
    // A companion in front of it on every level takes each slot on its way apart.
    for level in 0..LEVELS as u32 {
        let shift = TICK_SHIFT + level * SLOT_BITS;
        bench.arm(u64::MAX >> shift << shift);
    }
    while let Some(next) = bench.wheel.next_deadline() {
        bench.fire_at(next.as_nanos());
    }
    assert!(bench.wheel.moved.get() <= (LEVELS * (LEVELS + 1)) as u64);
}
