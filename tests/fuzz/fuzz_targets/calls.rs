//! Random calls of a foreign program, against a model.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    calls::testing::exercise(bytes);
});
