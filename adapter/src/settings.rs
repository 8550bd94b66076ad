//! What the environment of the process says, once: the policy, disks, memory, the log.
//!
//! | variable | means |
//! | --- | --- |
//! | `UKERNEL_ALLOW` | the words of the kernel's `allow=`, separated by blanks |
//! | `UKERNEL_DISK_0` to `UKERNEL_DISK_15` | the file behind `disk:0` and so on; `,ro` behind it: only for reading |
//! | `UKERNEL_MEMORY` | MiB that the allocations of one program may come to |
//! | `UKERNEL_LOG` | the level: off, error, warn, info (if it is not there), debug, trace |
//! | `UKERNEL_FAULTS` | `task`: a fault in a spawned task's own code ends that task |

use std::collections::HashMap;
use std::env;
use std::sync::OnceLock;

use policy::Policy;

/// Disks are numbered below this.
pub(crate) const MAX_DISKS: usize = 16;

/// A file that is a disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Where it is.
    pub(crate) path: String,
    /// It is not to be written.
    pub(crate) read_only: bool,
}

/// What the process was started with.
pub(crate) struct Settings {
    /// What programs may do.
    pub(crate) policy: Policy,
    /// What was wrong with it, for the log.
    pub(crate) problems: Vec<String>,
    /// By number.
    pub(crate) disks: [Option<Disk>; MAX_DISKS],
    /// Bytes of a program's allocations.
    pub(crate) memory: usize,
    /// The most that is logged.
    pub(crate) log: log::LevelFilter,
    /// Faults end tasks, not the process.
    pub(crate) catches_faults: bool,
    /// Without the program's name.
    pub(crate) arguments: Vec<String>,
    /// The environment.
    pub(crate) variables: HashMap<String, String>,
}

/// What the process was started with, as it was when this was asked first.
pub(crate) fn get() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(read)
}

fn read() -> Settings {
    let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
    let variables: HashMap<String, String> = env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let value = |name: &str| variables.get(name).map(String::as_str);
    let mib = value("UKERNEL_MEMORY").and_then(|mib| mib.parse::<usize>().ok());
    let (policy, problems) = allowed(value("UKERNEL_ALLOW"));
    Settings {
        policy,
        problems,
        disks: std::array::from_fn(|number| value(&format!("UKERNEL_DISK_{number}")).map(disk)),
        memory: mib.map_or(usize::MAX, |mib| mib.saturating_mul(1 << 20)),
        log: value("UKERNEL_LOG")
            .and_then(|level| level.parse().ok())
            .unwrap_or(log::LevelFilter::Info),
        catches_faults: value("UKERNEL_FAULTS") == Some("task"),
        arguments: env::args_os().skip(1).map(text).collect(),
        variables,
    }
}

/// What the words allow, and what is wrong with them; everything without the variable. A word with a mistake allows
/// nothing of what it lists.
fn allowed(words: Option<&str>) -> (Policy, Vec<String>) {
    let (mut policy, mut problems) = (Policy::default(), Vec::new());
    let Some(words) = words else {
        return (policy, problems);
    };
    policy.limit();
    for word in words.split_ascii_whitespace() {
        if let Err(problem) = policy.allow(word) {
            problems.push(format!("word ignored allow={word} problem=\"{problem}\""));
        }
    }
    (policy, problems)
}

fn disk(text: &str) -> Disk {
    let read_only = text.strip_suffix(",ro");
    Disk {
        path: read_only.unwrap_or(text).to_string(),
        read_only: read_only.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::capability::Kind;

    #[test]
    fn words_limit_and_mistakes_are_told() {
        assert!(allowed(None).0.kinds().contains(Kind::Net));
        assert!(!allowed(Some("")).0.kinds().contains(Kind::Net));
        let (policy, problems) = allowed(Some("log,time nonsense io:serial"));
        assert!(policy.kinds().contains(Kind::Io) && !policy.kinds().contains(Kind::Net));
        assert!(policy.serial() && !policy.files());
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("word ignored allow=nonsense problem="));
    }

    #[test]
    fn disks_may_be_for_reading_only() {
        let disk = |text| {
            let disk = disk(text);
            (disk.path, disk.read_only)
        };
        assert_eq!(disk("/a,b"), ("/a,b".into(), false));
        assert_eq!(disk("/a,ro"), ("/a".into(), true));
    }
}
