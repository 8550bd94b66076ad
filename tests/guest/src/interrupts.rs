//! Interrupts that go away before they are taken, made at the controllers themselves (Intel 8259A data sheet,
//! "interrupt sequence" and "poll command"). The test attaches serial ports on the lines 7, 10 and 15, each
//! of which interrupts when its transmitter is told to.
#![allow(unsafe_code, reason = "drives I/O ports and interrupts itself")]

use core::arch::asm;
use ukernel::Context;
use ukernel::arch::stats;
use ukernel::time::Duration;

const FIRST: Controller = Controller { command: 0x20 };
const SECOND: Controller = Controller { command: 0xa0 };
const LINE_7: Source = Source { base: 0x2f8 };
const LINE_10: Source = Source { base: 0x2e8 };
const LINE_15: Source = Source { base: 0x3e8 };

/// Spurious interrupts of both controllers, each between two real ones of the same line.
pub(crate) async fn check_spurious(ctx: &Context) {
    FIRST.unmask(7);
    SECOND.unmask(2);
    SECOND.unmask(7);
    let before = stats::now().spurious;
    expect_real(LINE_7, 7);
    expect_spurious(from_the_first);
    expect_real(LINE_7, 7);
    expect_real(LINE_15, 15);
    expect_spurious(from_the_second);
    expect_real(LINE_15, 15);
    expect_real(LINE_10, 10);
    ctx.clock().sleep(Duration::from_millis(1)).await;
    let spurious = stats::now().spurious - before;
    log::info!("guest: interrupts work spurious={spurious}");
}

#[track_caller]
fn expect_real(source: Source, line: usize) {
    let before = stats::now();
    source.raise();
    let after = stats::now();
    source.lower();
    assert_eq!(after.interrupts[line] - before.interrupts[line], 1);
    assert_eq!(after.spurious, before.spurious);
}

#[track_caller]
fn expect_spurious(make: fn()) {
    let before = stats::now();
    make();
    let after = stats::now();
    assert_eq!(after.spurious - before.spurious, 1);
    assert_eq!(after.interrupts, before.interrupts);
}

/// Vector 39 while another interrupt of the first controller is being handled, which must go on being
/// so: nothing was delivered, so there is nothing to end.
fn from_the_first() {
    interrupts_off();
    LINE_15.raise();
    assert_eq!(FIRST.take(), Some(2));
    // SAFETY: the vector has a handler, which returns here.
    unsafe { asm!("int 39") };
    assert_eq!(FIRST.in_service(), 1 << 2);
    assert_eq!(SECOND.take(), Some(7));
    SECOND.end();
    FIRST.end();
    LINE_15.lower();
    interrupts_on();
}

/// A request that the second controller passed on and that is taken from it before the processor asks.
/// The first one has delivered its cascade line, which is to be ended; the second one nothing but what was
/// taken, which is not.
fn from_the_second() {
    interrupts_off();
    LINE_10.raise();
    assert_eq!(SECOND.take(), Some(2));
    interrupts_on();
    assert_eq!(FIRST.in_service(), 0);
    assert_eq!(SECOND.in_service(), 1 << 2);
    SECOND.end();
    LINE_10.lower();
}

/// One of the pair, with the masks at the port behind its commands.
struct Controller {
    command: u16,
}

impl Controller {
    fn unmask(&self, line: u8) {
        write(self.command + 1, read(self.command + 1) & !(1 << line));
    }

    /// The lines whose handling has begun and was not ended.
    fn in_service(&self) -> u8 {
        write(self.command, 0x0b);
        read(self.command)
    }

    /// Takes the most urgent request instead of the processor, and begins its handling.
    fn take(&self) -> Option<u8> {
        write(self.command, 0x0c);
        let answer = read(self.command);
        (answer & 0x80 != 0).then_some(answer & 7)
    }

    /// Ends the handling of the most urgent line.
    fn end(&self) {
        write(self.command, 0x20);
    }
}

/// A serial port.
#[derive(Clone, Copy)]
struct Source {
    base: u16,
}

impl Source {
    /// The transmitter is empty and says so.
    fn raise(self) {
        write(self.base + 1, 2);
    }

    fn lower(self) {
        write(self.base + 1, 0);
        read(self.base + 2);
    }
}

fn interrupts_off() {
    // SAFETY: tasks may keep interrupts away for a moment.
    unsafe { asm!("cli") };
}

/// With an instruction behind it, before which none comes.
fn interrupts_on() {
    // SAFETY: interrupts are on in tasks.
    unsafe { asm!("sti", "nop") };
}

fn read(port: u16) -> u8 {
    let value;
    // SAFETY: the ports of this file belong to the controllers and to this program's serial ports.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack)) };
    value
}

fn write(port: u16, value: u8) {
    // SAFETY: as for `read`.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack)) };
}
