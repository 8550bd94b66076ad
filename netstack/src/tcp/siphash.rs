//! SipHash-2-4 (Aumasson and Bernstein, 2012): a short number that nobody without the key can foretell,
//! or work the key out of.
//!
//! For SYN cookies, which strangers see. The hash maps' seeds are never seen, so they do with less. Core
//! has this hash, too, for text of any length; that is four times the code.

/// Hashes whole words, at most 31.
#[inline(never)]
pub(super) fn siphash(key: [u64; 2], words: &[u64]) -> u64 {
    let [k0, k1] = key;
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let end = (words.len() as u64 * 8) << 56;
    for word in words.iter().copied().chain([end]) {
        state[3] ^= word;
        mix(&mut state, 2);
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    mix(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline(never)]
fn mix(state: &mut [u64; 4], rounds: u32) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..rounds {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hasher;

    #[test]
    #[expect(deprecated, reason = "the same hash, to compare with")]
    fn it_is_the_hash_that_core_has() {
        let mut random = crate::testing::random(1);
        for _ in 0..100 {
            let key = [random(), random()];
            let words: [u64; 7] = core::array::from_fn(|_| random());
            let mut hasher = core::hash::SipHasher::new_with_keys(key[0], key[1]);
            words
                .iter()
                .for_each(|word| hasher.write(&word.to_le_bytes()));
            assert_eq!(siphash(key, &words), hasher.finish());
        }
    }
}
