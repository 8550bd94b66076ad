//! The backend of the `log` crate: lines wait in a bounded ring and go out on the serial port when
//! there is time, because each byte costs an exit to the hypervisor.
//!
//! A line reads `[    0.012345] INFO  net: address assigned addr=10.0.2.15/24`: seconds since boot,
//! level, and the message, whose details are `key=value`. At the levels debug and trace
//! ` target=<module>` follows. Lines that do not fit are dropped and counted, and the count is a
//! line of its own once there is room.
//!
//! Interrupt handlers do not log.

#[cfg(any(target_os = "none", ukernel_hard_float))]
mod backend;
pub mod line;
pub mod ring;

#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) use backend::flush_last;
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub(crate) use backend::{always, poll_room};
#[cfg(any(target_os = "none", ukernel_hard_float))]
pub use backend::{drain, dropped_lines, flush, init};
#[cfg(all(feature = "foreign", any(target_os = "none", ukernel_hard_float)))]
pub(crate) use backend::{plain, poll_sent, poll_text};
