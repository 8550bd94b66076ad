//! Where the first seed of [`Random`] comes from.
//!
//! In the order of preference: RDRAND; a virtio-rng device, asked once it answers; and where the
//! machine has neither, the clock and the names of the devices, with a warning that says so. Called
//! once by `runtime`, in boot context, before the first task runs. [`mix`] adds to it later, from tasks.
//!
//! ```
//! use ukernel::entropy::{self, Quality};
//!
//! // A processor without a generator, on a machine where little differs from start to start.
//! let (_random, quality) = entropy::first(|| None, || vec![7]);
//! assert_eq!(quality, Quality::Weak);
//! ```

use alloc::vec::Vec;

use drivers::rng::Entropy;

use crate::random::{Random, SEED_LENGTH, Seed};

/// How often one RDRAND is tried before it counts as broken: Intel's recommendation (software
/// developer's manual, volume 1, section 7.3.17.1).
const MAX_TRIES: usize = 10;

/// How good a first seed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// Drawn from the processor's generator.
    Processor,
    /// Guessable by whoever knows the machine and the moment: more must be mixed in.
    Weak,
}

/// Makes the random source from the processor's generator, or, where that is missing or broken,
/// from `scraps`: numbers that differ from start to start, which are gathered only then.
pub fn first(
    mut processor: impl FnMut() -> Option<u64>,
    scraps: impl FnOnce() -> Vec<u64>,
) -> (Random, Quality) {
    let mut draw = || (0..MAX_TRIES).find_map(|_| processor());
    match words_to_seed([(); 4].map(|()| draw())) {
        // A generator that repeats itself is broken: some returned all ones after a suspend.
        Some((seed, true)) => (Random::from_seed(seed), Quality::Processor),
        _ => (from_scraps(&scraps()), Quality::Weak),
    }
}

/// Adds a seed's worth of the device's bytes to what `random` knows. False, with a line in the log and
/// nothing added, where the device failed. Dropping the future adds nothing.
pub async fn mix(random: &Random, source: &Entropy) -> bool {
    let mut fresh = Seed::default();
    match source.fill(&mut fresh).await {
        Ok(()) => random.mix(&fresh),
        Err(error) => {
            log::warn!("entropy: device failed problem=\"{error}\"");
            return false;
        }
    }
    log::debug!("entropy: mixed in bytes={}", fresh.len());
    true
}

/// Four words as a seed, and whether any two neighbours differ.
fn words_to_seed(words: [Option<u64>; 4]) -> Option<(Seed, bool)> {
    let mut seed = Seed::default();
    let mut previous = None;
    let mut differ = false;
    for (word, place) in words.into_iter().zip(seed.chunks_exact_mut(8)) {
        let word = word?;
        differ |= previous.is_some_and(|previous| previous != word);
        previous = Some(word);
        place.copy_from_slice(&word.to_le_bytes());
    }
    Some((seed, differ))
}

/// Mixes each number in on its own, so that their order counts and none cancels another.
fn from_scraps(scraps: &[u64]) -> Random {
    let random = Random::from_seed([0; SEED_LENGTH]);
    for scrap in scraps {
        let mut fresh = Seed::default();
        fresh[..8].copy_from_slice(&scrap.to_le_bytes());
        random.mix(&fresh);
    }
    random
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use drivers::testing::{DeviceType, FakeBus};
    use drivers::virtio::Features;
    use rand_core::Rng;
    use reactor::Reactor;
    use reactor::task::yield_now;
    use reactor::testing::VirtualClock;

    use super::*;

    const LINE: u8 = 9;

    /// Mixes once from a device that answers with `answer`. Whether that worked, and the next word.
    fn mixed(answer: &[u8]) -> (bool, u64) {
        let clock = VirtualClock::new();
        let reactor = Reactor::new(clock.clone());
        let kind = DeviceType::EntropySource;
        let bus = FakeBus::new(kind, Features::VERSION_1, 1, Vec::new(), clock, LINE);
        let (irq, clock) = (reactor.irq_event(LINE), reactor.clock());
        let (source, runner) = drivers::rng::new(bus.transport(), irq, clock).unwrap();
        reactor.spawner().spawn(runner.run()).detach();
        let mut random = Random::from_seed([9; SEED_LENGTH]);
        let mixing = {
            let random = random.clone();
            let mix = async move { mix(&random, &source).await };
            reactor.spawner().spawn(mix)
        };
        reactor.block_on(async {
            while bus.notifications() == 0 {
                yield_now().await;
            }
        });
        let mut queue = bus.queue(0);
        let request = queue.pop().expect("the driver asks");
        let written = request.write(answer);
        queue.push(request.head, written);
        bus.interrupt();
        (reactor.block_on(mixing).unwrap(), random.next_u64())
    }

    #[test]
    fn the_devices_bytes_are_mixed_in() {
        let expected = |fresh| {
            let mut random = Random::from_seed([9; SEED_LENGTH]);
            random.mix(&fresh);
            random.next_u64()
        };
        let last = core::array::from_fn(|place| u8::from(place == SEED_LENGTH - 1));
        for fresh in [[0; SEED_LENGTH], [5; SEED_LENGTH], last] {
            assert_eq!(mixed(&fresh), (true, expected(fresh)));
        }
        assert_ne!(
            expected([0; SEED_LENGTH]),
            expected(last),
            "each byte counts"
        );
    }

    #[test]
    fn a_device_that_fails_changes_nothing() {
        let mut untouched = Random::from_seed([9; SEED_LENGTH]);
        assert_eq!(mixed(&[]), (false, untouched.next_u64()));
    }

    #[test]
    fn the_processor_seeds_when_it_can() {
        let mut numbers = 1..;
        let (mut random, quality) = first(|| numbers.next(), Vec::new);
        let mut seed = Seed::default();
        for (index, byte) in [1, 2, 3, 4].into_iter().enumerate() {
            seed[index * 8] = byte;
        }
        assert_eq!(quality, Quality::Processor);
        assert_eq!(random.next_u64(), Random::from_seed(seed).next_u64());
    }

    #[test]
    fn a_generator_that_fails_now_and_then_still_counts() {
        let mut calls = 0;
        let flaky = || {
            calls += 1;
            (calls % MAX_TRIES as u64 == 0).then_some(calls)
        };
        assert_eq!(first(flaky, Vec::new).1, Quality::Processor);
    }

    #[test]
    fn a_missing_or_stuck_generator_is_weak() {
        assert_eq!(first(|| None, || vec![1]).1, Quality::Weak);
        assert_eq!(first(|| Some(u64::MAX), || vec![1]).1, Quality::Weak);
    }

    #[test]
    fn every_scrap_and_their_order_count() {
        let draw = |scraps: &[u64]| first(|| None, || scraps.to_vec()).0.next_u64();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[5, 5]), draw(&[]));
    }
}
