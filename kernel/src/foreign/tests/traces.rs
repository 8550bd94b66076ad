//! A program's spans beside those of the native workload that runs it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::bench::Bench;

#[test]
fn a_program_and_its_workload_have_one_trace() {
    let bench = Bench::booted("trace=on", &[]);
    let ctx = bench.machine.context();
    let name = bench.memory.bytes(b"in c");
    let task = bench.spawn(move |task| async move {
        let span = task.trace_span_begin(name.input())?;
        task.task_sleep(7).await?;
        task.trace_span_end(span)
    });
    bench.machine.block_on(async {
        let native = ctx.trace().span("native");
        ctx.clock().sleep(core::time::Duration::from_nanos(9)).await;
        native.end();
    });
    assert_eq!(task.status(), Some(0));
    let told: Vec<String> = ctx.trace().drain().map(|line| line.to_string()).collect();
    let parts: Vec<Vec<&str>> = told.iter().map(|line| line.split(' ').collect()).collect();
    let track = |name: &str| {
        let named = parts.iter().find(|part| part[1] == "t" && part[3] == name);
        named.unwrap_or_else(|| panic!("no {name} in {told:?}"))[2]
    };
    let spans: Vec<(&str, &str, &str)> = parts
        .iter()
        .filter(|part| part[1] == "s")
        .map(|part| (part[4], part[3], part[8]))
        .collect();
    let (main, program) = (track("main"), track("program%201"));
    assert_eq!(spans, [(program, "7", "in%20c"), (main, "9", "native")]);
}
