//! The zero page (`boot_params`) of the Linux 64-bit boot protocol
//! (Documentation/arch/x86/boot.rst and zero-page.rst), as Firecracker before 1.12 passes it.

use super::{LoaderInfo, PhysicalMemory, find_command_line, usable_ram};
use crate::memory::range_set::Range;

/// "HdrS", at 0x202.
pub(super) const MAGIC: u32 = 0x5372_6448;
/// Bytes of an entry of the e820 table.
const E820_ENTRY: u64 = 20;
/// How many entries fit into the zero page.
const MAX_E820: u64 = 128;

/// Reads the structure at `address`; without its magic number nothing is believed.
pub fn parse(memory: &impl PhysicalMemory, address: u64) -> LoaderInfo {
    let mut info = LoaderInfo::new();
    let field = |offset| address.saturating_add(offset);
    if memory.u32(field(0x202)) != MAGIC {
        return info;
    }
    info.valid = true;
    // Each address has its upper half elsewhere, added when 32 bits no longer were enough.
    let wide =
        |low, high| u64::from(memory.u32(field(low))) | u64::from(memory.u32(field(high))) << 32;
    info.command_line = find_command_line(memory, wide(0x228, 0xc8));
    info.add_module(Range::with_size(wide(0x218, 0xc0), wide(0x21c, 0xc4)));
    let count = u64::from(memory.u32(field(0x1e8)) & 0xff).min(MAX_E820);
    info.ram = usable_ram(count, |index| {
        let entry = field(0x2d0 + index * E820_ENTRY);
        let size = memory.u64(entry.saturating_add(8));
        let range = Range::with_size(memory.u64(entry), size);
        (range, memory.u32(entry.saturating_add(16)))
    });
    info
}

#[cfg(test)]
mod tests {
    use super::super::tests::FakeMemory;
    use super::*;

    fn zero_page() -> FakeMemory {
        let mut memory = FakeMemory::new();
        memory.put(0x7202, b"HdrS");
        memory.put(0x7228, &0x2000u32.to_le_bytes());
        memory.put(0x2000, b"console=ttyS0\0");
        memory.put(0x7218, &0x7f0_0000u32.to_le_bytes());
        memory.put(0x721c, &0x1000u32.to_le_bytes());
        memory.put(0x71e8, &[2]);
        memory.put(0x72d0, &0x10_0000u64.to_le_bytes());
        memory.put(0x72d8, &0x700_0000u64.to_le_bytes());
        memory.put(0x72e0, &[1]);
        memory.put(0x72e4, &0x20_0000u64.to_le_bytes());
        memory.put(0x72ec, &0x1000u64.to_le_bytes());
        memory.put(0x72f4, &[2]);
        memory
    }

    #[test]
    fn reads_the_zero_page() {
        let memory = zero_page();
        let info = parse(&memory, 0x7000);
        assert!(info.valid);
        assert_eq!(info.command_line, Range::with_size(0x2000, 13));
        assert_eq!(info.modules(), [Range::with_size(0x7f0_0000, 0x1000)]);
        assert_eq!(
            info.ram.as_slice(),
            [
                Range::new(0x10_0000, 0x20_0000),
                Range::new(0x20_1000, 0x710_0000)
            ]
        );
    }

    #[test]
    fn without_a_header_nothing_is_believed() {
        let mut memory = zero_page();
        memory.put(0x7202, b"nope");
        assert!(!parse(&memory, 0x7000).valid);
    }
}
