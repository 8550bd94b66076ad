//! The program in the virtual machine that finds something packed beside it, and says what; `tests/vm/bundle.rs` has the
//! other side.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;

use ukernel::{Context, Result};

/// Bytes of a file that are shown.
const SHOWN: usize = 32;

#[ukernel::main(bundle)]
async fn main(ctx: Context) -> Result {
    let (arguments, greeting) = (ctx.args(), ctx.variable("GREETING"));
    log::info!("packed: began arguments={arguments:?} greeting={greeting:?}");
    log::info!(
        "packed: networks={} disks={}",
        ctx.networks().len(),
        ctx.disks().count()
    );
    let Some(bundle) = ctx.bundle() else {
        log::info!("packed: nothing was packed");
        return Ok(());
    };
    for (path, content) in bundle.files() {
        let sum: u64 = content.iter().map(|&byte| u64::from(byte)).sum();
        let beginning = String::from_utf8_lossy(&content[..content.len().min(SHOWN)]);
        log::info!(
            "packed: file path={path} bytes={} sum={sum} beginning={beginning:?}",
            content.len()
        );
    }
    for (_, volume) in bundle.volumes() {
        let disk = ctx.volume(&volume.name)?;
        let beginning = disk.read(0, 1).await?;
        let written = disk.write_at(0, &[beginning[0] + 1; 512]).await;
        log::info!(
            "packed: volume name={} beginning={beginning:?} written={written:?}",
            volume.name
        );
    }
    if let Ok(disk) = ctx.disk(0) {
        log::info!("packed: disk 0 read_only={}", disk.read_only());
    }
    Ok(())
}
