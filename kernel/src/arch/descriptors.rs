//! The segment descriptors and the stacks that exceptions and interrupts run on.
//!
//! Each kind of vector has a stack of its own, with an unmapped page below it, so a report of a
//! stack overflow does not need the stack that overflowed, and an interrupt does not need room on
//! the stack of a workload's coroutine.
#![allow(unsafe_code, reason = "fills and loads processor tables")]

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Which stack a vector runs on: slots of the interrupt stack table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum StackSlot {
    DoubleFault,
    NonMaskable,
    MachineCheck,
    Debug,
    PageFault,
    Exception,
    Interrupt,
}

/// The selector of the code segment: the first that is appended to the table.
pub(super) const CODE_SELECTOR: u16 = 8;

/// How many slots the processor has.
const SLOTS: usize = 7;
/// Bytes of each stack: a report with its formatting needs less than half.
const STACK_SIZE: usize = 8 << 10;
const PAGE: usize = 4096;

#[repr(C, align(4096))]
struct GuardedStack {
    guard: [u8; PAGE],
    stack: [u8; STACK_SIZE],
}

// SAFETY: the linker script has the section, beside the boot stack and zeroed likewise.
#[unsafe(link_section = ".bss.pages")]
static mut STACKS: [GuardedStack; SLOTS] = [const {
    GuardedStack {
        guard: [0; PAGE],
        stack: [0; STACK_SIZE],
    }
}; SLOTS];
static mut TSS: TaskStateSegment = TaskStateSegment::new();
static mut GDT: GlobalDescriptorTable = GlobalDescriptorTable::new();

unsafe extern "C" {
    static boot_stack_guard: u8;
}

/// The pages below stacks, which `memory::init` leaves unmapped.
pub(super) fn guard_pages() -> [u64; SLOTS + 1] {
    let mut guards = [&raw const boot_stack_guard as u64; SLOTS + 1];
    for (slot, guard) in guards.iter_mut().skip(1).enumerate() {
        *guard = stack_bottom(slot) - PAGE as u64;
    }
    guards
}

/// The lowest byte of a slot's stack.
fn stack_bottom(slot: usize) -> u64 {
    let stacks = &raw const STACKS;
    stacks as u64 + (slot * size_of::<GuardedStack>() + PAGE) as u64
}

/// Loads the segments and the stacks. Called once, at boot.
pub(super) fn init() {
    let (tss, gdt) = (&raw mut TSS, &raw mut GDT);
    // SAFETY: called once, with interrupts off, so nothing else refers to the tables; they are
    // statics, so the processor may keep pointing to them.
    unsafe {
        for slot in 0..SLOTS {
            let top = stack_bottom(slot) + STACK_SIZE as u64;
            (*tss).interrupt_stack_table[slot] = VirtAddr::new_truncate(top);
        }
        let gdt = &mut *gdt;
        let code = gdt.append(Descriptor::kernel_code_segment());
        let data = gdt.append(Descriptor::kernel_data_segment());
        let task_state = gdt.append(Descriptor::tss_segment(&*tss));
        debug_assert_eq!(code.0, CODE_SELECTOR);
        gdt.load_unsafe();
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task_state);
    }
}
