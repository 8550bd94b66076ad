//! The processor's local interrupt controller (Intel SDM vol. 3, chapter 11): passes the 8259 pair's
//! interrupts on, and has the timer.
#![allow(unsafe_code, reason = "accesses device registers")]

use super::traps::{SPURIOUS_VECTOR, TIMER_VECTOR};
use crate::memory;
use x86_64::registers::model_specific::Msr;

const BASE: u64 = 0xfee0_0000;
const APIC_BASE_MSR: u32 = 0x1b;
const X2APIC_ENABLED: u64 = 1 << 10;
const ENABLED: u64 = 1 << 11;
const TSC_DEADLINE_MSR: u32 = 0x6e0;

const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const LVT_TIMER: u64 = 0x320;
const LVT_LINT0: u64 = 0x350;
const INITIAL_COUNT: u64 = 0x380;
const CURRENT_COUNT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const EXTERNAL: u32 = 0b111 << 8;
const MODE_TSC_DEADLINE: u32 = 0b10 << 17;
/// The timer counts every 16th cycle of its bus: steps of 16 ns, 68 seconds at most.
const DIVIDE_BY_16: u32 = 0b0011;
/// What it divides by.
pub(super) const DIVISOR: u64 = 16;

/// Enables the controller, with the 8259 pair on its LINT0 pin: some machines start with the pin masked,
/// and would never see a device's interrupt. False where there is no controller at the usual place.
pub(super) fn init() -> bool {
    // SAFETY: every processor with a local controller, which CPUID told of, has this register.
    let state = unsafe { Msr::new(APIC_BASE_MSR).read() };
    let usual = state & (ENABLED | X2APIC_ENABLED) == ENABLED && state & !0xfff == BASE;
    if !usual || memory::map_device(BASE, memory::PAGE_SIZE).is_err() {
        return false;
    }
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(LVT_LINT0, EXTERNAL);
    true
}

/// Sets the timer to deadlines of the cycle counter.
pub(super) fn use_tsc_deadline() {
    write(LVT_TIMER, MODE_TSC_DEADLINE | u32::from(TIMER_VECTOR));
    // The mode must be set before the first deadline (SDM vol. 3, section 11.5.4.1).
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Sets the timer to counting down once.
pub(super) fn use_one_shot() {
    write(DIVIDE, DIVIDE_BY_16);
    write(LVT_TIMER, u32::from(TIMER_VECTOR));
}

/// Fires when the cycle counter reaches `tsc`.
pub(super) fn set_deadline(tsc: u64) {
    // SAFETY: only called where CPUID tells of the register.
    unsafe { Msr::new(TSC_DEADLINE_MSR).write(tsc.max(1)) };
}

/// Fires after `count` steps.
pub(super) fn set_count(count: u32) {
    write(INITIAL_COUNT, count.max(1));
}

/// How many steps are left.
pub(super) fn count() -> u32 {
    // SAFETY: `init` mapped the registers; reading this one has no effect.
    unsafe { ((BASE + CURRENT_COUNT) as *const u32).read_volatile() }
}

/// Ends the handling of a vector of this controller. From interrupt handlers.
pub(super) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

fn write(register: u64, value: u32) {
    // SAFETY: `init` mapped the registers, and nothing is called without its success.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) };
}
