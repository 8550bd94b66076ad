//! Everything that ends the machine with a report.
#![allow(unsafe_code, reason = "does what must not be done, to see it refused")]

use alloc::boxed::Box;
use core::arch::asm;
use core::fmt;
use core::hint::black_box;
use ukernel::Context;
use ukernel::memory::stack::Stack;

static CONSTANT: [u8; 16] = *b"do not touch me\0";

pub(crate) fn panic() {
    panic!("guest: panicking on purpose, answer={}", black_box(42));
}

/// A message that cannot be formatted.
pub(crate) struct PanicsWhenShown;

impl fmt::Display for PanicsWhenShown {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        read_null();
        Ok(())
    }
}

pub(crate) async fn panic_in_task(ctx: &Context) {
    let task = ctx.task("unlucky").spawn(async { panic() });
    let _ = task.await;
}

pub(crate) fn overflow() {
    log::info!("guest: recursing");
    black_box(recurse(black_box(u64::MAX)));
}

/// Fills the log until lines are dropped, and goes on until the stack overflows in the middle of writing to it: there
/// the number of dropped lines is made into a line, deeper than anything else.
pub(crate) fn overflow_while_logging(lines: u64) {
    crate::lines::queue(lines);
    log_deeper(0);
}

#[inline(never)]
fn log_deeper(depth: u64) -> u64 {
    log::info!("guest: deeper depth={depth}");
    match black_box(depth) {
        u64::MAX => 0,
        depth => black_box(log_deeper(depth + 1)) + 1,
    }
}

pub(crate) async fn overflow_in_task(ctx: &Context) {
    let task = ctx.task("deep").spawn(async { overflow() });
    let _ = task.await;
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = [depth; 32];
    if black_box(depth) == 0 {
        return 0;
    }
    recurse(depth - 1) + black_box(&frame)[7]
}

/// Runs past the end of a stack of its own, as a coroutine would.
pub(crate) fn overflow_a_stack() {
    let stack = Stack::new(8 << 10).expect("there is memory for a small stack");
    log::info!("guest: bottom={:p} top={:p}", stack.bottom(), stack.top());
    // SAFETY: calls a function on memory that is a stack; it never comes back.
    unsafe {
        asm!("mov rsp, {}", "xor ebp, ebp", "call {}", in(reg) stack.top(), sym recurse_for_ever, options(noreturn));
    }
}

extern "C" fn recurse_for_ever() {
    black_box(recurse(black_box(u64::MAX)));
}

pub(crate) fn read_null() {
    let null: *const u8 = black_box(core::ptr::without_provenance(8));
    // SAFETY: none: the page is not mapped, and the processor says so.
    unsafe { null.read_volatile() };
}

pub(crate) fn call_null() {
    // SAFETY: none: there is no function at address 0.
    unsafe { asm!("xor eax, eax", "call rax", out("rax") _) };
}

pub(crate) fn write_unmapped() {
    let nowhere: *mut u8 = black_box(core::ptr::without_provenance_mut(0x7000_0000_0000));
    // SAFETY: none: nothing is mapped there.
    unsafe { nowhere.write_volatile(1) };
}

pub(crate) fn write_constant() {
    let constant = black_box(CONSTANT.as_ptr().cast_mut());
    // SAFETY: none: constants are mapped read-only.
    unsafe { constant.write_volatile(1) };
}

pub(crate) fn write_code() {
    let code = black_box(write_code as *const () as *mut u8);
    // SAFETY: none: code is mapped read-only.
    unsafe { code.write_volatile(0xc3) };
}

pub(crate) fn execute_heap() {
    let code = Box::new([0xc3_u8; 16]);
    // SAFETY: none: the heap is mapped without the right to execute.
    unsafe { asm!("call {}", in(reg) black_box(code.as_ptr())) };
}

pub(crate) fn execute_constant() {
    // SAFETY: none: constants are mapped without the right to execute.
    unsafe { asm!("call {}", in(reg) black_box(CONSTANT.as_ptr())) };
}

pub(crate) fn invalid_opcode() {
    // SAFETY: none: the instruction exists in order to fault.
    unsafe { asm!("ud2") };
}

pub(crate) fn general_protection() {
    // SAFETY: none: the address is not canonical.
    unsafe { asm!("mov al, [{}]", in(reg) 0x8000_0000_0000_0000_u64, out("al") _) };
}

pub(crate) fn divide_by_zero() {
    // SAFETY: none: there is no quotient.
    unsafe {
        asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx", out("eax") _, out("ecx") _, out("edx") _);
    };
}

/// An exception while the stack pointer is worthless is reported all the same.
pub(crate) fn lose_the_stack() {
    // SAFETY: none: the push faults, and nothing runs after it.
    unsafe { asm!("mov rsp, {}", "push rax", in(reg) 0x7000_0000_0000_u64, options(noreturn)) };
}
