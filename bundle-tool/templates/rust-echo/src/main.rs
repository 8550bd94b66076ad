//! {{name}}: sends back what it is sent, over TCP.
#![cfg_attr(target_os = "none", no_std, no_main)]

use ukernel::{Context, Result};

#[ukernel::main(bundle)]
async fn start(ctx: Context) -> Result {
    {{crate}}::serve(ctx).await
}

/// The program runs in a machine of its own: `ukernel run`. This is for `cargo test`.
#[cfg(not(target_os = "none"))]
fn main() {}
