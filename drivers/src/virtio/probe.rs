//! Finds virtio-mmio register windows on the kernel command line. Called once at boot, by the
//! kernel; touches no register itself and allocates nothing.
//!
//! Both hypervisors announce a device as Linux expects it, `virtio_mmio.device=<size>@<base>:<line>`
//! with an optional `:<id>` behind it. QEMU microvm (`acpi=off`) writes
//! `virtio_mmio.device=512@0xfeb00e00:12` for each slot that is filled; Firecracker writes
//! `virtio_mmio.device=4K@0xc0001000:5` for each device it has.
//!
//! ```
//! use drivers::virtio::probe;
//! let slots: Vec<_> = probe("log=info virtio_mmio.device=4K@0xc0001000:5 -- argument").collect();
//! assert_eq!((slots[0].base, slots[0].size, slots[0].irq), (0xc000_1000, 4096, 5));
//! ```

use core::fmt;
use core::str::SplitAsciiWhitespace;

use log::warn;

/// How a device is announced on the command line.
const PREFIX: &str = "virtio_mmio.device=";

/// Windows taken from one command line. QEMU microvm has 8 slots and Firecracker at most 17
/// devices; what comes after this many is refused with a log line.
pub const MAX_SLOTS: usize = 32;

/// The registers (0x100 bytes, virtio 1.2 §4.2.2) and at least one word of configuration.
const MIN_WINDOW_SIZE: u64 = 0x104;

/// No device has a larger window: Firecracker gives a page, QEMU half a kilobyte.
const MAX_WINDOW_SIZE: u64 = 1 << 20;

/// Both machines keep their register windows below this address, and the kernel maps nothing
/// above it as device registers.
const MAX_ADDRESS: u64 = 1 << 32;

/// The 8259 pair has sixteen lines.
const MAX_LINE: u32 = 15;

/// One virtio-mmio register window and the interrupt line of the device in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioSlot {
    /// Physical address of the first register.
    pub base: u64,
    /// Bytes in the window, registers and configuration together.
    pub size: u64,
    /// Interrupt line at the 8259 pair, 0 to 15.
    pub irq: u32,
}

/// Why an announcement was not taken. Each is logged once, by [`probe`], with the announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Not of the form `<size>@<base>:<line>`, or a number in it does not parse.
    Malformed,
    /// The interrupt line never reaches the 8259 pair.
    LineAbove15,
    /// The line belongs to the timer (0) or to the second 8259 (2).
    LineReserved,
    /// Too small for the registers, absurdly large, not aligned, or above 4 GiB.
    BadWindow,
    /// The window overlaps one that was announced before.
    Overlap,
    /// [`MAX_SLOTS`] windows were taken already.
    TooMany,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not <size>@<base>:<line>",
            Self::LineAbove15 => "interrupt line above 15 never reaches the 8259",
            Self::LineReserved => "interrupt line belongs to the timer or the second 8259",
            Self::BadWindow => "register window has an impossible size or address",
            Self::Overlap => "register window overlaps another",
            Self::TooMany => "too many devices",
        })
    }
}

/// Walks the virtio-mmio windows announced on a kernel command line, wherever they stand in it.
///
/// An odd announcement is one warning in the log and skipped. Windows of two slots never overlap,
/// so that no two drivers can own the same registers. Never waits, never panics.
pub fn probe(command_line: &str) -> Probe<'_> {
    Probe {
        tokens: command_line.split_ascii_whitespace(),
        taken: [(0, 0); MAX_SLOTS],
        count: 0,
    }
}

/// The iterator that [`probe`] returns.
#[derive(Clone, Debug)]
pub struct Probe<'a> {
    tokens: SplitAsciiWhitespace<'a>,
    taken: [(u64, u64); MAX_SLOTS],
    count: usize,
}

impl Iterator for Probe<'_> {
    type Item = MmioSlot;

    fn next(&mut self) -> Option<MmioSlot> {
        loop {
            let token = self.tokens.next()?;
            let Some(announcement) = token.strip_prefix(PREFIX) else {
                continue;
            };
            match parse(announcement).and_then(|slot| self.take(slot)) {
                Ok(slot) => return Some(slot),
                Err(ProbeError::TooMany) => {
                    warn!("virtio: devices ignored reason=\"too many\" limit={MAX_SLOTS}");
                    self.tokens = "".split_ascii_whitespace();
                }
                Err(error) => {
                    warn!("virtio: device refused device={announcement} reason=\"{error}\"");
                }
            }
        }
    }
}

impl Probe<'_> {
    /// Accepts a window unless it overlaps an accepted one.
    fn take(&mut self, slot: MmioSlot) -> Result<MmioSlot, ProbeError> {
        let end = slot.base + slot.size;
        let taken = &self.taken[..self.count];
        if taken.iter().any(|&(from, to)| slot.base < to && from < end) {
            return Err(ProbeError::Overlap);
        }
        *self.taken.get_mut(self.count).ok_or(ProbeError::TooMany)? = (slot.base, end);
        self.count += 1;
        Ok(slot)
    }
}

/// Reads one announcement, the text behind `virtio_mmio.device=`.
///
/// # Errors
/// Any of [`ProbeError`] but `Overlap` and `TooMany`.
pub fn parse(announcement: &str) -> Result<MmioSlot, ProbeError> {
    let (size, rest) = announcement.split_once('@').ok_or(ProbeError::Malformed)?;
    let mut fields = rest.split(':');
    let base = fields
        .next()
        .and_then(number)
        .ok_or(ProbeError::Malformed)?;
    let irq = fields
        .next()
        .and_then(number)
        .ok_or(ProbeError::Malformed)?;
    if fields.next().is_some_and(|id| number(id).is_none()) || fields.next().is_some() {
        return Err(ProbeError::Malformed);
    }
    check(base, size_in_bytes(size).ok_or(ProbeError::Malformed)?, irq)
}

fn check(base: u64, size: u64, irq: u64) -> Result<MmioSlot, ProbeError> {
    let fits = (MIN_WINDOW_SIZE..=MAX_WINDOW_SIZE).contains(&size);
    // Registers are 32 bits wide.
    if !fits || base == 0 || !base.is_multiple_of(4) || base > MAX_ADDRESS - size {
        return Err(ProbeError::BadWindow);
    }
    match u32::try_from(irq) {
        Ok(0 | 2) => Err(ProbeError::LineReserved),
        Ok(irq @ ..=MAX_LINE) => Ok(MmioSlot { base, size, irq }),
        _ => Err(ProbeError::LineAbove15),
    }
}

/// A size with Linux's suffixes: `512`, `4K`, `1M`, `0x200`.
fn size_in_bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

/// Decimal, or hexadecimal behind `0x`. No sign, no spaces.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None; // `from_str_radix` takes a leading plus sign
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn slots(line: &str) -> Vec<MmioSlot> {
        probe(line).collect()
    }

    #[test]
    fn reads_what_qemu_and_firecracker_write() {
        let line = "log=info virtio_mmio.device=512@0xfeb00e00:12 x -- arg \
                    virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=0x200@0xfeb00c00:11:3";
        let expected = [
            MmioSlot {
                base: 0xfeb0_0e00,
                size: 512,
                irq: 12,
            },
            MmioSlot {
                base: 0xc000_1000,
                size: 4096,
                irq: 5,
            },
            MmioSlot {
                base: 0xfeb0_0c00,
                size: 512,
                irq: 11,
            },
        ];
        assert_eq!(slots(line), expected);
    }

    #[test]
    fn refuses_odd_announcements_by_name() {
        for text in [
            "",
            "@",
            "512",
            "512@",
            "512@0x1000",
            "512@0x1000:",
            "K@0x1000:5",
            "512@x:5",
        ] {
            assert_eq!(parse(text), Err(ProbeError::Malformed), "{text}");
        }
        for text in [
            "512@0x1000:5:",
            "512@0x1000:5:1:1",
            "+512@0x1000:5",
            "512@0x1000:-5",
            "é@1:1",
        ] {
            assert_eq!(parse(text), Err(ProbeError::Malformed), "{text}");
        }
        assert_eq!(parse("512@0x1000:16"), Err(ProbeError::LineAbove15));
        assert_eq!(
            parse("512@0x1000:18446744073709551615"),
            Err(ProbeError::LineAbove15)
        );
        assert_eq!(parse("512@0x1000:0"), Err(ProbeError::LineReserved));
        assert_eq!(parse("512@0x1000:2"), Err(ProbeError::LineReserved));
        for text in [
            "0@0x1000:5",
            "512@0:5",
            "512@0x1001:5",
            "2M@0x1000:5",
            "512@0xffffffff0000:5",
        ] {
            assert_eq!(parse(text), Err(ProbeError::BadWindow), "{text}");
        }
        assert_eq!(parse("17179869184G@0x1000:5"), Err(ProbeError::Malformed));
    }

    #[test]
    fn never_hands_out_a_register_twice() {
        let line = "virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=512@0xc0001e00:6 \
                    virtio_mmio.device=4K@0xc0001000:7 virtio_mmio.device=4K@0xc0002000:8";
        let bases: Vec<u64> = slots(line).iter().map(|slot| slot.base).collect();
        assert_eq!(bases, [0xc000_1000, 0xc000_2000]);
    }

    #[test]
    fn stops_at_the_limit() {
        use core::fmt::Write;
        let mut line = alloc::string::String::new();
        for i in 0..40 {
            write!(
                line,
                "virtio_mmio.device=4K@{}:5 ",
                0xc000_1000_u64 + i * 0x1000
            )
            .unwrap();
        }
        assert_eq!(slots(&line).len(), MAX_SLOTS);
    }
}
