//! The control words of the floating-point units, which say how to round and what traps: a called function has to keep
//! them (System V ABI, 3.2.3), so every stack has its own.
#![allow(unsafe_code, reason = "loads control words")]

use core::arch::asm;

/// Both control words.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FloatControl {
    /// MXCSR, of SSE.
    sse: u32,
    /// The control word of x87.
    x87: u16,
}

impl Default for FloatControl {
    fn default() -> FloatControl {
        FloatControl::INITIAL
    }
}

impl FloatControl {
    /// What the ABI promises to a program that starts: nothing traps, rounding to nearest, x87 at its full precision.
    pub(crate) const INITIAL: FloatControl = FloatControl {
        sse: 0x1f80,
        x87: 0x037f,
    };

    /// Calls `other` with these words loaded, and keeps what it leaves. Before and after, the kernel's are.
    pub(crate) fn keep<R>(&mut self, other: impl FnOnce() -> R) -> R {
        self.load();
        let result = other();
        self.store();
        FloatControl::INITIAL.load();
        result
    }

    /// Puts the units into order after a function that did not return.
    pub(crate) fn reset() {
        // SAFETY: also empties the x87 registers, which nobody else uses.
        unsafe { asm!("fninit", options(nostack, nomem, preserves_flags)) };
        FloatControl::INITIAL.load();
    }

    fn load(&self) {
        // SAFETY: reads this; compiled code assumes the initial words, which `keep` loads again.
        unsafe {
            asm!("ldmxcsr [{0}]", "fldcw [{0} + 4]", in(reg) self, options(nostack, readonly, preserves_flags));
        }
    }

    fn store(&mut self) {
        // SAFETY: writes this.
        unsafe {
            asm!("stmxcsr [{0}]", "fnstcw [{0} + 4]", in(reg) self, options(nostack, preserves_flags));
        }
    }
}
