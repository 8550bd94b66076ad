//! Numbers of interrupt lines. The controllers' are 0 to 15; from 16 on they are the kernel's own,
//! raised by a handler that found out what its device wanted.

/// The PIT's channel 0.
pub const TIMER: u8 = 0;
/// The keyboard controller.
pub const KEYBOARD: u8 = 1;
/// Where the second controller enters the first one; not a device's.
pub const CASCADE: u8 = 2;
/// COM1.
pub const SERIAL: u8 = 4;
/// Somebody outside asks the machine to stop (Ctrl-Alt-Del).
pub const SHUTDOWN: u8 = 16;
/// Bytes have come in on the serial port; [`super::serial::receive`] has them.
pub const SERIAL_INPUT: u8 = 17;
/// The serial port takes bytes again, after `serial::request_output_interrupt`.
pub const SERIAL_OUTPUT: u8 = 18;
