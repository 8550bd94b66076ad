//! Chooses between KVM and TCG, and says why. Called before a QEMU command line is made; starts
//! nothing and changes nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kvm::KvmState;

/// How QEMU runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accelerator {
    /// The host's processor runs them, through `/dev/kvm`.
    Kvm {
        /// Whether the processor has VMX or SVM. Without, KVM itself emulates each instruction, about a
        /// hundred times slower than TCG, and some processor features cannot be offered.
        hardware: bool,
    },
    /// QEMU translates them.
    Tcg,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceleratorRequest {
    /// KVM where it is both usable and fast, otherwise TCG.
    #[default]
    Auto,
    /// KVM, even where it emulates.
    Kvm,
    /// TCG, even where KVM would do.
    Tcg,
}

/// What the host offers, as far as the choice depends on it.
#[derive(Clone, Debug)]
pub struct HostSupport {
    /// How far one gets with `/dev/kvm`.
    pub kvm: KvmState,
    /// Whether `/proc/cpuinfo` lists `vmx` or `svm`.
    pub hardware: bool,
}

/// The accelerator and the reason for it, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceleratorChoice {
    /// What to use.
    pub accelerator: Accelerator,
    /// Why, as a clause for a person to read.
    pub reason: String,
}

impl HostSupport {
    /// Looks at this host.
    ///
    /// `/dev/kvm` alone proves nothing: some build machines expose it without VMX or SVM.
    pub fn detect() -> HostSupport {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        HostSupport {
            kvm: KvmState::detect(),
            hardware: virtualization_flag(&cpuinfo).is_some(),
        }
    }

    /// Whether KVM makes machines, and the processor itself runs their instructions.
    pub fn has_fast_kvm(&self) -> bool {
        self.kvm == KvmState::Works && self.hardware
    }
}

/// The flag in `/proc/cpuinfo` by which a processor says that it can run guests: `vmx` or `svm`.
pub fn virtualization_flag(cpuinfo: &str) -> Option<&str> {
    let lines = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    let mut flags = lines.flat_map(str::split_whitespace);
    flags.find(|flag| ["vmx", "svm"].contains(flag))
}

impl AcceleratorChoice {
    /// Decides for `host`. Never fails: a forced KVM that cannot be opened is left for QEMU to refuse.
    ///
    /// ```
    /// use bundle_tool::machine::{Accelerator, AcceleratorChoice, AcceleratorRequest, HostSupport, KvmState};
    /// let host = HostSupport { kvm: KvmState::Works, hardware: false };
    /// let choice = AcceleratorChoice::new(AcceleratorRequest::Auto, &host);
    /// assert_eq!(choice.accelerator, Accelerator::Tcg);
    /// ```
    pub fn new(request: AcceleratorRequest, host: &HostSupport) -> AcceleratorChoice {
        let hardware = host.hardware;
        let (accelerator, reason) = match (request, &host.kvm, hardware) {
            (AcceleratorRequest::Kvm, _, true) => {
                (Accelerator::Kvm { hardware }, "as asked".into())
            }
            (AcceleratorRequest::Kvm, _, false) => (
                Accelerator::Kvm { hardware },
                "as asked; this processor has neither vmx nor svm, so expect it to be slow".into(),
            ),
            (AcceleratorRequest::Tcg, _, _) => (Accelerator::Tcg, "as asked".into()),
            (AcceleratorRequest::Auto, kvm @ KvmState::Works, true) => (
                Accelerator::Kvm { hardware },
                format!("{kvm}, and the processor has vmx or svm"),
            ),
            (AcceleratorRequest::Auto, kvm @ KvmState::Works, false) => (
                Accelerator::Tcg,
                format!("{kvm}, but the processor has neither vmx nor svm"),
            ),
            (AcceleratorRequest::Auto, kvm, _) => (Accelerator::Tcg, kvm.to_string()),
        };
        AcceleratorChoice {
            accelerator,
            reason,
        }
    }

    /// Decides for this host.
    pub fn detect(request: AcceleratorRequest) -> AcceleratorChoice {
        AcceleratorChoice::new(request, &HostSupport::detect())
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accelerator::Kvm { .. } => "kvm",
            Accelerator::Tcg => "tcg",
        })
    }
}

impl FromStr for AcceleratorRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(AcceleratorRequest::Auto),
            "kvm" => Ok(AcceleratorRequest::Kvm),
            "tcg" => Ok(AcceleratorRequest::Tcg),
            other => Err(format!(
                "unknown accelerator '{other}': expected auto, kvm or tcg"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(request: AcceleratorRequest, kvm: KvmState, hardware: bool) -> AcceleratorChoice {
        AcceleratorChoice::new(request, &HostSupport { kvm, hardware })
    }

    #[test]
    fn auto_takes_kvm_only_where_it_works_and_is_fast() {
        let auto = |kvm, hardware| choose(AcceleratorRequest::Auto, kvm, hardware).accelerator;
        let kvm = Accelerator::Kvm { hardware: true };
        assert_eq!(auto(KvmState::Works, true), kvm);
        assert_eq!(auto(KvmState::Works, false), Accelerator::Tcg);
        for state in [
            KvmState::NoDevice,
            KvmState::Closed("permission denied".into()),
            KvmState::NoVm("busy".into()),
        ] {
            assert_eq!(auto(state, true), Accelerator::Tcg);
        }
    }

    #[test]
    fn a_wish_is_followed_and_its_cost_is_said() {
        let forced = choose(AcceleratorRequest::Kvm, KvmState::Works, false);
        assert_eq!(forced.accelerator, Accelerator::Kvm { hardware: false });
        assert!(forced.reason.contains("slow"), "{}", forced.reason);
        let tcg = choose(AcceleratorRequest::Tcg, KvmState::Works, true);
        assert_eq!(tcg.accelerator, Accelerator::Tcg);
    }

    #[test]
    fn the_reason_names_what_is_missing() {
        let reason = |kvm, hardware| choose(AcceleratorRequest::Auto, kvm, hardware).reason;
        let closed = reason(KvmState::Closed("permission denied".into()), true);
        assert!(closed.contains("permission denied"), "{closed}");
        let busy = reason(KvmState::NoVm("busy".into()), true);
        assert!(busy.contains("makes no VM: busy"), "{busy}");
        assert!(reason(KvmState::Works, false).contains("vmx"));
    }

    #[test]
    fn the_flag_is_a_word_of_the_flags_line() {
        let vmx = "model name : x\nflags\t\t: fpu vmx sse2\n";
        assert_eq!(virtualization_flag(vmx), Some("vmx"));
        assert_eq!(virtualization_flag("flags : svm\n"), Some("svm"));
        let none = "flags : fpu svm_lock\nvmx flags : vnmi\n";
        assert_eq!(virtualization_flag(none), None);
        assert_eq!(virtualization_flag(""), None);
    }
}
