//! Faults of the program's own code in a spawned task, where the environment asks for it (`UKERNEL_FAULTS=task`):
//! they end that task, as in the guest. Otherwise, and for everything else, they are the process's, as of any
//! library.
//!
//! Owns handlers of SIGSEGV, SIGBUS, SIGILL and SIGFPE, and each thread's stack for them: a task may have used up its
//! own.
#![allow(
    unsafe_code,
    reason = "handles signals, and lets a stack go on elsewhere than where it was interrupted"
)]

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use crate::coroutine::{Fault, Running};
use crate::settings;

/// Bytes of a thread's stack for handlers.
const STACK: usize = 64 << 10;
/// The signals, and what they are called.
const SIGNALS: [(c_int, &str); 4] = [
    (libc::SIGSEGV, "segmentation fault"),
    (libc::SIGBUS, "bus error"),
    (libc::SIGILL, "invalid instruction"),
    (libc::SIGFPE, "arithmetic error"),
];

/// What was done about the signals before.
static BEFORE: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// Makes faults of tasks on this thread theirs, if the environment asks for it.
pub(crate) fn catch() {
    if settings::get().catches_faults {
        BEFORE.get_or_init(|| SIGNALS.map(|(signal, _)| handle(signal)));
        HANDLER_STACK.with_borrow_mut(|stack| {
            stack.get_or_insert_with(HandlerStack::new);
        });
    }
}

/// Installs the handler; gives what was done before.
fn handle(signal: c_int) -> libc::sigaction {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: a structure of numbers, for which zeros are good; then filled in as sigaction(2) says. The handler does
    // what it may in any moment, see there.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &action, before.as_mut_ptr());
        before.assume_init()
    }
}

/// A fault. On the thread's handler stack; uses a thread-local of constant initialisation, and no lock and no memory.
extern "C" fn on_fault(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the third argument is one, which nobody else uses while the handler runs.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    if !divert(signal, &mut context.uc_mcontext) {
        // Not ours: the instruction is tried again, and whoever handled it before handles it.
        let known = BEFORE.get().into_iter().flatten().zip(SIGNALS);
        for (before, (number, _)) in known {
            if number == signal {
                // SAFETY: what sigaction gave.
                unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
            }
        }
    }
}

/// Ends the task whose own code has made it. `false`: it was somebody else.
#[cfg(target_arch = "x86_64")]
fn divert(signal: c_int, registers: &mut libc::mcontext_t) -> bool {
    let registers = &mut registers.gregs;
    let pointer = registers[libc::REG_RSP as usize] as usize;
    let running = Running::current();
    let running = running
        .filter(|running| running.is_in_program() && running.stack_and_guard().contains(&pointer));
    let Some(running) = running else {
        return false;
    };
    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
    let what = known.map_or("signal", |(_, what)| what);
    let fault = Fault::new(what, registers[libc::REG_RIP as usize] as usize);
    // SAFETY: the program was running on this stack, by the two questions above, and goes on with these registers.
    let Some(there) = (unsafe { running.divert(fault) }) else {
        return false;
    };
    for (register, value) in [
        (libc::REG_RIP, there.rip),
        (libc::REG_RSP, there.rsp),
        (libc::REG_RBP, there.rbp),
        (libc::REG_RDI, there.rdi),
        (libc::REG_RSI, there.rsi),
    ] {
        registers[register as usize] = value as i64;
    }
    true
}

/// On other processors faults stay the process's.
#[cfg(not(target_arch = "x86_64"))]
fn divert(_: c_int, _: &mut libc::mcontext_t) -> bool {
    false
}

thread_local! {
    static HANDLER_STACK: RefCell<Option<HandlerStack>> = const { RefCell::new(None) };
}

/// A stack for handlers on this thread, if it had none.
struct HandlerStack {
    _memory: Option<Box<[u8]>>,
}

impl HandlerStack {
    fn new() -> HandlerStack {
        let mut before = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: only asks, and fills the structure in.
        let before = unsafe {
            libc::sigaltstack(ptr::null(), before.as_mut_ptr());
            before.assume_init()
        };
        if before.ss_flags & libc::SS_DISABLE == 0 {
            return HandlerStack { _memory: None };
        }
        let mut memory = vec![0; STACK].into_boxed_slice();
        let stack = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: STACK,
        };
        // SAFETY: memory that is used for nothing else, until `drop` has taken it back.
        unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
        HandlerStack {
            _memory: Some(memory),
        }
    }
}

impl Drop for HandlerStack {
    fn drop(&mut self) {
        if self._memory.is_some() {
            let none = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: STACK,
            };
            // SAFETY: takes the stack back, which no handler runs on: this does not.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
    }
}
