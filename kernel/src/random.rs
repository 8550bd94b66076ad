//! The kernel's one random source: a ChaCha generator of twelve rounds (the choice of the `rand`
//! crate, for the same reason: no attack reaches eight), handed out as [`Random`].
//!
//! `entropy` seeds it while the machine starts and may mix in more later; netstack takes its ports,
//! sequence numbers and ids from it, a workload gets it from its context. Handles share one state,
//! so that what is mixed in reaches all of them.

use alloc::rc::Rc;
use core::cell::RefCell;
use core::convert::Infallible;

use chacha20::ChaCha12Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// Length of a seed, in bytes.
pub const SEED_LENGTH: usize = 32;
/// A seed, as secret as everything that is drawn after it.
pub type Seed = [u8; SEED_LENGTH];

/// A handle to the cryptographic random source; cheap to clone, used from tasks.
///
/// Implements the traits of `rand_core` 0.10, so that it fits where a crate asks for a `CryptoRng`.
/// Nothing waits, nothing fails; dropping a handle does nothing.
///
/// ```
/// use rand_core::Rng;
/// use ukernel::random::Random;
///
/// let mut random = Random::from_seed([7; 32]);
/// let mut key = [0; 16];
/// random.fill_bytes(&mut key);
/// assert_ne!(key, [0; 16]);
/// ```
#[derive(Clone)]
pub struct Random(Rc<RefCell<ChaCha12Rng>>);

impl Random {
    /// Starts a source of its own. A workload takes the kernel's instead, `Context::random`.
    pub fn from_seed(seed: Seed) -> Self {
        Random(Rc::new(RefCell::new(ChaCha12Rng::from_seed(seed))))
    }

    /// Adds `fresh` to what the source knows. Never weakens it: the new seed is the old stream's
    /// next bytes combined with `fresh`, so knowing one of the two does not help.
    pub fn mix(&self, fresh: &Seed) {
        let mut generator = self.0.borrow_mut();
        let mut seed = Seed::default();
        generator.fill_bytes(&mut seed);
        for (byte, fresh) in seed.iter_mut().zip(fresh) {
            *byte ^= fresh;
        }
        *generator = ChaCha12Rng::from_seed(seed);
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.borrow_mut().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.borrow_mut().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_share_one_stream() {
        let mut first = Random::from_seed([1; SEED_LENGTH]);
        let mut second = first.clone();
        let mut alone = Random::from_seed([1; SEED_LENGTH]);
        assert_eq!(
            [first.next_u64(), second.next_u64()],
            [alone.next_u64(), alone.next_u64()]
        );
    }

    #[test]
    fn mixing_depends_on_the_old_state_and_on_what_is_new() {
        let draw = |seed, fresh| {
            let mut random = Random::from_seed([seed; SEED_LENGTH]);
            random.mix(&[fresh; SEED_LENGTH]);
            random.next_u64()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(3, 2));
        assert_ne!(draw(1, 2), draw(1, 4));
    }
}
