//! What the processor can do, and the switches that the kernel sets in it.
#![allow(unsafe_code, reason = "writes control registers")]

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

/// What this kernel wants to know about a processor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    /// Pages of 1 GiB.
    pub(super) gigabyte_pages: bool,
    /// A local interrupt controller with a timer.
    pub(super) lapic: bool,
    /// The timer can be set to a value of the cycle counter.
    pub(super) tsc_deadline: bool,
    /// There is a hypervisor that describes itself from leaf 0x4000_0000 on.
    pub(super) hypervisor: bool,
    /// Extended state (AVX) can be enabled.
    pub(super) xsave: bool,
    /// 256-bit vectors.
    pub(super) avx: bool,
}

impl Features {
    /// Asks the processor. Each question is an exit to the hypervisor.
    pub(super) fn detect() -> Features {
        let basic = cpuid(1);
        let extended = cpuid(0x8000_0001);
        Features {
            gigabyte_pages: bit(extended.edx, 26),
            lapic: bit(basic.edx, 9),
            tsc_deadline: bit(basic.ecx, 24),
            hypervisor: bit(basic.ecx, 31),
            xsave: bit(basic.ecx, 26),
            avx: bit(basic.ecx, 28),
        }
    }
}

fn bit(register: u32, number: u32) -> bool {
    register >> number & 1 == 1
}

/// One leaf of the processor's description; every x86-64 processor answers, with zeros for leaves that
/// it does not have.
pub(super) fn cpuid(leaf: u32) -> CpuidResult {
    __cpuid(leaf)
}

/// The highest leaf from `base` (0, 0x4000_0000 or 0x8000_0000) on.
pub(super) fn max_leaf(base: u32) -> u32 {
    __cpuid_count(base, 0).eax
}

/// Enables AVX where there is any, for code that wants it, beside SSE, which `boot.s` enables before
/// anything is called. No interrupt handler uses AVX (see `traps`).
pub(super) fn enable_vector_state(features: Features) {
    if !features.xsave {
        return;
    }
    let mut state = XCr0Flags::X87 | XCr0Flags::SSE;
    state.set(XCr0Flags::AVX, features.avx);
    // SAFETY: these bits only allow instructions that would fault; the kernel uses none of them.
    unsafe {
        Cr4::update(|cr4| *cr4 |= Cr4Flags::OSXSAVE);
        // Raw: the other `write` reads the register first, an instruction that KVM cannot
        // emulate where it has to.
        XCr0::write_raw(state.bits());
    }
}

/// The cycle counter.
pub(super) fn tsc() -> u64 {
    // SAFETY: CR4.TSD is clear, and user mode does not exist.
    unsafe { core::arch::x86_64::_rdtsc() }
}
