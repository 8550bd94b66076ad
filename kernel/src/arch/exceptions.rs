//! What an exception means: a page to back, a stack that overflowed, or the end of the machine with
//! a report.
#![allow(unsafe_code, reason = "is called with a pointer from assembly")]

use super::backtrace;
use super::traps::Registers;
use crate::memory::LOWEST_ADDRESS;
use crate::memory::fault::{self, Fault, Outcome};
use crate::panic::{self, Report};
use abi::exit::{EXCEPTION, OUT_OF_MEMORY};
use core::fmt::Write;
use x86_64::registers::control::Cr2;

const PAGE_FAULT: u64 = 14;

/// The exceptions' names (Intel SDM vol. 3, table 6-1).
const NAMES: [&str; 32] = [
    "division by zero",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state segment",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved exception",
    "floating-point error",
    "alignment check",
    "machine check",
    "vector floating-point error",
    "virtualization exception",
    "control protection exception",
    "reserved exception",
    "reserved exception",
    "reserved exception",
    "reserved exception",
    "reserved exception",
    "reserved exception",
    "hypervisor injection",
    "hypervisor communication",
    "security exception",
    "reserved exception",
];

/// Called by the assembly in `traps` with what it pushed. Returns only to code that can go on.
pub(super) extern "C" fn handle(registers: *mut Registers) {
    // SAFETY: `exception_common` passes its own stack frame, which nobody else refers to.
    let registers = unsafe { &mut *registers };
    let cr2 = Cr2::read_raw();
    let (status, what) = match registers.vector {
        PAGE_FAULT => match resolve(registers, cr2) {
            Outcome::Resume => return,
            Outcome::StackOverflow => (EXCEPTION, "stack overflow"),
            Outcome::OutOfMemory => (OUT_OF_MEMORY, "out of memory while backing a page"),
            Outcome::Unhandled => (EXCEPTION, describe(registers, cr2)),
        },
        vector => (EXCEPTION, NAMES[vector as usize % NAMES.len()]),
    };
    #[cfg(feature = "foreign")]
    if status == EXCEPTION && goes_on_elsewhere(registers, what, cr2) {
        return;
    }
    panic::die(status, |report| write_report(report, registers, what, cr2))
}

/// Lets the code of a foreign program that made a fault go on where that is ended.
#[cfg(feature = "foreign")]
fn goes_on_elsewhere(registers: &mut Registers, what: &'static str, cr2: u64) -> bool {
    use crate::foreign::fault::{Interrupted, divert};
    use corosensei::trap::TrapHandlerRegs;

    /// What no code does: NMI, double fault, machine check.
    const OF_THE_MACHINE: [u64; 3] = [2, 8, 18];
    /// Interrupts on, all else at rest (Intel SDM vol. 1, section 3.4.3).
    const FLAGS: u64 = 0x202;
    const INTERRUPTS: u64 = 1 << 9;

    // Handlers of interrupts run on top of a program, with interrupts off.
    if registers.rflags & INTERRUPTS == 0 || OF_THE_MACHINE.contains(&registers.vector) {
        return false;
    }
    let elsewhere = divert(Interrupted {
        what,
        instruction: registers.rip,
        frame: registers.rbp,
        stack: registers.rsp,
        address: (registers.vector == PAGE_FAULT).then_some(cr2),
    });
    let Some(elsewhere) = elsewhere else {
        return false;
    };
    let TrapHandlerRegs {
        rip,
        rsp,
        rbp,
        rdi,
        rsi,
    } = elsewhere;
    registers.rip = rip;
    registers.rsp = rsp;
    registers.rbp = rbp;
    registers.rdi = rdi;
    registers.rsi = rsi;
    registers.rflags = FLAGS;
    true
}

fn resolve(registers: &mut Registers, cr2: u64) -> Outcome {
    let code = registers.error_code;
    let mut fault = Fault {
        address: cr2,
        protection: code & 1 != 0,
        write: code & 2 != 0,
        execute: code & 16 != 0,
        instruction: registers.rip,
    };
    let outcome = fault::resolve(&mut fault);
    registers.rip = fault.instruction;
    outcome
}

/// A page fault in a word or two.
fn describe(registers: &Registers, cr2: u64) -> &'static str {
    match registers.error_code {
        _ if cr2 < LOWEST_ADDRESS => "null pointer",
        code if code & 17 == 17 => "page fault: executing data",
        code if code & 3 == 3 => "page fault: writing read-only memory",
        code if code & 2 == 2 => "page fault: writing unmapped memory",
        _ => "page fault: reading unmapped memory",
    }
}

fn write_report(report: &mut Report, registers: &Registers, what: &str, cr2: u64) {
    let r = registers;
    let name = NAMES[r.vector as usize % NAMES.len()];
    let lines = || {
        writeln!(report, "exception: {what}")?;
        writeln!(
            report,
            "  vector={} name=\"{name}\" error={:#x} cr2={cr2:#x}",
            r.vector, r.error_code
        )?;
        writeln!(
            report,
            "  rip={:#018x} rsp={:#018x} rbp={:#018x} rflags={:#x}",
            r.rip, r.rsp, r.rbp, r.rflags
        )?;
        let general = [
            [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx)],
            [("rdx", r.rdx), ("rsi", r.rsi), ("rdi", r.rdi)],
            [(" r8", r.r8), (" r9", r.r9), ("r10", r.r10)],
            [("r11", r.r11), ("r12", r.r12), ("r13", r.r13)],
            [("r14", r.r14), ("r15", r.r15), (" cs", r.cs)],
        ];
        for [a, b, c] in general {
            let ((a, va), (b, vb), (c, vc)) = (a, b, c);
            writeln!(report, "  {a}={va:#018x} {b}={vb:#018x} {c}={vc:#018x}")?;
        }
        Ok(())
    };
    // A report goes out as far as it can.
    let _: core::fmt::Result = { lines }();
    backtrace::write(report, Some(r.rip), r.rbp);
}
