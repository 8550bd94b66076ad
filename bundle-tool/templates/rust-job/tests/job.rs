//! The whole job on this machine, in virtual time.

use ukernel::ExitCode;
use ukernel::testing::Machine;

use {{crate}}::run;

fn status(command_line: &'static str) -> u8 {
    let machine = Machine::booted(command_line, &[]);
    machine.block_on(run(machine.context())).to_u8()
}

#[test]
fn it_ends_well_when_everything_is_done() {
    assert_eq!(status("log=info -- 0 10 93"), 0);
    assert_eq!(status("log=info"), 0);
}

#[test]
fn what_is_no_number_and_what_is_too_large_fails() {
    assert_eq!(status("log=info -- 10 ten"), 1);
    assert_eq!(status("log=info -- 94"), 1);
}

#[test]
fn it_ends_early_when_the_machine_is_told_to_stop() {
    let machine = Machine::with_arguments(&["90"]);
    machine.request_shutdown();
    assert_eq!(machine.block_on(run(machine.context())), ExitCode::from(2));
}
