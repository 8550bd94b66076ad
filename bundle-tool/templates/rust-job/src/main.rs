//! {{name}}: works through its arguments, and ends.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ukernel::{Context, ExitCode};

#[ukernel::main(bundle)]
async fn start(ctx: Context) -> ExitCode {
    {{crate}}::run(ctx).await
}

/// The program runs in a machine of its own: `ukernel run`. This is for `cargo test`.
#[cfg(not(target_os = "none"))]
fn main() {}
