//! A call that panics, for the test that no panic reaches the program. Not part of the library (feature `test-hooks`).
#![allow(
    unsafe_code,
    reason = "a function with C's calling convention and name"
)]

use calls::entry::{call, wait};
use calls::{Failure, Outcome};
use reactor::task::yield_now;

use crate::thread;

/// Panics: 0 in a call, 1 in a wait, 2 in a wait after a pause, 3 in a task of the reactor's own, 4 in one that the
/// kernel needs.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn kernel_test_panic(place: u32) -> u32 {
    match place {
        1 | 2 => wait("kernel_test_panic", None, |_| async move {
            if place == 2 {
                yield_now().await;
            }
            panic!("as the test wants it");
        }),
        3 => call("kernel_test_panic", None, |task| {
            let spawner = &task.program().machine().spawner;
            spawner
                .spawn(async { panic!("as the test wants it") })
                .detach();
            Ok(())
        }),
        4 => call("kernel_test_panic", None, |_| deafen()),
        _ => call("kernel_test_panic", None, |_| {
            panic!("as the test wants it")
        }),
    }
}

fn deafen() -> Outcome {
    let kernel = thread::current().ok_or(Failure::invalid(1, 0))?;
    kernel.deafen();
    Ok(())
}
