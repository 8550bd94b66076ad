//! What an interrupt must leave alone in code that computes: all vector registers, and the 128 bytes below
//! the stack pointer, which the System V ABI gives to functions that call nothing.
#![allow(unsafe_code, reason = "fills registers and the bytes below the stack")]

use crate::arithmetic::{aes, floats, sha256};
use core::arch::{asm, naked_asm};
use ukernel::Context;
use ukernel::memory::PAGE_SIZE;
use ukernel::memory::page_table::Access;
use ukernel::memory::region::{Backing, Region};
use ukernel::time::Duration;

type Registers = [u128; 16];

/// Longer than the watchdog's patience: its report, made of text by the timer's handler, is part of it.
const DURATION: Duration = Duration::from_millis(1_300);
/// Pages to touch for the first time; there are fewer rounds.
const PAGES: usize = 2048;
/// How often the held registers are waited with: about a millisecond.
const SPINS: u64 = 500_000;

/// Fills the sixteen registers and the red zone from `patterns`, touches `page`, which must be backed in
/// an exception, waits for interrupts, and stores the registers to `back`. Not zero where the red zone
/// changed.
///
/// # Safety
/// `page` may be written to, if only after a fault.
#[unsafe(naked)]
unsafe extern "C" fn hold(
    patterns: &Registers,
    back: &mut Registers,
    spins: u64,
    page: *mut u8,
) -> u64 {
    naked_asm!(
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "movups xmm\\i, [rdi + 16 * \\i]",
        "mov rax, [rdi + 16 * \\i]",
        "mov [rsp - 8 - 8 * \\i], rax",
        ".endr",
        "mov byte ptr [rcx], 1",
        "2:",
        "dec rdx",
        "jnz 2b",
        "xor eax, eax",
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        "movups [rsi + 16 * \\i], xmm\\i",
        "mov rcx, [rdi + 16 * \\i]",
        "xor rcx, [rsp - 8 - 8 * \\i]",
        "or rax, rcx",
        ".endr",
        "ret",
    )
}

/// Lets the old timer interrupt a thousand times a second through the first controller, or no more.
///
/// # Safety
/// The kernel uses another timer.
unsafe fn interrupt_periodically(on: bool) {
    let mask = u8::from(!on);
    // SAFETY: the timer's channel 0 and its line, which the kernel leaves masked.
    unsafe {
        asm!(
            "mov al, 0x34", "out 0x43, al", // channel 0, both bytes, periodic
            "mov al, 0xa9", "out 0x40, al", "mov al, 4", "out 0x40, al", // 1193
            "in al, 0x21", "and al, 0xfe", "or al, {mask}", "out 0x21, al",
            mask = in(reg_byte) mask, out("al") _, options(nostack),
        );
    }
}

fn results() -> (u64, [u8; 32], [u8; 16]) {
    (floats(500), sha256(1000), aes(10))
}

/// Holds registers, and computes, while interrupts come.
pub(crate) async fn keep(ctx: &Context) {
    let region = Region::reserve(PAGES * PAGE_SIZE as usize, Access::Write, Backing::Lazy)
        .expect("addresses abound");
    let expected = results();
    // SAFETY: reads a register.
    let status = unsafe {
        let mut status = 0_u32;
        asm!("stmxcsr [{}]", in(reg) &mut status, options(nostack));
        status & !0x3f // without the flags of what happened so far
    };
    assert_eq!(status, 0x1f80, "not the state that the ABI promises");
    ctx.clock().sleep(Duration::from_millis(1)).await;
    let before = ctx.stats().machine.interrupts_in_all();
    // SAFETY: the test gives the machine a local controller, whose timer the kernel prefers.
    unsafe { interrupt_periodically(true) };
    let end = ukernel::arch::time::now() + DURATION;
    let mut rounds = 0;
    while ukernel::arch::time::now() < end && rounds < PAGES {
        let pattern = |index| (rounds * 16 + index + 1) as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060;
        let patterns: Registers = core::array::from_fn(pattern);
        let mut back = [0; 16];
        let page = region.as_ptr().wrapping_add(rounds * PAGE_SIZE as usize);
        // SAFETY: the page is the region's.
        let changed = unsafe { hold(&patterns, &mut back, SPINS, page) };
        assert_eq!(back, patterns, "vector registers changed");
        assert_eq!(changed, 0, "the red zone changed");
        assert_eq!(results(), expected, "an interrupted computation went wrong");
        rounds += 1;
    }
    // SAFETY: as above.
    unsafe { interrupt_periodically(false) };
    let interrupts = ctx.stats().machine.interrupts_in_all() - before;
    log::info!("guest: registers kept rounds={rounds} interrupts={interrupts}");
}
