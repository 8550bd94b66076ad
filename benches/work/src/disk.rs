//! Which blocks of a disk are read and written, and how many at a time.

/// Bytes of a random access.
pub const BLOCK: usize = 4096;
/// Bytes of a sequential access.
pub const CHUNK: usize = 1 << 20;
/// Accesses that are under way at the same time, where more than one is.
pub const DEPTH: usize = 32;
/// Random accesses that are measured at a time.
pub const OPERATIONS: u64 = 4000;
/// Sequential ones.
pub const CHUNKS: u64 = 256;
/// How often everything is measured.
pub const ROUNDS: u64 = 3;

/// Where access `number` of a round is on a disk of so many blocks, in bytes: the same sequence
/// everywhere, without the order that a disk or a cache could use. `blocks` is not zero.
///
/// ```
/// use bench_work::disk::{BLOCK, block};
///
/// assert_eq!(block(7, 0, 100), block(7, 0, 100));
/// assert!(block(7, 0, 100) <= 99 * BLOCK as u64);
/// ```
pub fn block(number: u64, round: u64, blocks: u64) -> u64 {
    let mut x = (number + round * OPERATIONS + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    x % blocks * BLOCK as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_all_over_the_disk_and_differ_from_round_to_round() {
        const BLOCKS: u64 = 16;
        for round in 0..ROUNDS {
            let mut seen = [0; BLOCKS as usize];
            for number in 0..OPERATIONS {
                let offset = block(number, round, BLOCKS);
                assert_eq!(offset % BLOCK as u64, 0);
                seen[(offset / BLOCK as u64) as usize] += 1;
            }
            assert!(seen.iter().all(|&count| count > OPERATIONS / BLOCKS / 2));
        }
        assert_ne!(block(0, 0, 1 << 20), block(0, 1, 1 << 20));
    }
}
