//! Random calls against the model in `calls::testing::exercise`; the fuzz target `calls` runs the same, guided.

use calls::testing::exercise;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_call_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&bytes);
    }
}
