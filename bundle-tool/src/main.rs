//! The command `ukernel`. All it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bundle_tool::cli::main(std::env::args_os())
}
