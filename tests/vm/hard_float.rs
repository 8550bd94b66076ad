//! Computing in the guest: as the host does in both profiles, at what cost, and undisturbed by interrupts.

use abi::exit::{EXCEPTION, SUCCESS};
use bundle_tool::machine::{Accelerator, Qemu, VmConfig};
use system_tests::guest::{guest, hard_float_guest};
use system_tests::vm::{TestVm, boot};

#[path = "../computing/src/arithmetic.rs"]
mod arithmetic;

/// The programs of both profiles: the bare target, and hard float.
fn profiles() -> [Qemu; 2] {
    [guest("computing"), hard_float_guest("computing")].map(|kernel| {
        let config = VmConfig::new(kernel).memory_mib(16);
        Qemu::with_accelerator(config, Accelerator::Tcg)
    })
}

fn with_mode(mut qemu: Qemu, mode: &str) -> Qemu {
    qemu.config = qemu.config.argument(mode);
    qemu
}

/// The number at the end of the line.
#[track_caller]
fn last_number(line: &str) -> u64 {
    let number = line.rsplit('=').next().expect("a value");
    number.parse().expect("a number")
}

/// Checks one result of a machine, and returns what it cost.
#[track_caller]
fn cost(vm: &TestVm, name: &str, result: &str) -> u64 {
    let line = vm.expect_line(&format!("guest: {name} "));
    assert!(line.contains(&format!("result={result} ")), "{line}");
    last_number(&line)
}

/// FIPS 197, appendix C.1, and FIPS 180's first example of its kind: `sha256sum` of 256 bytes.
#[test]
fn what_the_host_computes_is_known_to_be_right() {
    let block = "69c4e0d86a7b0430d8cdb78070b4c55a";
    assert_eq!(
        u128::from_be_bytes(arithmetic::aes(1)),
        u128::from_str_radix(block, 16).unwrap()
    );
    let bytes: Vec<u8> = (0..=255).collect();
    let digest: String = arithmetic::sha256(256)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, system_tests::image::sha256(&bytes));
}

/// The same bits, in a fraction of the instructions.
#[test]
fn hard_float_gives_the_same_results_for_less() {
    let floats = format!("{:#x}", arithmetic::floats(2_000));
    let sha256 = format!("{:02x?}", arithmetic::sha256(64 << 10));
    let aes = format!("{:02x?}", arithmetic::aes(100));
    let [soft, hard] = profiles().map(|qemu| {
        // An instruction takes a nanosecond of the guest's time.
        let qemu = with_mode(qemu, "numbers").extra(["-icount", "shift=0,sleep=off"]);
        let vm = boot(qemu);
        let costs = [("floats", &*floats), ("sha256", &sha256), ("aes", &aes)]
            .map(|(name, result)| cost(&vm, name, result));
        vm.expect_status(SUCCESS);
        costs
    });
    println!("instructions for floats, sha256, aes: soft={soft:?} hard={hard:?}");
    assert!(
        soft[0] > 10 * hard[0],
        "floats: {} and {}",
        soft[0],
        hard[0]
    );
    assert!(soft[2] > 5 * hard[2], "aes: {} and {}", soft[2], hard[2]);
}

#[test]
fn interrupts_leave_registers_and_red_zone_alone() {
    for qemu in profiles() {
        let vm = boot(with_mode(qemu, "vectors"));
        let line = vm.expect_line("guest: registers kept");
        // A thousand a second; a busy host's QEMU leaves some out.
        assert!(last_number(&line) > 100, "{line}");
        let outcome = vm.expect_status(SUCCESS);
        let reported = outcome.log.contains("watchdog: task does not return");
        assert!(
            reported,
            "the handler did not compose a text: {}",
            outcome.log
        );
    }
}

/// In hard float, crates take the target for Linux.
#[test]
fn a_system_call_ends_the_machine_with_a_report() {
    let [_, hard] = profiles();
    let vm = boot(with_mode(hard, "system-call"));
    vm.expect_line("exception: invalid opcode");
    vm.expect_status(EXCEPTION);
}
