//! `ukernel.lock`: what is read can be written and read again; anything else is a message that can be shown.
#![no_main]

use std::path::Path;

use bundle_tool::lock::Lock;
use libfuzzer_sys::fuzz_target;

/// What every lock has, so that most inputs are about the rest.
const HEAD: &str = "version = 1\n[kernel]\n[adapter]\n[toolchain]\n[dependencies]\n[sources]\n";

fuzz_target!(|text: &str| {
    let path = Path::new("ukernel.lock");
    for text in [text.to_string(), format!("{HEAD}{text}")] {
        match Lock::parse(&text, path) {
            Ok(lock) => {
                let again = Lock::parse(&lock.to_string(), path).expect("what was written can be read");
                assert_eq!(again, lock);
                assert!(lock.differences(&again).is_empty());
            }
            Err(error) => assert!(error.to_string().starts_with("ukernel.lock")),
        }
    }
});
