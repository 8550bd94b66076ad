//! Clock and timers, on machines whose own time is exact: QEMU counts instructions as nanoseconds and
//! skips the time that the guest sleeps. So seconds of the guest's cost none here, and no load on this
//! host disturbs them.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Accelerator, HostSupport, Qemu};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use system_tests::skip::skip;
use system_tests::vm::{TestVm, boot, boot_within, config};

fn guest(mode: &str, number: u32) -> Qemu {
    let config = config("guest")
        .memory_mib(16)
        .argument(mode)
        .argument(number.to_string());
    Qemu::with_accelerator(config, Accelerator::Tcg)
}

fn exact(mode: &str, number: u32) -> Qemu {
    guest(mode, number).extra(["-icount", "shift=0,sleep=off"])
}

/// A number behind `name=` on a line.
#[track_caller]
fn number(line: &str, name: &str) -> u64 {
    let value = line.split(name).nth(1).expect("the name is on the line");
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[track_caller]
fn success_of(vm: &TestVm, pattern: &str) -> String {
    let line = vm.expect_line(pattern);
    vm.expect_status(SUCCESS);
    line
}

/// The cycle counter of this machine counts a thousand million a second, exactly.
#[test]
fn the_frequency_is_known_after_a_second() {
    let vm = boot(exact("clock", 4));
    vm.expect_line("guest: clock=CalibratedTsc timer=OneShot");
    for second in 1..4 {
        let line = vm.expect_line(&format!("guest: tick number={second}"));
        let hz = number(&line, "tsc_hz=");
        let error_ppm = hz.abs_diff(1_000_000_000) / 1_000;
        assert!(error_ppm < 500, "{error_ppm} ppm: {line}");
    }
    vm.expect_status(SUCCESS);
}

/// By the local controller, and by the PIT where there is none: never early (the guest checks that),
/// and at most a turn late.
#[test]
fn timers_fire_when_they_are_due() {
    for (cpu, device) in [("max", "device=OneShot"), ("max,-apic", "device=Pit")] {
        let vm = boot(exact("timers", 0).cpu(cpu));
        let line = success_of(&vm, "guest: timers work");
        assert!(line.contains(device), "{line}");
        assert!(number(&line, "worst_late_us=") < 100, "{line}");
    }
}

/// Five seconds of nothing: the one poll is the end of them. The timer is set for the deadline, after
/// the watchdog's last look.
#[test]
fn idling_wakes_nobody() {
    let line = success_of(&boot(exact("idle", 5)), "guest: idle");
    assert_eq!(number(&line, "polls="), 1, "{line}");
    assert!(number(&line, "halts=") <= 3, "{line}");
    assert!(number(&line, "timer_set=") <= 3, "{line}");
}

/// The PIT reaches 55 ms, so it is set again and again; nobody hears of it.
#[test]
fn idling_on_the_pit_costs_settings_only() {
    let vm = boot(exact("idle", 5).cpu("max,-apic"));
    let line = success_of(&vm, "guest: idle");
    assert_eq!(number(&line, "polls="), 1, "{line}");
    assert!(number(&line, "timer_set=") <= 95, "{line}");
}

#[test]
fn a_task_that_does_not_return_is_named_with_its_place() {
    let vm = boot(exact("spin", 4));
    vm.expect_line("watchdog: task does not return task=selfish");
    success_of(&vm, "guest: spun ended=true reports=1");
    let frames = vm.backtrace(&vm.log().text());
    assert!(
        frames.iter().any(|frame| frame.contains("time::spin")),
        "{frames:#?}"
    );
}

#[test]
fn the_date_is_the_hosts() {
    let line = success_of(&boot(guest("wall-clock", 0)), "guest: wall clock");
    let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let guest = number(&line, "seconds=");
    assert!(guest.abs_diff(host.as_secs()) < 60, "{line}, here {host:?}");
}

/// kvm-clock and the timer that is set to a value of the cycle counter exist under KVM only.
#[test]
fn kvm_offers_its_own_clock_and_timer() {
    let host = HostSupport::detect();
    if let Err(error) = host.kvm {
        return skip("kvm-clock", &format!("/dev/kvm does not open: {error}"));
    }
    let config = config("guest").argument("timers");
    let accelerator = Accelerator::Kvm {
        hardware: host.hardware,
    };
    let qemu = Qemu::with_accelerator(config, accelerator);
    let vm = boot_within(qemu, Duration::from_secs(120));
    let line = vm.expect_line("boot: up");
    assert!(line.contains("clock=Kvm timer=TscDeadline"), "{line}");
    success_of(&vm, "guest: timers work device=TscDeadline");
}
