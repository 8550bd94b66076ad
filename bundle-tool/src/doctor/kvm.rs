//! What is to be thought of this machine's KVM. Pure.

use super::packages::as_root;
use super::{Check, Facts};
use crate::machine::KvmState;

const NAME: &str = "kvm";

pub(super) fn check(facts: &Facts) -> Check {
    let kvm = &facts.kvm;
    let device = match &kvm.permissions {
        Some(permissions) => format!("/dev/kvm ({permissions})"),
        None => "/dev/kvm".into(),
    };
    match (&kvm.state, kvm.hardware.as_deref()) {
        (KvmState::Works, Some(flag)) => Check::good(
            NAME,
            format!("{device} opens, a VM can be made, the processor has {flag}"),
        ),
        (KvmState::Works, None) => Check::helpless(
            NAME,
            format!(
                "{device} opens, but the processor has neither vmx nor svm: each instruction is emulated, slower than by QEMU"
            ),
            VIRTUALIZATION,
        ),
        (KvmState::NoVm(error), _) => Check::helpless(
            NAME,
            format!("{device} opens, but no VM can be made: {error}"),
            "see whether another hypervisor holds the processor: lsmod | grep -i -E 'kvm|vbox|vmw'",
        ),
        // No right would make it fast.
        (KvmState::Closed(error), None) => Check::helpless(
            NAME,
            format!("{device} does not open ({error}), and the processor has neither vmx nor svm"),
            VIRTUALIZATION,
        ),
        (KvmState::Closed(error), Some(_)) => Check::limited(
            NAME,
            format!("{device} does not open: {error}"),
            open_it(facts),
        ),
        (KvmState::NoDevice, Some(flag)) => Check::limited(
            NAME,
            format!("there is no /dev/kvm, though the processor has {flag}"),
            as_root(facts.root, &format!("modprobe {}", module(flag))),
        ),
        (KvmState::NoDevice, None) => Check::helpless(
            NAME,
            "there is no /dev/kvm, and the processor has neither vmx nor svm",
            VIRTUALIZATION,
        ),
    }
}

/// Nothing inside of this machine helps.
const VIRTUALIZATION: &str = "turn on virtualization in the firmware; in a virtual machine, turn on nested virtualization for it";

fn module(flag: &str) -> &'static str {
    if flag == "svm" {
        "kvm_amd"
    } else {
        "kvm_intel"
    }
}

/// Lets this user open the device: through its group where it is not root's, otherwise by a list of its own.
fn open_it(facts: &Facts) -> String {
    let user = &facts.user;
    match facts.kvm.group.as_deref() {
        Some(group) if group != "root" => {
            as_root(facts.root, &format!("usermod -aG {group} {user}")) + " # then log in again"
        }
        _ => as_root(facts.root, &format!("setfacl -m u:{user}:rw /dev/kvm")),
    }
}
