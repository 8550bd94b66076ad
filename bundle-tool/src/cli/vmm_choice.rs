//! Which VMM runs a machine, and why: a pure function of what was asked for and what this host has. Used by `run`.

use std::path::PathBuf;

use crate::machine::{Accelerator, AcceleratorChoice, AcceleratorRequest, HostSupport};
use crate::manifest::{NetBackend, VmmName};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) vmm: VmmName,
    /// Said by a person; `None`: QEMU may take what it likes.
    pub(super) accelerator: Option<AcceleratorRequest>,
    pub(super) net: NetBackend,
}

/// What there is.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) support: HostSupport,
    /// Firecracker's program.
    pub(super) firecracker: Option<PathBuf>,
}

/// What to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Qemu(Accelerator),
    Firecracker(PathBuf),
}

/// Decides; the text is the reason.
pub(super) fn choose(wish: Wish, host: &Host) -> (Choice, String) {
    let firecracker = || {
        let named = host.firecracker.clone();
        // One that is not there is left for the start to report.
        named.unwrap_or_else(|| "firecracker".into())
    };
    match wish.vmm {
        VmmName::Firecracker => (Choice::Firecracker(firecracker()), "as asked".into()),
        VmmName::Qemu => qemu(wish, host, ""),
        VmmName::Auto => match against_firecracker(wish, host) {
            None => {
                let reason = "KVM works here, and the network needs nothing else".into();
                (Choice::Firecracker(firecracker()), reason)
            }
            Some(obstacle) => qemu(wish, host, obstacle),
        },
    }
}

/// Why Firecracker is not taken where anything may be, as the end of QEMU's reason; `None`: it is.
fn against_firecracker(wish: Wish, host: &Host) -> Option<&'static str> {
    if wish.accelerator.is_some() || !host.support.has_fast_kvm() {
        // The reason for QEMU's accelerator says as much.
        return Some("");
    }
    match (wish.net, &host.firecracker) {
        (NetBackend::User, _) => Some("; firecracker has no user-mode network"),
        (_, None) => Some("; neither UKERNEL_FIRECRACKER nor the PATH has a firecracker"),
        (_, Some(_)) => None,
    }
}

/// QEMU, and why, with `obstacle` behind it.
fn qemu(wish: Wish, host: &Host, obstacle: &str) -> (Choice, String) {
    let request = wish.accelerator.unwrap_or_default();
    let AcceleratorChoice {
        accelerator,
        reason,
    } = AcceleratorChoice::new(request, &host.support);
    (Choice::Qemu(accelerator), format!("{reason}{obstacle}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::KvmState;

    fn host(kvm: KvmState, hardware: bool, firecracker: bool) -> Host {
        Host {
            support: HostSupport { kvm, hardware },
            firecracker: firecracker.then(|| "fc".into()),
        }
    }

    fn wish(vmm: VmmName, net: NetBackend) -> Wish {
        Wish {
            vmm,
            accelerator: None,
            net,
        }
    }

    #[test]
    fn firecracker_is_taken_where_everything_is_there() {
        let all = host(KvmState::Works, true, true);
        for net in [NetBackend::Tap, NetBackend::None] {
            let (choice, _) = choose(wish(VmmName::Auto, net), &all);
            assert_eq!(choice, Choice::Firecracker("fc".into()));
        }
    }

    #[test]
    fn what_keeps_from_it_is_said() {
        let kvm = Choice::Qemu(Accelerator::Kvm { hardware: true });
        for (net, host, expected, reason) in [
            (
                NetBackend::User,
                host(KvmState::Works, true, true),
                &kvm,
                "no user-mode network",
            ),
            (
                NetBackend::Tap,
                host(KvmState::Works, true, false),
                &kvm,
                "the PATH",
            ),
            (
                NetBackend::Tap,
                host(KvmState::Works, false, true),
                &Choice::Qemu(Accelerator::Tcg),
                "neither vmx nor svm",
            ),
            (
                NetBackend::None,
                host(KvmState::Closed("permission denied".into()), true, true),
                &Choice::Qemu(Accelerator::Tcg),
                "permission denied",
            ),
            (
                NetBackend::None,
                host(KvmState::NoVm("busy".into()), true, true),
                &Choice::Qemu(Accelerator::Tcg),
                "makes no VM: busy",
            ),
        ] {
            let (choice, why) = choose(wish(VmmName::Auto, net), &host);
            assert_eq!(&choice, expected);
            assert!(why.contains(reason), "{why}");
        }
    }

    #[test]
    fn a_wish_is_followed() {
        let nothing = host(KvmState::NoDevice, false, false);
        let (choice, reason) = choose(wish(VmmName::Firecracker, NetBackend::User), &nothing);
        assert_eq!(choice, Choice::Firecracker("firecracker".into()));
        assert_eq!(reason, "as asked");
        let all = host(KvmState::Works, true, true);
        let (choice, _) = choose(wish(VmmName::Qemu, NetBackend::Tap), &all);
        assert_eq!(choice, Choice::Qemu(Accelerator::Kvm { hardware: true }));
        // How QEMU runs instructions is asked of QEMU.
        let mut tcg = wish(VmmName::Auto, NetBackend::Tap);
        tcg.accelerator = Some(AcceleratorRequest::Tcg);
        assert_eq!(
            choose(tcg, &all),
            (Choice::Qemu(Accelerator::Tcg), "as asked".into())
        );
    }
}
