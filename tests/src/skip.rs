//! Skips that a person sees: a test that cannot run here says so, past the test runner's capture, and
//! in the summary of `./just test`.

use std::fs::OpenOptions;
use std::io::Write;

/// The file that collects skips; `./just test` shows it at its end.
const LIST_VARIABLE: &str = "UKERNEL_SKIPS";

/// Says that `what` was not tested, and why. The caller then returns.
pub fn skip(what: &str, why: &str) {
    let line = format!("SKIPPED {what}: {why}\n");
    // Not `eprintln!`, which the test runner keeps to itself when a test passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os(LIST_VARIABLE) {
        let file = OpenOptions::new().append(true).create(true).open(list);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the list is writable");
    }
}
