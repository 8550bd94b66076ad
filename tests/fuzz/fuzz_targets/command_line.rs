//! The kernel command line: options, workload arguments, announced devices.
#![no_main]

use demo::settings::Settings;
use libfuzzer_sys::fuzz_target;
use ukernel::command_line::CommandLine;
use ukernel::policy::Policy;

fuzz_target!(|text: &str| {
    let parsed = CommandLine::parse(text);
    assert!(parsed.arguments.iter().all(|argument| !argument.is_empty()));
    let limits = |word: &str| word.split('=').next() == Some("allow");
    let limited = text.split_ascii_whitespace().any(limits);
    assert!(limited || parsed.policy == Policy::default(), "nobody asked for less");
    Settings::parse(&parsed.arguments, |_| {});
    let mut end_of_last = Vec::new();
    for slot in drivers::virtio::probe(text) {
        let end = slot.base.checked_add(slot.size).expect("a window does not wrap");
        let overlaps = |&(from, to): &(u64, u64)| slot.base < to && from < end;
        assert!(!end_of_last.iter().any(overlaps), "two drivers would share registers");
        end_of_last.push((slot.base, end));
    }
});
