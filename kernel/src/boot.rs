//! What the loader tells the kernel, in one form for both boot protocols: memory, command line and
//! modules. Called once by the entry code, before there is a heap; the parsers trust no address
//! and no length they read, and answer with less rather than fail.

pub mod linux;
pub mod pvh;

use crate::memory::range_set::{Range, RangeSet};

/// The longest command line that is kept, in bytes; Firecracker and Linux allow 2,048. What is
/// beyond is cut off at a blank.
pub const MAX_COMMAND_LINE: usize = 4096;
/// How many modules are kept. QEMU and Firecracker give one; more are counted and left out.
pub const MAX_MODULES: usize = 8;
/// How many entries of a memory map are read. Real firmware has about thirty.
pub const MAX_MAP_ENTRIES: u64 = 128;

/// How the kernel was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The 32-bit entry that the PVH note names.
    Pvh,
    /// The Linux 64-bit boot protocol.
    Linux,
}

/// What the kernel starts with; handed to [`crate::runtime::start`].
#[cfg(any(target_os = "none", ukernel_hard_float))]
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    /// How the kernel was entered.
    pub protocol: Protocol,
    /// The kernel's command line, ASCII, at most [`MAX_COMMAND_LINE`] bytes.
    pub command_line: &'static str,
    /// The boot modules (QEMU's and Firecracker's initrd), usable where they lie.
    pub modules: &'static [&'static [u8]],
    /// How the memory was set up.
    pub memory: crate::memory::Setup,
}

/// Physical memory as the parsers see it.
pub trait PhysicalMemory {
    /// `length` bytes at `address`, or `None` where the kernel cannot read them.
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]>;

    /// A little-endian number of four bytes; zero where there is nothing to read.
    fn u32(&self, address: u64) -> u32 {
        self.bytes(address, 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    }

    /// A little-endian number of eight bytes; zero where there is nothing to read.
    fn u64(&self, address: u64) -> u64 {
        u64::from(self.u32(address)) | u64::from(self.u32(address.saturating_add(4))) << 32
    }
}

/// What a loader said, with addresses as it gave them.
#[derive(Clone, Debug)]
pub struct LoaderInfo {
    /// RAM that may be used, as far as the loader's map says; nothing is taken out for the kernel
    /// or for modules yet.
    pub ram: RangeSet,
    /// Where the command line lies, without the NUL at its end.
    pub command_line: Range,
    /// Where the modules lie.
    pub modules: [Range; MAX_MODULES],
    /// How many of `modules` are real.
    pub module_count: usize,
    /// Whether the structure was there at all.
    pub valid: bool,
}

impl LoaderInfo {
    fn new() -> LoaderInfo {
        LoaderInfo {
            ram: RangeSet::new(),
            command_line: Range::new(0, 0),
            modules: [Range::new(0, 0); MAX_MODULES],
            module_count: 0,
            valid: false,
        }
    }

    /// The modules.
    pub fn modules(&self) -> &[Range] {
        &self.modules[..self.module_count]
    }

    /// Whether the modules can be handed out in place: each within one stretch of `ram`, beside the
    /// kernel's image.
    pub fn modules_are_usable(&self, ram: &RangeSet, kernel: Range) -> bool {
        let is_usable = |module: &Range| {
            let holds = |ram: &Range| ram.start <= module.start && module.end <= ram.end;
            !module.overlaps(kernel) && ram.as_slice().iter().any(holds)
        };
        self.modules().iter().all(is_usable)
    }

    /// Adds one, unless it is empty or there are as many as are kept.
    pub(crate) fn add_module(&mut self, module: Range) {
        if !module.is_empty() && self.module_count < MAX_MODULES {
            self.modules[self.module_count] = module;
            self.module_count += 1;
        }
    }
}

/// Reads the structure at `address`.
pub fn parse(protocol: Protocol, memory: &impl PhysicalMemory, address: u64) -> LoaderInfo {
    match protocol {
        Protocol::Pvh => pvh::parse(memory, address),
        Protocol::Linux => linux::parse(memory, address),
    }
}

/// Adds up a memory map in any order: entries of type 1 are RAM, and any other type wins where
/// entries overlap. `entry` answers the range and type of an entry.
fn usable_ram(count: u64, entry: impl Fn(u64) -> (Range, u32)) -> RangeSet {
    const RAM: u32 = 1;
    let mut ram = RangeSet::new();
    let entries = || (0..count.min(MAX_MAP_ENTRIES)).map(&entry);
    for (range, _) in entries().filter(|(_, kind)| *kind == RAM) {
        ram.insert(range);
    }
    for (range, _) in entries().filter(|(_, kind)| *kind != RAM) {
        ram.remove(range);
    }
    ram
}

/// Finds the end of the NUL-terminated command line at `address`.
fn find_command_line(memory: &impl PhysicalMemory, address: u64) -> Range {
    /// Bytes looked at together; a divisor of the longest line.
    const STEP: u64 = 64;
    let empty = Range::new(address, address);
    if address == 0 {
        return empty;
    }
    let mut length = 0;
    let mut step = STEP;
    while length < MAX_COMMAND_LINE as u64 {
        let piece = memory.bytes(address.saturating_add(length), step);
        let end = piece.map(|piece| piece.iter().position(|&byte| byte == 0));
        match end {
            Some(None) => length += step,
            Some(Some(end)) => {
                length += end as u64;
                break;
            }
            // The end of what can be read is near: go on byte by byte.
            None if step > 1 => step = 1,
            None => break,
        }
    }
    Range::with_size(address, length)
}

/// Copies a command line to where it can stay, as text: bytes that are not ASCII become `?`, and a
/// line that fills the whole room is cut at its last blank, so that no half option is believed.
pub fn copy_command_line<'a>(source: &[u8], room: &'a mut [u8; MAX_COMMAND_LINE]) -> &'a str {
    let mut length = source.len().min(MAX_COMMAND_LINE);
    if length == MAX_COMMAND_LINE {
        length = source[..length]
            .iter()
            .rposition(|&byte| byte == b' ')
            .unwrap_or(0);
    }
    for (to, &from) in room[..length].iter_mut().zip(source) {
        *to = if from.is_ascii() && from != 0 {
            from
        } else {
            b'?'
        };
    }
    core::str::from_utf8(&room[..length]).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Bytes of low memory, enough for the structures and what they point to.
    const LOW: usize = 0x8000;

    /// The lowest memory of a machine.
    pub(crate) struct FakeMemory(pub(crate) Vec<u8>);

    impl FakeMemory {
        pub(crate) fn new() -> FakeMemory {
            FakeMemory(vec![0; LOW])
        }

        pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
            self.0[address as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    impl PhysicalMemory for FakeMemory {
        fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
            let end = address.checked_add(length)?;
            self.0.get(address as usize..end as usize)
        }
    }

    #[test]
    fn reserved_wins_whatever_the_order() {
        let map = [
            (Range::new(0xeec0_0000, 0xfec0_0000), 2),
            (Range::new(0x10_0000, 0x800_0000), 1),
            (Range::new(0, 0), 0),
            (Range::new(0x70_0000, 0x71_0000), 4),
            (Range::new(0, 0x9_fc00), 1),
        ];
        let ram = usable_ram(5, |i| map[i as usize]);
        let reversed = usable_ram(5, |i| map[4 - i as usize]);
        assert_eq!(ram.as_slice(), reversed.as_slice());
        assert_eq!(
            ram.as_slice(),
            [
                Range::new(0, 0x9_fc00),
                Range::new(0x10_0000, 0x70_0000),
                Range::new(0x71_0000, 0x800_0000)
            ]
        );
    }

    #[test]
    fn a_map_of_impossible_length_ends() {
        let ram = usable_ram(u64::MAX, |i| (Range::with_size(i << 20, 1 << 20), 1));
        assert_eq!(ram.total(), MAX_MAP_ENTRIES << 20);
    }

    #[test]
    fn a_module_lies_in_one_stretch_of_ram_beside_the_kernel() {
        let mut ram = RangeSet::new();
        ram.insert(Range::new(0x10_0000, 0x70_0000));
        ram.insert(Range::new(0x71_0000, 0x800_0000));
        let kernel = Range::new(0x20_0000, 0x30_0000);
        let usable = |start, end| {
            let mut info = LoaderInfo::new();
            info.add_module(Range::new(0x40_0000, 0x50_0000));
            info.add_module(Range::new(start, end));
            info.modules_are_usable(&ram, kernel)
        };
        for (start, end) in [
            (0x10_0000, 0x20_0000),
            (0x30_0000, 0x70_0000),
            (0x71_0001, 0x71_0002),
            (0x7ff_f000, 0x800_0000),
            (0x9000_0000, 0x9000_0000), // empty: no module at all
        ] {
            assert!(usable(start, end), "{start:#x}..{end:#x}");
        }
        for (start, end) in [
            (0, 0x1000),
            (0xf_ffff, 0x11_0000),
            (0x1f_f000, 0x20_0001),
            (0x2f_ffff, 0x31_0000),
            (0x21_0000, 0x22_0000),
            (0x6f_0000, 0x72_0000),
            (0x7ff_f000, 0x800_0001),
            (0x8000_0000, 0x8000_1000),
            (0x7ff_f000, u64::MAX),
        ] {
            assert!(!usable(start, end), "{start:#x}..{end:#x}");
        }
    }

    #[test]
    fn a_command_line_ends_with_its_nul_or_with_memory() {
        let mut memory = FakeMemory::new();
        let find = |memory: &FakeMemory, address| find_command_line(memory, address).size();
        memory.0.fill(b'x');
        let end = LOW as u64;
        for length in [0, 1, 63, 64, 65, 100] {
            memory.put(0x1000 + length, b"\0");
            assert_eq!(find(&memory, 0x1000), length);
            memory.put(0x1000 + length, b"x");
            assert_eq!(find(&memory, end - length), length);
        }
        assert_eq!(find(&memory, 0x1000), MAX_COMMAND_LINE as u64);
        assert_eq!(find(&memory, u64::MAX), 0);
        assert_eq!(find(&memory, 0), 0);
    }

    #[test]
    fn a_command_line_without_an_end_is_cut_at_a_blank() {
        let mut source = vec![b'x'; MAX_COMMAND_LINE + 10];
        source[..9].copy_from_slice(b"log=info ");
        let mut room = [0; MAX_COMMAND_LINE];
        assert_eq!(copy_command_line(&source, &mut room), "log=info");
        assert_eq!(copy_command_line(&source[9..], &mut room), "");
    }

    #[test]
    fn text_that_is_not_ascii_stays_text() {
        let mut room = [0; MAX_COMMAND_LINE];
        assert_eq!(copy_command_line(b"a=\xff\xc3\xa4 b", &mut room), "a=??? b");
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]

        /// Garbage behind the magic number of a structure gives an answer.
        #[test]
        fn garbage_is_an_answer(seed in prop::collection::vec(any::<u8>(), 512), address in 0u64..LOW as u64 - 0x300) {
            let mut memory = FakeMemory::new();
            let pages = memory.0.chunks_exact_mut(seed.len());
            pages.for_each(|page| page.copy_from_slice(&seed));
            memory.put(address, &pvh::MAGIC.to_le_bytes());
            memory.put(address + 0x202, &linux::MAGIC.to_le_bytes());
            for protocol in [Protocol::Pvh, Protocol::Linux] {
                let info = parse(protocol, &memory, address);
                prop_assert!(info.valid);
                prop_assert!(info.module_count <= MAX_MODULES);
                prop_assert!(info.command_line.size() <= MAX_COMMAND_LINE as u64);
            }
        }
    }
}
