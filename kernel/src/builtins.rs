//! The functions that compiled code takes for granted and that nothing else brings on the target of the
//! hard-float profile (`kernel/hard-float.toml`), where a C library and an unwinder would.
//!
//! Called by compiled code, from everywhere, interrupt handlers included. In assembly, because a
//! loop in Rust that copies bytes is compiled into a call of `memcpy`. What is short goes through
//! registers, what is long by the string instructions, for which the direction flag is clear
//! (System V ABI, section 3.2.1; `arch::traps` sees to it in handlers).
#![allow(
    unsafe_code,
    reason = "copies memory by addresses, under names that C fixed"
)]

#[cfg(ukernel_hard_float)]
use core::arch::asm;
use core::arch::naked_asm;

/// From so many bytes on the string instructions are worth their start.
const LONG: usize = 256;

/// Copies `count` bytes that do not overlap, or overlap with `to` below `from`.
///
/// # Safety
/// `from` is readable and `to` writable for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 4f",
        // The last 16 bytes are read before anything is written, and written last.
        "movups xmm1, [rsi + rdx - 16]",
        "lea r8, [rdi + rdx - 16]",
        "cmp rdx, {long}",
        "jae 3f",
        "2:",
        "movups xmm0, [rsi]",
        "movups [rdi], xmm0",
        "add rsi, 16",
        "add rdi, 16",
        "cmp rdi, r8",
        "jb 2b",
        "movups [r8], xmm1",
        "ret",
        "3:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "movups [r8], xmm1",
        "ret",
        // Less than 16: both ends, which overlap in the middle, read before they are written.
        "4:",
        "cmp edx, 8",
        "jb 5f",
        "mov rcx, [rsi]",
        "mov rsi, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], rsi",
        "ret",
        "5:",
        "cmp edx, 4",
        "jb 6f",
        "mov ecx, [rsi]",
        "mov esi, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], esi",
        "ret",
        // Up to three: the first, the middle, the last.
        "6:",
        "test edx, edx",
        "jz 7f",
        "mov r9, rdx",
        "shr r9, 1",
        "mov cl, [rsi]",
        "mov r8b, [rsi + r9]",
        "mov r10b, [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r9], r8b",
        "mov [rdi + rdx - 1], r10b",
        "7:",
        "ret",
        long = const LONG,
    )
}

/// Copies `count` bytes, as if through a buffer.
///
/// # Safety
/// As [`memcpy`], but they may overlap.
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    naked_asm!(
        "cmp rdx, 16",
        "jb {memcpy}",
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx",
        "jae {memcpy}",
        // `to` lies within the source: from the end downwards, the first 16 bytes read beforehand.
        "mov rax, rdi",
        "movups xmm1, [rsi]",
        "2:",
        "movups xmm0, [rsi + rdx - 16]",
        "movups [rdi + rdx - 16], xmm0",
        "sub rdx, 16",
        "cmp rdx, 16",
        "ja 2b",
        "movups [rdi], xmm1",
        "ret",
        memcpy = sym memcpy,
    )
}

/// Sets `count` bytes to the low byte of `value`.
///
/// # Safety
/// `to` is writable for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    naked_asm!(
        "mov r8, rdi",
        "movzx eax, sil",
        "movabs rcx, 0x0101010101010101",
        "imul rax, rcx",
        "cmp rdx, 16",
        "jb 4f",
        "movq xmm0, rax",
        "punpcklqdq xmm0, xmm0",
        "lea r9, [rdi + rdx - 16]",
        "cmp rdx, {long}",
        "jae 3f",
        "2:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, r9",
        "jb 2b",
        "movups [r9], xmm0",
        "mov rax, r8",
        "ret",
        "3:",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "movups [r9], xmm0",
        "mov rax, r8",
        "ret",
        "4:",
        "cmp edx, 8",
        "jb 5f",
        "mov [rdi], rax",
        "mov [rdi + rdx - 8], rax",
        "mov rax, r8",
        "ret",
        "5:",
        "cmp edx, 4",
        "jb 6f",
        "mov [rdi], eax",
        "mov [rdi + rdx - 4], eax",
        "mov rax, r8",
        "ret",
        "6:",
        "test edx, edx",
        "jz 7f",
        "mov [rdi], al",
        "mov [rdi + rdx - 1], al",
        "shr edx, 1",
        "mov [rdi + rdx], al",
        "7:",
        "mov rax, r8",
        "ret",
        long = const LONG,
    )
}

/// Compares bytes as unsigned numbers: negative, zero or positive as the first that differs.
///
/// # Safety
/// Both are readable for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    naked_asm!(
        "2:",
        "cmp rdx, 16",
        "jb 3f",
        "movups xmm0, [rdi]",
        "movups xmm1, [rsi]",
        "pcmpeqb xmm0, xmm1",
        "pmovmskb eax, xmm0",
        "cmp eax, 0xffff",
        "jne 3f",
        "add rdi, 16",
        "add rsi, 16",
        "sub rdx, 16",
        "jmp 2b",
        // The rest, or 16 bytes of which some differ.
        "3:",
        "cmp rdx, 8",
        "jb 5f",
        "mov rax, [rdi]",
        "mov rcx, [rsi]",
        "cmp rax, rcx",
        "jne 4f",
        "add rdi, 8",
        "add rsi, 8",
        "sub rdx, 8",
        "jmp 3b",
        // The first byte counts most.
        "4:",
        "bswap rax",
        "bswap rcx",
        "cmp rax, rcx",
        "sbb eax, eax",
        "or eax, 1",
        "ret",
        "5:",
        "xor eax, eax",
        "test rdx, rdx",
        "jz 6f",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jne 6f",
        "inc rdi",
        "inc rsi",
        "dec rdx",
        "jmp 5b",
        "6:",
        "ret",
    )
}

/// Zero where the bytes are the same.
///
/// # Safety
/// As [`memcmp`].
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

/// How many bytes stand before the first zero.
///
/// # Safety
/// There is a zero, and `text` is readable up to it.
#[unsafe(naked)]
#[cfg_attr(ukernel_hard_float, unsafe(no_mangle))]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    naked_asm!(
        "mov rax, -1",
        "2:",
        "inc rax",
        "cmp byte ptr [rdi + rax], 0",
        "jne 2b",
        "ret",
    )
}

/// Named by the unwind tables of the precompiled `core` and `alloc`. A panic ends the machine
/// (`crate::panic`), so nothing unwinds and nothing reads the tables.
#[cfg(ukernel_hard_float)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    no_unwinding()
}

/// Called by landing pads of `core` and `alloc`, which nothing lands on.
#[cfg(ukernel_hard_float)]
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    no_unwinding()
}

#[cfg(ukernel_hard_float)]
fn no_unwinding() -> ! {
    // SAFETY: raises the exception for an invalid opcode, which reports and ends the machine.
    unsafe { asm!("ud2", options(noreturn)) }
}

#[cfg(test)]
mod tests;
