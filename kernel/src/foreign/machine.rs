//! The machine of a foreign program, made of what a native workload is handed.

use alloc::rc::Rc;

use calls::Machine;
use calls::backend::{Network, Runner};
use calls::console::Console;
use calls::user::AddressSpace;

use super::environment::Surroundings;
use super::network::Sockets;
use super::storage::Files;
use crate::Context;

/// What a program runs on that a [`Context`] does not have.
pub struct Hands {
    /// Where the bytes of its console go.
    pub console: Rc<dyn Console>,
    /// Which memory is its own.
    pub space: Rc<dyn AddressSpace>,
    /// What runs its tasks.
    pub runner: Rc<dyn Runner>,
}

/// A machine that lets a program do what the context's policy allows, and no more: its networks and disks are the
/// context's.
pub fn machine(context: &Context, hands: Hands) -> Machine {
    let network = context.network().ok().map(|stack| {
        let (stack, clock) = (stack.clone(), context.clock());
        Rc::new(Sockets { stack, clock }) as Rc<dyn Network>
    });
    Machine {
        clock: context.clock(),
        spawner: context.spawner(),
        policy: context.policy().kinds(),
        network,
        storage: Rc::new(Files {
            context: context.clone(),
            console: hands.console,
        }),
        environment: Rc::new(Surroundings(context.clone())),
        space: hands.space,
        runner: hands.runner,
        trace: context.trace(),
    }
}
