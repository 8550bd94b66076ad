//! How many cases a property test takes, here and under Miri. For this crate's own tests.

use proptest::test_runner::Config;

/// `normal` cases, and a few under Miri, which is a thousand times slower. Failures are not written
/// down: `.cargo/config.toml` fixes the seed, so the same case fails again.
pub(crate) fn cases(normal: u32) -> Config {
    Config {
        cases: if cfg!(miri) { 3 } else { normal },
        failure_persistence: None,
        ..Config::default()
    }
}
