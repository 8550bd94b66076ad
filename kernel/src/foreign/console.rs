//! The machine's console, for programs: bytes go out on the serial port, between the lines of the log.

use core::task::{Context, Poll};

use abi::Error;
use calls::console::Console;

use crate::log;

/// The serial port.
pub(super) struct SerialPort;

impl Console for SerialPort {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        log::poll_text(cx, bytes).map(Ok)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        log::poll_room(cx)
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        log::poll_sent(cx)
    }
}
