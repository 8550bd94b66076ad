//! The start structure of the PVH boot protocol, Xen's `hvm_start_info`
//! (xen/include/public/arch-x86/hvm/start_info.h). QEMU and Firecracker both pass version 1.

use super::{LoaderInfo, MAX_MODULES, PhysicalMemory, find_command_line, usable_ram};
use crate::memory::range_set::Range;

pub(super) const MAGIC: u32 = 0x336e_c578;
/// Bytes of an entry of the memory map.
const MAP_ENTRY: u64 = 24;
/// Bytes of an entry of the module list.
const MODULE_ENTRY: u64 = 32;

/// Reads the structure at `address`; without its magic number nothing is believed.
pub fn parse(memory: &impl PhysicalMemory, address: u64) -> LoaderInfo {
    let mut info = LoaderInfo::new();
    let field = |offset| address.saturating_add(offset);
    if memory.u32(address) != MAGIC {
        return info;
    }
    info.valid = true;
    info.command_line = find_command_line(memory, memory.u64(field(24)));
    // Version 0 ends before the memory map.
    if memory.u32(field(4)) >= 1 {
        let map = memory.u64(field(40));
        let count = u64::from(memory.u32(field(48)));
        info.ram = usable_ram(count, |index| map_entry(memory, map, index));
    }
    let list = memory.u64(field(16));
    let count = memory.u32(field(12)).min(MAX_MODULES as u32);
    for index in 0..u64::from(count) {
        let entry = list.saturating_add(index * MODULE_ENTRY);
        let size = memory.u64(entry.saturating_add(8));
        info.add_module(Range::with_size(memory.u64(entry), size));
    }
    info
}

fn map_entry(memory: &impl PhysicalMemory, map: u64, index: u64) -> (Range, u32) {
    let entry = map.saturating_add(index * MAP_ENTRY);
    let size = memory.u64(entry.saturating_add(8));
    let range = Range::with_size(memory.u64(entry), size);
    (range, memory.u32(entry.saturating_add(16)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::FakeMemory;
    use super::*;

    /// What Firecracker writes for 128 MiB and an initrd.
    fn firecracker() -> FakeMemory {
        let mut memory = FakeMemory::new();
        let mut start = [0u8; 56];
        start[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        start[4] = 1;
        start[12] = 1;
        start[16..24].copy_from_slice(&0x6040u64.to_le_bytes());
        start[24..32].copy_from_slice(&0x2000u64.to_le_bytes());
        start[40..48].copy_from_slice(&0x7000u64.to_le_bytes());
        start[48] = 4;
        memory.put(0x6000, &start);
        memory.put(0x6040, &0x7f0_0000u64.to_le_bytes());
        memory.put(0x6048, &0x1234u64.to_le_bytes());
        memory.put(0x2000, b"log=debug -- hello\0junk");
        let map = [
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x4_0400, 2),
            (0xeec0_0000, 0x1000_0000, 2),
            (0x10_0000, 0x7f0_0000, 1u32),
        ];
        for (index, (base, size, kind)) in map.into_iter().enumerate() {
            let entry = 0x7000 + index as u64 * MAP_ENTRY;
            memory.put(entry, &u64::to_le_bytes(base));
            memory.put(entry + 8, &u64::to_le_bytes(size));
            memory.put(entry + 16, &kind.to_le_bytes());
        }
        memory
    }

    #[test]
    fn reads_what_firecracker_writes() {
        let memory = firecracker();
        let info = parse(&memory, 0x6000);
        assert!(info.valid);
        assert_eq!(
            info.ram.as_slice(),
            [Range::new(0, 0x9_fc00), Range::new(0x10_0000, 0x800_0000)]
        );
        assert_eq!(info.modules(), [Range::with_size(0x7f0_0000, 0x1234)]);
        let line = info.command_line;
        assert_eq!(
            memory.bytes(line.start, line.size()).unwrap(),
            b"log=debug -- hello"
        );
    }

    #[test]
    fn without_the_magic_number_nothing_is_believed() {
        let mut memory = firecracker();
        memory.put(0x6000, &[0]);
        let info = parse(&memory, 0x6000);
        assert!(!info.valid);
        assert_eq!(info.ram.total(), 0);
    }

    #[test]
    fn addresses_that_lead_nowhere_are_left_out() {
        let mut memory = firecracker();
        memory.put(0x6018, &u64::MAX.to_le_bytes());
        memory.put(0x6010, &u64::MAX.to_le_bytes());
        memory.put(0x600c, &u32::MAX.to_le_bytes());
        let info = parse(&memory, 0x6000);
        assert!(info.command_line.is_empty());
        assert!(info.modules().is_empty());
    }
}
