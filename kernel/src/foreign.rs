//! Programs in C: each of their tasks is a stack of its own, and a task of the reactor that runs it.
//!
//! The calls themselves are in the crate `calls`; here is what of a program needs the machine. A package
//! that links a program declares its `main` and hands it to [`run`]; `kernel/c` is the one for C sources. One that has
//! work in Rust beside it offers the program channels: [`Program`].
//!
//! # What is where
//!
//! The reactor polls a task of the program by going to its stack, where C code runs until it calls something that waits.
//! The call polls its future there, on the program's stack, and goes back to the reactor's while it is pending
//! ([`calls::coroutines`]; what it stands on here is [`ground`]). A flag says at any time whether the kernel runs on the
//! program's stack or the program itself, and so an exception in the program's own code can end that task alone
//! ([`fault`]).
//!
//! What sockets, files and settings are behind the calls ([`machine()`]) is the same everywhere that the kernel's own
//! code runs, on the host too, where tests of it are; the rest needs the processor.
//!
//! # Registers
//!
//! A change of stacks is a call for the compiler, on either side: what the System V ABI lets a called function
//! destroy, SSE registers among it, nobody keeps there. Interrupts come in the middle of anything, but their handlers
//! either are compiled without those registers or save them (`arch::traps`). So C code may use SSE although the kernel
//! on the bare target does not. The control words of SSE and x87, which a called function has to keep, are each task's
//! own. AVX needs no more than this either, but is the program's to look for (CPUID).
//!
//! The red zone below the stack pointer needs no flag of the compiler: handlers of interrupts and exceptions run on
//! stacks of their own (`arch::descriptors`).
//!
//! # What it cannot do
//!
//! There is one address space, and one privilege level. A program that writes through a wild pointer may destroy the
//! kernel's memory; what is promised is that mistakes which the processor notices in the program's own code end only
//! the task that made them.

#[cfg(any(target_os = "none", ukernel_hard_float))]
mod console;

#[cfg(any(target_os = "none", ukernel_hard_float))]
mod door;
mod environment;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) mod fault;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod ground;
mod machine;
mod network;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod program;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod space;
#[cfg(any(target_os = "none", ukernel_hard_float))]
mod stacks;
mod storage;

pub use calls::console::Console;
pub use calls::{Error, Message, Receiver, Sender};
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) use ground::number as running_task;
pub use machine::{Hands, machine};
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub use program::{Main, Program, run};

#[cfg(test)]
mod tests;
