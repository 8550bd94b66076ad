//! Results and costs of computing, for the test that compares profiles with each other and with the host.

use crate::arithmetic::{aes, floats, sha256};
use core::hint::black_box;
use ukernel::arch::time;

const ROUNDS: u32 = 2_000;
const BYTES: usize = 64 << 10;
/// Of eight blocks.
const AES_ROUNDS: u32 = 100;

/// Under `-icount shift=0` a nanosecond is an instruction.
fn timed<T>(compute: impl FnOnce() -> T) -> (T, u64) {
    let start = time::now();
    let result = compute();
    (result, (time::now() - start).as_nanos() as u64)
}

pub(crate) fn compute() {
    let (floats, floats_nanos) = timed(|| floats(black_box(ROUNDS)));
    let (sha256, sha256_nanos) = timed(|| sha256(black_box(BYTES)));
    let (aes, aes_nanos) = timed(|| aes(black_box(AES_ROUNDS)));
    log::info!("guest: floats result={floats:#x} nanos={floats_nanos}");
    log::info!("guest: sha256 result={sha256:02x?} nanos={sha256_nanos}");
    log::info!("guest: aes result={aes:02x?} nanos={aes_nanos}");
}
