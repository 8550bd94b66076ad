//! Times of the reactor beside other executors: `just bench-micro`.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use micro::systems;

/// Yields of one iteration, over however many tasks.
const YIELDS: u64 = 20_000;
const OPERATIONS: u64 = 1_000;
const SOURCES: usize = 10_000;

fn yields(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("yield");
    group.throughput(Throughput::Elements(YIELDS));
    for mut system in systems() {
        for tasks in [1, 100, 10_000] {
            let id = BenchmarkId::new(system.name(), tasks);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    system.yields(tasks, YIELDS / tasks);
                });
            });
        }
    }
}

fn tasks_and_channels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spawn");
    group.throughput(Throughput::Elements(OPERATIONS));
    for mut system in systems() {
        group.bench_function(system.name(), |bencher| {
            bencher.iter(|| system.starts(OPERATIONS));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("spawn and join");
    group.throughput(Throughput::Elements(OPERATIONS));
    for mut system in systems() {
        group.bench_function(system.name(), |bencher| {
            bencher.iter(|| system.spawns(OPERATIONS));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("channel round trip");
    group.throughput(Throughput::Elements(OPERATIONS));
    for mut system in systems() {
        group.bench_function(system.name(), |bencher| {
            bencher.iter(|| system.round_trips(OPERATIONS));
        });
    }
}

/// Every task waits for something of its own, and all are woken in each round.
fn wakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wake and poll");
    group.throughput(Throughput::Elements(YIELDS));
    for mut system in systems() {
        for tasks in [1, 100, 10_000] {
            let id = BenchmarkId::new(system.name(), tasks);
            group.bench_function(id, |bencher| {
                bencher.iter(|| system.readiness(tasks, 1, YIELDS / tasks as u64));
            });
        }
    }
}

/// 10,000 sources, one in a hundred ready, a hundred rounds: ten thousand wakes.
fn readiness(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("readiness");
    group
        .throughput(Throughput::Elements(SOURCES as u64))
        .sample_size(10);
    for mut system in systems() {
        group.bench_function(system.name(), |bencher| {
            bencher.iter(|| system.readiness(SOURCES, 100, 100));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("one task looks at all sources");
    group
        .throughput(Throughput::Elements(SOURCES as u64))
        .sample_size(10);
    for mut system in systems() {
        group.bench_function(system.name(), |bencher| {
            bencher.iter(|| system.looks(SOURCES, 100));
        });
    }
}

fn timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer armed and cancelled");
    group
        .throughput(Throughput::Elements(OPERATIONS))
        .sample_size(10);
    for mut system in systems() {
        for live in [100, 10_000, 100_000] {
            if !system.timers(live, 1) {
                continue;
            }
            // Making the live ones is part of it: so many operations that it hardly counts.
            let id = BenchmarkId::new(system.name(), live);
            let count = OPERATIONS * 100;
            group.throughput(Throughput::Elements(count));
            group.bench_function(id, |bencher| bencher.iter(|| system.timers(live, count)));
        }
    }
}

criterion_group!(
    benches,
    yields,
    wakes,
    tasks_and_channels,
    readiness,
    timers
);
criterion_main!(benches);
