//! The kernel's and the demo's counters, as families of metrics.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::metrics::{Family, Kind, Value, one, per_device};
use crate::worker::Worker;

/// Everything there is to show now.
pub fn families(worker: &Worker) -> Vec<Family> {
    let stats = worker.ctx.stats();
    let mut families = machine(&stats);
    families.extend(devices(&stats));
    families.extend(service(worker));
    families
}

fn counter(name: &'static str, help: &'static str, count: u64) -> Family {
    one(name, help, Kind::Counter, Value::Count(count))
}

fn gauge(name: &'static str, help: &'static str, count: u64) -> Family {
    one(name, help, Kind::Gauge, Value::Count(count))
}

fn seconds(name: &'static str, help: &'static str, kind: Kind, span: Duration) -> Family {
    one(name, help, kind, Value::Nanoseconds(span.as_nanos() as u64))
}

fn machine(stats: &ukernel::Stats) -> Vec<Family> {
    let ukernel::Stats {
        reactor, memory, ..
    } = stats;
    let ram = memory.ram_bytes;
    let heap = memory.heap_used_bytes + memory.heap_free_bytes;
    vec![
        seconds(
            "uptime_seconds",
            "Time since boot",
            Kind::Gauge,
            stats.uptime,
        ),
        seconds(
            "idle_seconds_total",
            "Time asleep with nothing to do",
            Kind::Counter,
            reactor.idle,
        ),
        counter("turns_total", "Rounds of the run loop", reactor.turns),
        counter(
            "parks_total",
            "Times the processor was put to sleep",
            reactor.parks,
        ),
        counter("polls_total", "Polls of all tasks", reactor.polls),
        counter("wakes_total", "Times a task became ready", reactor.wakes),
        gauge(
            "tasks",
            "Tasks that have not ended",
            reactor.tasks_live as u64,
        ),
        counter(
            "tasks_spawned_total",
            "Tasks ever spawned",
            reactor.tasks_spawned,
        ),
        gauge(
            "timers",
            "Timers that wait for their deadline",
            reactor.timers_live as u64,
        ),
        counter(
            "timers_fired_total",
            "Timers whose deadline came",
            reactor.timers_fired,
        ),
        counter(
            "interrupts_total",
            "Interrupts of devices and timers",
            stats.machine.interrupts_in_all(),
        ),
        counter(
            "spurious_interrupts_total",
            "Interrupts that were gone when looked at",
            stats.machine.spurious,
        ),
        counter(
            "halts_total",
            "Times the processor slept",
            stats.machine.halts,
        ),
        counter(
            "timer_rearms_total",
            "Settings of the timer that went on with a far deadline",
            stats.machine.timer_rearms,
        ),
        gauge("memory_bytes", "Main memory of the machine", ram),
        gauge(
            "heap_total_bytes",
            "What the heap has and can still grow into",
            heap,
        ),
        gauge(
            "heap_used_bytes",
            "What the heap has handed out",
            memory.heap_used_bytes,
        ),
        counter(
            "log_lines_dropped_total",
            "Log lines lost to a full buffer",
            stats.log_lines_dropped,
        ),
        counter(
            "serial_input_bytes_total",
            "Bytes taken from the serial port",
            stats.serial.input_bytes,
        ),
        counter(
            "serial_input_stalls_total",
            "Times that serial input had to wait",
            stats.serial.input_stalls,
        ),
    ]
}

fn devices(stats: &ukernel::Stats) -> Vec<Family> {
    let net = |name, help, count: fn(&ukernel::net::Stats) -> u64| {
        per_device(name, help, "net", stats.networks.iter().map(count))
    };
    let connections = stats.networks.iter().map(|s| s.connections).sum();
    let disk = |name, help, count: fn(&ukernel::block::DiskStats) -> u64| {
        per_device(name, help, "disk", stats.disks.iter().map(count))
    };
    vec![
        net(
            "net_received_bytes_total",
            "Bytes of received frames",
            |s| s.bytes_received,
        ),
        net("net_received_frames_total", "Frames received", |s| {
            s.frames_received
        }),
        net("net_sent_bytes_total", "Bytes of sent frames", |s| {
            s.bytes_sent
        }),
        net("net_sent_frames_total", "Frames sent", |s| s.frames_sent),
        net("net_dropped_total", "Packets dropped, for any cause", |s| {
            s.dropped_in_all()
        }),
        net("tcp_accepted_total", "Connections opened by peers", |s| {
            s.accepted
        }),
        net("tcp_retransmits_total", "Segments sent again", |s| {
            s.retransmits
        }),
        gauge(
            "tcp_connections",
            "Connections with buffers now",
            connections,
        ),
        disk("disk_read_bytes_total", "Bytes read", |s| s.read_bytes),
        disk("disk_written_bytes_total", "Bytes written", |s| {
            s.written_bytes
        }),
    ]
}

fn service(worker: &Worker) -> Vec<Family> {
    let jobs = worker.jobs.counts();
    vec![
        counter(
            "http_requests_total",
            "HTTP requests",
            worker.requests.get(),
        ),
        gauge(
            "http_connections",
            "HTTP connections now",
            worker.connections.get(),
        ),
        counter("jobs_accepted_total", "Jobs accepted", jobs.accepted),
        counter("jobs_finished_total", "Jobs finished", jobs.finished),
        counter(
            "jobs_refused_total",
            "Jobs turned away because the queue was full",
            jobs.refused,
        ),
    ]
}
