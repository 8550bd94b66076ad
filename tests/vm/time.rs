//! Clock and timers, on machines whose own time is exact: QEMU counts instructions as nanoseconds and
//! skips the time that the guest sleeps. So seconds of the guest's cost none here, and no load on this
//! host disturbs them.

use abi::exit::SUCCESS;
use bundle_tool::machine::{Accelerator, HostSupport, KvmState, Nic, Qemu};
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

/// Idles, checks that nothing woke the machine but its timer, and answers how many of the timer's settings
/// were re-arms. One wake-up beside the last is the watchdog's, for which the timer was set while a task
/// ran.
#[track_caller]
fn rearms_of_idling(qemu: Qemu) -> u64 {
    let line = success_of(&boot(qemu), "guest: idle");
    let cost = |name| number(&line, name);
    assert_eq!(cost("polls="), 1, "{line}");
    assert!(cost("slept_on=") <= 1, "{line}");
    let sleeps = 1 + cost("slept_on=") + cost("rearms=");
    for each in ["halts=", "interrupts=", "settings=", "fired="] {
        assert_eq!(cost(each), sleeps, "{each} in {line}");
    }
    cost("rearms=")
}

/// Five seconds of nothing, with a network interface that has nothing to do and without. The timer's steps
/// are not quite the clock's, so it may be set once more for the rest.
#[test]
fn idling_wakes_nobody() {
    let mut with_nic = exact("idle", 5);
    let config = with_nic.config.options("net=10.0.2.15/24,gw=10.0.2.2");
    with_nic.config = config.nic(Nic::user([]));
    for qemu in [exact("idle", 5), with_nic] {
        assert!(rearms_of_idling(qemu) <= 1);
    }
}

/// The PIT reaches 55 ms, so it is set again and again; nobody hears of it.
#[test]
fn idling_on_the_pit_costs_rearms_only() {
    let rearms = rearms_of_idling(exact("idle", 5).cpu("max,-apic"));
    assert!((90..=92).contains(&rearms), "{rearms}");
}

/// The local controller's timer reaches 68 s.
#[test]
fn idling_for_minutes_takes_a_rearm_a_minute() {
    let rearms = rearms_of_idling(exact("idle", 180));
    assert!((2..=3).contains(&rearms), "{rearms}");
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
    if host.kvm != KvmState::Works {
        return skip("kvm-clock", &host.kvm.to_string());
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
