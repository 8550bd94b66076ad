//! The machine's console, for programs: bytes go out on the serial port, between the lines of the log.

use core::task::{Context, Poll};

use super::storage::Console;
use crate::log;

/// The serial port.
pub(super) struct SerialPort;

impl Console for SerialPort {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        log::poll_text(cx, bytes)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        log::poll_room(cx)
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        log::poll_sent(cx)
    }
}
