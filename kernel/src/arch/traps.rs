//! Exceptions and interrupts as the processor delivers them: the table of vectors, and the assembly
//! that saves registers around a call into Rust.
#![allow(
    unsafe_code,
    reason = "fills the vector table and enters Rust from the processor"
)]

use super::descriptors::{CODE_SELECTOR, StackSlot};
use super::{exceptions, interrupts};
use core::arch::naked_asm;
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

#[cfg(all(target_os = "none", target_feature = "sse"))]
compile_error!(
    "this target is miscompiled with SSE enabled; kernel/README.md has a profile for hard float"
);
#[cfg(target_feature = "avx")]
compile_error!(
    "interrupts keep SSE registers only: enable AVX for functions, not for the whole program"
);

/// Whether compiled code uses SSE registers, those of handlers included.
const HARD_FLOAT: bool = cfg!(ukernel_hard_float);

/// The first vector of the interrupt controllers; those below are exceptions.
pub(super) const FIRST_INTERRUPT: u8 = 32;
/// The local timer's vector.
pub(super) const TIMER_VECTOR: u8 = 48;
/// What the local interrupt controller delivers for interrupts that went away; its low four bits
/// must be set (Intel SDM vol. 3, section 11.9).
pub(super) const SPURIOUS_VECTOR: u8 = 63;
const VECTORS: usize = 64;

/// An entry of the table (Intel SDM vol. 3, figure 6-8). Filled field by field: at boot that is a
/// quarter of what the general type of the crate `x86_64` costs.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

impl Gate {
    const MISSING: Gate = Gate {
        offset_low: 0,
        selector: 0,
        stack: 0,
        kind: 0,
        offset_middle: 0,
        offset_high: 0,
        reserved: 0,
    };

    /// A gate to `entry`: interrupts are off in the handler.
    fn new(entry: EntryPoint, stack: StackSlot) -> Gate {
        const PRESENT_INTERRUPT_GATE: u8 = 0x8e;
        let offset = entry as usize as u64;
        Gate {
            offset_low: offset as u16,
            selector: CODE_SELECTOR,
            // The slots are counted from 1 here: 0 is no change of stacks.
            stack: stack as u8 + 1,
            kind: PRESENT_INTERRUPT_GATE,
            offset_middle: (offset >> 16) as u16,
            offset_high: (offset >> 32) as u32,
            reserved: 0,
        }
    }
}

static mut IDT: [Gate; VECTORS] = [Gate::MISSING; VECTORS];

/// All registers of the code that an exception interrupted, as `exception_common` pushes them.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Registers {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rbp: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rdx: u64,
    pub(super) rcx: u64,
    pub(super) rbx: u64,
    pub(super) rax: u64,
    pub(super) vector: u64,
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
}

/// What `interrupt_common` pushes: the registers that a called function may change.
#[repr(C)]
#[derive(Debug)]
pub(super) struct InterruptFrame {
    pub(super) rbp: u64,
    scratch: [u64; 9],
    pub(super) vector: u64,
    pub(super) rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Whether the processor pushes an error code for an exception (SDM vol. 3, table 6-1).
const fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// Where the processor enters for exception `VECTOR`. On the stack: what the processor pushed,
/// which begins on a multiple of 16.
#[unsafe(naked)]
extern "C" fn exception_entry<const VECTOR: u8>() {
    naked_asm!(
        ".if {has_error_code} == 0",
        "push 0",
        ".endif",
        "push {vector}",
        "jmp {common}",
        has_error_code = const has_error_code(VECTOR) as u8,
        vector = const VECTOR as i8,
        common = sym exception_common,
    )
}

/// Saves everything: a report shows it, and a handler of faults may be asked about it. The vector
/// registers as `interrupt_common`.
#[unsafe(naked)]
extern "C" fn exception_common() {
    naked_asm!(
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push rbp",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rdi, rsp",
        // The stack is at a multiple of 16 here, as `fxsave` and the call demand.
        ".if {hard_float}",
        "sub rsp, 512",
        "fxsave64 [rsp]",
        ".endif",
        "call {handle}",
        ".if {hard_float}",
        "fxrstor64 [rsp]",
        "add rsp, 512",
        ".endif",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        "add rsp, 16",
        "iretq",
        handle = sym exceptions::handle,
        hard_float = const HARD_FLOAT as u8,
    )
}

/// Where the processor enters for interrupt `VECTOR`.
#[unsafe(naked)]
extern "C" fn interrupt_entry<const VECTOR: u8>() {
    naked_asm!(
        "push {vector}",
        "jmp {common}",
        vector = const VECTOR as i8,
        common = sym interrupt_common,
    )
}

/// Saves what the called function may change. On the bare target the kernel is compiled without vector
/// instructions, so those registers stay as they are. With hard float it uses SSE, whose registers
/// `fxsave` keeps, and which leave the rest of the wider ones alone (SDM vol. 1, section 14.1).
#[unsafe(naked)]
extern "C" fn interrupt_common() {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbp",
        "cld",
        "mov rdi, rsp",
        // The stack is at a multiple of 16 here, as `fxsave` and the call demand.
        ".if {hard_float}",
        "sub rsp, 512",
        "fxsave64 [rsp]",
        ".endif",
        "call {handle}",
        ".if {hard_float}",
        "fxrstor64 [rsp]",
        "add rsp, 512",
        ".endif",
        "pop rbp",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "add rsp, 8",
        "iretq",
        handle = sym interrupts::handle,
        hard_float = const HARD_FLOAT as u8,
    )
}

type EntryPoint = extern "C" fn();

macro_rules! entries {
    ($entry:ident: $($vector:literal)*) => { [$(($vector, $entry::<$vector> as EntryPoint)),*] };
}

/// The stack that an exception's handler runs on.
fn exception_stack(vector: u8) -> StackSlot {
    match vector {
        1 | 3 => StackSlot::Debug,
        2 => StackSlot::NonMaskable,
        8 => StackSlot::DoubleFault,
        14 => StackSlot::PageFault,
        18 => StackSlot::MachineCheck,
        _ => StackSlot::Exception,
    }
}

/// Fills and loads the table. Called once, after `descriptors::init`. Interrupts stay off.
pub(super) fn init() {
    let exceptions: [(u8, EntryPoint); 32] = entries!(exception_entry:
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    let interrupts: [(u8, EntryPoint); 18] = entries!(interrupt_entry:
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 63);
    let table = &raw mut IDT;
    // SAFETY: called once, before the table is loaded, so this is the only reference to it.
    let table = unsafe { &mut *table };
    for (vector, entry) in exceptions {
        table[usize::from(vector)] = Gate::new(entry, exception_stack(vector));
    }
    for (vector, entry) in interrupts {
        table[usize::from(vector)] = Gate::new(entry, StackSlot::Interrupt);
    }
    let pointer = DescriptorTablePointer {
        limit: (VECTORS * size_of::<Gate>() - 1) as u16,
        base: VirtAddr::from_ptr(&raw const IDT),
    };
    // SAFETY: the table is a static, and every vector that can happen has a gate to one of the stubs
    // above, on a stack that `descriptors::init` set.
    unsafe { lidt(&pointer) };
}
