//! Which clock the machine has, and reading it: kvm-clock, else the cycle counter at a rate that the processor
//! or hypervisor tells or that is found by calibration (`clock::calibration`).
#![allow(
    unsafe_code,
    reason = "reads counters and writes model-specific registers"
)]

use super::{cpu, pit, timer};
use crate::clock::calibration::Calibration;
use crate::clock::pvclock::{SystemTime, WallClock};
use crate::clock::rate::Rate;
use crate::clock::{CounterClock, rtc};
use crate::exclusive::Exclusive;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use reactor::time::{Duration, Instant};
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

const HYPERVISOR_LEAF: u32 = 0x4000_0000;
const KVM_FEATURES_LEAF: u32 = 0x4000_0001;
/// Frequencies, where VMware's convention is followed (QEMU: `vmware-cpuid-freq`).
const HYPERVISOR_TIMING_LEAF: u32 = 0x4000_0010;
const TSC_LEAF: u32 = 0x15;
const FREQUENCY_LEAF: u32 = 0x16;
/// "KVMKVMKVM\0\0\0" in EBX, ECX, EDX.
const KVM_SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x4d];
const CLOCKSOURCE2: u32 = 1 << 3;
const MSR_WALL_CLOCK: u32 = 0x4b56_4d00;
const MSR_SYSTEM_TIME: u32 = 0x4b56_4d01;

static SYSTEM_TIME: SystemTime = SystemTime::new();
static WALL_CLOCK: WallClock = WallClock::new();
static TSC_CLOCK: CounterClock = CounterClock::new();
static CALIBRATION: Exclusive<Option<Running>> = Exclusive::new(None);
static KIND: AtomicU8 = AtomicU8::new(Kind::None as u8);
/// kvm-clock's time at boot.
static PVCLOCK_ZERO: AtomicU64 = AtomicU64::new(0);
/// The latest time that was told, so that none is earlier.
static LATEST: AtomicU64 = AtomicU64::new(0);
/// When the next calibration sample is due; the far future if none is.
static NEXT_SAMPLE: AtomicU64 = AtomicU64::new(u64::MAX);
static TSC_HZ: AtomicU64 = AtomicU64::new(0);

/// A calibration that goes on.
#[derive(Debug)]
struct Running {
    calibration: Calibration,
    started: Instant,
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Time stands at zero.
    None,
    /// The hypervisor's kvm-clock.
    Kvm,
    /// The cycle counter, whose frequency was told.
    Tsc,
    /// The cycle counter, whose frequency is being found or was found by calibration.
    CalibratedTsc,
}

/// Where the time comes from.
pub fn kind() -> Kind {
    match KIND.load(Relaxed) {
        1 => Kind::Kvm,
        2 => Kind::Tsc,
        3 => Kind::CalibratedTsc,
        _ => Kind::None,
    }
}

/// Cycles of the processor's counter in a second, as far as known.
pub fn tsc_hz() -> u64 {
    TSC_HZ.load(Relaxed)
}

/// Time since the kernel was entered. Never goes back. From any context.
pub fn now() -> Instant {
    let nanos = match kind() {
        Kind::Kvm => pvclock_nanos(),
        Kind::None => 0,
        Kind::Tsc | Kind::CalibratedTsc => TSC_CLOCK.nanos(cpu::tsc()),
    };
    // A handler may store a later time between these two; the time told here is then a little
    // earlier than the handler's, as is right for a caller that was asked first.
    let latest = LATEST.load(Relaxed).max(nanos);
    LATEST.store(latest, Relaxed);
    Instant::from_nanos(latest)
}

fn pvclock_nanos() -> u64 {
    match SYSTEM_TIME.read() {
        Some(reading) => reading
            .nanos(cpu::tsc())
            .saturating_sub(PVCLOCK_ZERO.load(Relaxed)),
        None => LATEST.load(Relaxed),
    }
}

/// The value of the cycle counter in `delay` nanoseconds.
pub(super) fn tsc_at(delay: u64) -> u64 {
    let ticks = Rate::from_hz(tsc_hz()).ticks(delay);
    cpu::tsc().saturating_add(ticks).saturating_add(1)
}

/// Takes the clock into use: first half. Whatever happens until [`finish_init`] is measured.
/// `entry` is what the cycle counter showed when the kernel was entered: the zero of time.
pub(super) fn init(features: cpu::Features, entry: u64) {
    if features.hypervisor && has_kvm_clock() && start_kvm_clock(entry) {
        KIND.store(Kind::Kvm as u8, Relaxed);
    } else if let Some(hz) = told_tsc_hz(features) {
        start_tsc(Kind::Tsc, hz, entry);
    } else {
        pit::start_reference();
        let calibration = Calibration::new(pit::sample(), claimed_tsc_hz());
        start_tsc(Kind::CalibratedTsc, calibration.hz(), entry);
        let running = Running {
            calibration,
            started: now(),
        };
        CALIBRATION.try_with(|slot| *slot = Some(running));
    }
}

/// Second half: with a calibration, takes the first sample that gives a frequency. Answers the frequency of
/// the local timer's bus, where the hypervisor tells it.
pub(super) fn finish_init(features: cpu::Features, entry: u64) -> Option<u64> {
    if kind() == Kind::CalibratedTsc {
        sample();
        // Nothing has used the time yet: begin it again, at the rate that is known now.
        start_tsc(Kind::CalibratedTsc, tsc_hz(), entry);
        LATEST.store(0, Relaxed);
        CALIBRATION.try_with(|slot| {
            if let Some(running) = slot {
                running.started = Instant::ZERO;
                schedule(running);
            }
        });
    }
    let bus_khz = hypervisor_timing(features).map_or(0, |leaf| leaf.ebx);
    Some(u64::from(bus_khz) * 1_000).filter(|&hz| hz != 0)
}

fn start_tsc(kind: Kind, hz: u64, entry: u64) {
    TSC_CLOCK.start(entry, Rate::from_hz(hz));
    TSC_HZ.store(hz, Relaxed);
    KIND.store(kind as u8, Relaxed);
}

fn has_kvm_clock() -> bool {
    let leaf = cpu::cpuid(HYPERVISOR_LEAF);
    [leaf.ebx, leaf.ecx, leaf.edx] == KVM_SIGNATURE
        && leaf.eax >= KVM_FEATURES_LEAF
        && cpu::cpuid(KVM_FEATURES_LEAF).eax & CLOCKSOURCE2 != 0
}

fn start_kvm_clock(entry: u64) -> bool {
    // SAFETY: KVM offers the register. It writes to the structure from now on, a static that is
    // mapped where it is and made of atomics.
    unsafe { Msr::new(MSR_SYSTEM_TIME).write(&raw const SYSTEM_TIME as u64 | 1) };
    let Some(reading) = SYSTEM_TIME.read() else {
        return false;
    };
    PVCLOCK_ZERO.store(reading.nanos(entry), Relaxed);
    TSC_HZ.store(reading.tsc_hz(), Relaxed);
    true
}

/// The exact frequency, where processor or hypervisor tells it.
fn told_tsc_hz(features: cpu::Features) -> Option<u64> {
    let from_hypervisor = hypervisor_timing(features).map_or(0, |leaf| u64::from(leaf.eax) * 1_000);
    if from_hypervisor != 0 {
        return Some(from_hypervisor);
    }
    if cpu::max_leaf(0) < TSC_LEAF {
        return None;
    }
    // Crystal frequency and the counter's ratio to it (SDM vol. 2, CPUID).
    let leaf = cpu::cpuid(TSC_LEAF);
    let told = leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0;
    told.then(|| u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}

/// The processor's nominal frequency, which its counter usually follows to a few per cent.
fn claimed_tsc_hz() -> Option<u64> {
    let known = cpu::max_leaf(0) >= FREQUENCY_LEAF;
    let mhz = if known {
        cpu::cpuid(FREQUENCY_LEAF).eax & 0xffff
    } else {
        0
    };
    Some(u64::from(mhz) * 1_000_000).filter(|&hz| hz != 0)
}

fn hypervisor_timing(features: cpu::Features) -> Option<core::arch::x86_64::CpuidResult> {
    let known = features.hypervisor && cpu::cpuid(HYPERVISOR_LEAF).eax >= HYPERVISOR_TIMING_LEAF;
    known.then(|| cpu::cpuid(HYPERVISOR_TIMING_LEAF))
}

/// When [`calibrate`] wants to be called next.
pub(super) fn next_sample() -> Option<Instant> {
    Some(NEXT_SAMPLE.load(Relaxed))
        .filter(|&at| at != u64::MAX)
        .map(Instant::from_nanos)
}

/// Takes a calibration sample if one is due. Interrupts must be off.
pub(super) fn calibrate(now: Instant) {
    if NEXT_SAMPLE.load(Relaxed) <= now.as_nanos() {
        sample();
    }
}

/// Takes a sample, corrects the clock's rate and says when the next one is due.
fn sample() {
    let sample = pit::sample();
    CALIBRATION.try_with(|slot| {
        let Some(running) = slot else { return };
        let before = running.calibration;
        if running.calibration.add(sample) {
            let hz = running.calibration.hz();
            TSC_HZ.store(hz, Relaxed);
            TSC_CLOCK.correct(sample.tsc, Rate::from_hz(hz));
            timer::learn(hz);
        }
        if running.calibration.began_anew_since(&before) {
            running.started = now();
        }
        schedule(running);
    });
}

fn schedule(running: &Running) {
    let next = if running.calibration.is_done() {
        u64::MAX
    } else {
        (running.started + running.calibration.next_interval()).as_nanos()
    };
    NEXT_SAMPLE.store(next, Relaxed);
}

/// Time since 1970, where the hypervisor or a battery-backed clock tells it. Asks anew each time: kvm-clock
/// costs one exit, the clock chip about twenty. From tasks.
pub fn since_1970() -> Option<Duration> {
    if kind() == Kind::Kvm {
        // SAFETY: KVM offers the register with kvm-clock; it fills the static before this returns.
        unsafe { Msr::new(MSR_WALL_CLOCK).write(&raw const WALL_CLOCK as u64) };
        let at_zero = WALL_CLOCK.read()?;
        let since_zero = SYSTEM_TIME.read()?.nanos(cpu::tsc());
        return Some(Duration::from_nanos(at_zero.saturating_add(since_zero)));
    }
    rtc::read(read_rtc).map(Duration::from_secs)
}

fn read_rtc(register: u8) -> u8 {
    // SAFETY: selects and reads a register of the clock chip; nothing else uses these ports.
    unsafe {
        Port::<u8>::new(0x70).write(register);
        Port::<u8>::new(0x71).read()
    }
}
