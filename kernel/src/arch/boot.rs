//! From the loader to [`crate::runtime::start`]: the entry points in `boot.s`, then the kernel's
//! parts in the order in which they need each other.
#![allow(unsafe_code, reason = "entered from assembly with physical addresses")]

use super::cpu::{self, Features};
use super::{descriptors, keyboard, lapic, line, pic, serial, time, timer, traps, watchdog};
use crate::boot::{self, BootInfo, MAX_COMMAND_LINE, MAX_MODULES, PhysicalMemory, Protocol};
use crate::memory::SetupError;
use crate::memory::range_set::Range;
use crate::{exit, log, memory, runtime, workload};
use abi::exit::UNSUPPORTED_MACHINE;
use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

/// Bytes of the stack on which the kernel starts and all tasks are polled.
const BOOT_STACK_SIZE: usize = 128 << 10;

global_asm!(
    include_str!("boot.s"),
    entry_tsc = sym ENTRY_TSC,
    kernel_entry = sym kernel_entry,
    boot_stack_size = const BOOT_STACK_SIZE,
    hard_float = const cfg!(ukernel_hard_float) as u8,
    options(att_syntax)
);

unsafe extern "C" {
    static __boot_mapped_end: u8;
}

/// The processor's cycle counter at the first instruction.
static mut ENTRY_TSC: u64 = 0;
/// The command line, copied out of memory that the heap gets.
static mut COMMAND_LINE: [u8; MAX_COMMAND_LINE] = [0; MAX_COMMAND_LINE];
static mut MODULES: [&[u8]; MAX_MODULES] = [&[]; MAX_MODULES];

/// The bundle that `ukernel pack --image` has put into the kernel's file: its address and its length. The tool finds the
/// symbol and writes both; what is here stands for none, and not as zeros, which a file would not have.
#[unsafe(no_mangle)]
static ukernel_embedded_bundle: [AtomicU64; 2] = [AtomicU64::new(u64::MAX), AtomicU64::new(0)];

/// Where that bundle lies; empty if there is none.
pub(crate) fn embedded_bundle() -> Range {
    // Volatile: as far as the compiler knows, nobody writes there.
    // SAFETY: both are words of a static that nobody writes while the machine runs.
    let [address, length] =
        [0, 1].map(|index| unsafe { ukernel_embedded_bundle[index].as_ptr().read_volatile() });
    Range::with_size(address, length)
}

/// Memory as the boot code maps it: from address 0 to a little behind the kernel.
struct BootMapping;

impl PhysicalMemory for BootMapping {
    fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        let end = address.checked_add(length)?;
        if address == 0 || end > &raw const __boot_mapped_end as u64 {
            return None;
        }
        // SAFETY: the boot code maps this range (the Linux protocol maps at least as much). Nothing
        // writes to it while the loader's structures are read: `memory::init` comes later.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
    }
}

/// Called by `boot.s`, once, in 64-bit mode with interrupts off.
extern "C" fn kernel_entry(protocol: u32, address: u64) -> ! {
    descriptors::init();
    traps::init();
    serial::init();
    log::init();
    let features = Features::detect();
    let entry = &raw const ENTRY_TSC;
    // SAFETY: written by `boot.s` before this function was called, and never again.
    let entry = unsafe { entry.read() };
    time::init(features, entry);
    let protocol = match protocol {
        0 => Protocol::Pvh,
        _ => Protocol::Linux,
    };
    let mut info = boot::parse(protocol, &BootMapping, address);
    if !info.valid {
        give_up("the loader passed no start information");
    }
    if let Some(loader) = workload::bundle_loader() {
        info.add_module((loader.embedded)());
    }
    let command_line = keep_command_line(info.command_line);
    let memory = memory::init(&info, &descriptors::guard_pages(), features.gigabyte_pages)
        .unwrap_or_else(|error| match error {
            SetupError::TooLittleMemory => give_up("there is too little memory"),
            SetupError::BadModule => give_up("a boot module lies outside of RAM or in the kernel"),
            SetupError::Map(_) => give_up("the memory map cannot be used"),
        });
    cpu::enable_vector_state(features);
    start_interrupts(features, entry);
    runtime::start(BootInfo {
        protocol,
        command_line,
        modules: keep_modules(info.modules()),
        memory,
    })
}

/// Ends a boot that cannot go on.
fn give_up(reason: &str) -> ! {
    ::log::error!("boot: {reason}");
    exit::exit(UNSUPPORTED_MACHINE)
}

/// Takes the interrupt controllers and the timer into use, and lets interrupts in.
#[inline(never)] // a phase of the boot that benchmarks tell apart
fn start_interrupts(features: Features, entry: u64) {
    let has_lapic = features.lapic && lapic::init();
    timer::init(features, has_lapic);
    pic::init();
    pic::unmask(line::KEYBOARD);
    pic::unmask(line::SERIAL);
    // What came before made its edge too early, and a line that stays up makes no other.
    keyboard::handle();
    serial::handle();
    let bus_hz = time::finish_init(features, entry);
    timer::finish_init(bus_hz);
    if timer::device() == timer::Device::Pit {
        pic::unmask(line::TIMER);
    }
    watchdog::wake(time::now());
    x86_64::instructions::interrupts::enable();
}

fn keep_command_line(place: Range) -> &'static str {
    let source = BootMapping.bytes(place.start, place.size());
    let room = &raw mut COMMAND_LINE;
    // SAFETY: only `kernel_entry` calls this, once, so the buffer is borrowed once.
    let room = unsafe { &mut *room };
    boot::copy_command_line(source.unwrap_or_default(), room)
}

/// The modules where the loader put them: `memory::init` took them out of what is allocated.
fn keep_modules(places: &[Range]) -> &'static [&'static [u8]] {
    let modules = &raw mut MODULES;
    // SAFETY: only `kernel_entry` calls this, once, so the list is borrowed once.
    let modules = unsafe { &mut *modules };
    for (module, place) in modules.iter_mut().zip(places) {
        // SAFETY: the loader put the module there, and `memory::init` mapped it and keeps it.
        *module =
            unsafe { core::slice::from_raw_parts(place.start as *const u8, place.size() as usize) };
    }
    &modules[..places.len()]
}
