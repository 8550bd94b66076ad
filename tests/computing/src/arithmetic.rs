//! What the guest computes in both profiles. The test on the host includes this file too, so the same source
//! is compiled three times and must give the same bits.

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Block};
use sha2::{Digest, Sha256};

/// Bytes of an AES block.
pub(crate) const BLOCK: usize = 16;

/// Multiplies, divides, adds and converts numbers of both widths, tiny ones among them. One bit that is
/// rounded otherwise spreads: the first sequence is chaotic. No result is NaN, whose bits are not defined.
pub(crate) fn floats(rounds: u32) -> u64 {
    let (mut chaos, mut sum, mut tiny, mut narrow) = (0.1_f64, 1.0_f64, 1.0_f64, 0.3_f32);
    let mut digest = 0_u64;
    for round in 1..=rounds {
        let number = f64::from(round);
        chaos = 3.999 * chaos * (1.0 - chaos);
        sum = sum * 1.000_1 + chaos / number - number * 1e-3;
        narrow = (narrow * 1.5 + chaos as f32) / 2.0;
        // Down to where precision ends, and to zero.
        tiny = if tiny == 0.0 { chaos } else { tiny * 1e-17 };
        let whole = (sum * 1e6) as i64 as u64;
        let bits = chaos.to_bits() ^ sum.to_bits() ^ tiny.to_bits() ^ u64::from(narrow.to_bits());
        digest = digest.rotate_left(7) ^ bits ^ whole;
    }
    digest
}

/// The SHA-256 of that many bytes that count up.
pub(crate) fn sha256(length: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    let chunk: [u8; 256] = core::array::from_fn(|index| index as u8);
    let mut left = length;
    while left > 0 {
        let part = &chunk[..left.min(chunk.len())];
        hash.update(part);
        left -= part.len();
    }
    hash.finalize().into()
}

/// Encrypts eight blocks over and over with AES-128, the key and the first of them those of FIPS 197,
/// appendix C.1. Returns that first one.
pub(crate) fn aes(rounds: u32) -> [u8; BLOCK] {
    let key: [u8; BLOCK] = core::array::from_fn(|index| index as u8);
    let cipher = Aes128::new(&key.into());
    let mut blocks = [Block::from(core::array::from_fn(|index| index as u8 * 0x11)); 8];
    for _ in 0..rounds {
        cipher.encrypt_blocks(&mut blocks);
    }
    blocks[0].into()
}
