//! The bundle of a workload that asks for one: loaded when the devices are there and nothing has begun that it decides
//! on. A machine whose bundle cannot be used ends here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use drivers::block::Disk;
use reactor::Reactor;

use super::{memory_stats, start_disks};
use crate::arch::embedded_bundle;
use crate::boot::BootInfo;
use crate::bundle::load::{self, LoadError, Places};
use crate::bundle::{Bundle, Demand};
use crate::command_line::CommandLine;
use crate::devices::Devices;
use crate::exit;
use crate::memory::range_set::Range;

/// One part in this many of the memory that is free is what a bundle may take: the workload wants some, too.
const ROOM_SHARE: u64 = 2;

/// How the rest of `runtime` calls what is here. It names none of it: a workload that does not ask has it not in its
/// image.
pub(crate) struct Loader {
    /// Reads the command line before the bundle is there.
    pub(super) parse: fn(&'static str) -> CommandLine<'static>,
    /// Looks for the bundle, and puts what it says below the command line. Ends the machine if it cannot be used.
    pub(super) load:
        fn(&Reactor, &mut BootInfo, &mut Devices, &mut CommandLine<'static>) -> &'static Loaded,
    /// What the context gets.
    pub(super) give: fn(&'static Loaded) -> Given,
    /// Where in memory the bundle is that the kernel's own file has brought along.
    pub(crate) embedded: fn() -> Range,
}

/// For workloads that ask.
pub(crate) static LOADER: Loader = Loader {
    parse: |text| CommandLine::parse_with_bundle(text).0,
    load,
    give: |loaded| (loaded.disks.clone(), loaded.bundle),
    embedded: embedded_bundle,
};

/// The disks, and the bundle.
type Given = (Vec<Option<Disk>>, Option<&'static Bundle>);

/// What there is once the bundle has been looked for.
pub(crate) struct Loaded {
    /// The disks, whose tasks run.
    disks: Vec<Option<Disk>>,
    bundle: Option<&'static Bundle>,
}

fn load(
    reactor: &Reactor,
    boot: &mut BootInfo,
    devices: &mut Devices,
    command_line: &mut CommandLine<'static>,
) -> &'static Loaded {
    let disks = start_disks(reactor, core::mem::take(&mut devices.disks));
    let (_, demand) = CommandLine::parse_with_bundle(boot.command_line);
    let embedded = take_embedded(boot);
    let places = Places {
        embedded,
        disks: &disks,
        modules: boot.modules,
        room: memory_stats().heap_free_bytes / ROOM_SHARE,
    };
    let loaded = reactor.block_on(find(&places, demand));
    let bundle = loaded.unwrap_or_else(|error| {
        log::error!("bundle: {error}");
        exit::exit(abi::exit::BUNDLE)
    });
    if let Some(bundle) = bundle {
        let said = bundle.command_line();
        say(&said);
        *command_line = said.overridden_by(boot.command_line);
        if let Some(level) = command_line.log {
            log::set_max_level(level);
        }
        bundle.announce();
    }
    Box::leak(Box::new(Loaded {
        disks: load::number(disks, bundle),
        bundle,
    }))
}

/// Takes the kernel's own bundle out of the boot modules, of which it is the last: nobody else gave it to the machine.
fn take_embedded(boot: &mut BootInfo) -> Option<&'static [u8]> {
    let (last, others) = boot.modules.split_last()?;
    if last.as_ptr() as u64 != embedded_bundle().start {
        return None;
    }
    boot.modules = others;
    Some(last)
}

/// Says what the bundle's options have wrong.
fn say(options: &CommandLine<'_>) {
    for warning in options.warnings() {
        log::warn!("bundle: ignored {warning}");
    }
    if options.unsaid_warnings() > 0 {
        log::warn!("bundle: ignored more={}", options.unsaid_warnings());
    }
}

async fn find(
    places: &Places<'_>,
    demand: Option<&str>,
) -> Result<Option<&'static Bundle>, LoadError> {
    load::load(places, Demand::parse(demand)?).await
}
