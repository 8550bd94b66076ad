//! What a loader leaves in memory, read by both boot protocols' parsers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukernel::boot::{MAX_MODULES, PhysicalMemory, Protocol, parse};

/// Low memory that holds the input and nothing else.
struct Memory<'a>(&'a [u8]);

impl PhysicalMemory for Memory<'_> {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        let end = usize::try_from(address.checked_add(length)?).ok()?;
        self.0.get(usize::try_from(address).ok()?..end)
    }
}

fuzz_target!(|input: &[u8]| {
    for protocol in [Protocol::Pvh, Protocol::Linux] {
        let info = parse(protocol, &Memory(input), 0);
        assert!(info.modules().len() <= MAX_MODULES);
    }
});
