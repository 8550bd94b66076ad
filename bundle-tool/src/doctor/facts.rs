//! Looks at this machine. The only part of `doctor` that does, with [`Program`]; it changes nothing.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::packages::PackageManager;
use super::program::{Program, answer_of, ask};
use crate::build::interpreter;
use crate::machine::{Firecracker, KvmState, kvm, virtualization_flag};
use crate::program::find;
use crate::project::Project;
use crate::sources;
use crate::toolchain::{cargo, cc, has_target, rustc};

/// What this machine has.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether this user is root.
    pub root: bool,
    /// This user's name.
    pub user: String,
    /// What installs packages; `None`: nobody knows.
    pub packages: Option<PackageManager>,
    /// The hypervisor in the kernel.
    pub kvm: Kvm,
    /// What `UKERNEL_FIRECRACKER` names, or the PATH has.
    pub firecracker: Program,
    /// `qemu-system-x86_64`.
    pub qemu: Program,
    /// Networks through the host.
    pub tap: Tap,
    /// The Rust toolchain, as the current folder has it.
    pub rust: Rust,
    /// `cc`, or what `CC` names.
    pub compiler: Program,
    /// The interpreter that a project in Python has.
    pub python: Program,
    /// `rsync`.
    pub rsync: Program,
    /// Where kernel sources are unpacked.
    pub cache: Disk,
}

/// `/dev/kvm`.
#[derive(Clone, Debug)]
pub struct Kvm {
    /// How far one gets with it.
    pub state: KvmState,
    /// The flag by which the processor says that it can run guests: `vmx` or `svm`.
    pub hardware: Option<String>,
    /// Mode, owner and group, such as `crw-rw---- root:kvm`.
    pub permissions: Option<String>,
    /// The device's group.
    pub group: Option<String>,
}

impl Kvm {
    /// Whether the processor itself runs a guest's instructions.
    pub fn is_fast(&self) -> bool {
        self.state == KvmState::Works && self.hardware.is_some()
    }
}

/// What a user may do about tap devices.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Whether `/dev/net/tun` opens; why not.
    pub tun: Result<(), String>,
    /// Whether this process has `CAP_NET_ADMIN`.
    pub net_admin: bool,
    /// Tap devices that belong to this user.
    pub devices: Vec<String>,
}

/// The Rust toolchain.
#[derive(Clone, Debug)]
pub struct Rust {
    /// `rustc`, or what `RUSTC` names.
    pub compiler: Program,
    /// `cargo`, or what `CARGO` names.
    pub cargo: Program,
    /// Whether it can build for guests.
    pub target: bool,
    /// Whether rustup is there to install more.
    pub rustup: bool,
}

/// A folder's disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The folder, which need not exist yet.
    pub folder: PathBuf,
    /// Bytes that this user may still write there; `None`: that cannot be found out.
    pub free: Option<u64>,
}

impl Facts {
    /// Looks at this machine. Takes as long as its programs need to say their versions.
    pub fn gather() -> Facts {
        let uid = rustix::process::geteuid();
        let packages = PackageManager::ALL
            .into_iter()
            .find(|manager| find(manager.program().as_ref()).is_some());
        let firecracker = Firecracker::program_from_environment()
            .map_or("firecracker".into(), PathBuf::into_os_string);
        Facts {
            root: uid.is_root(),
            user: name_in("/etc/passwd", uid.as_raw()).unwrap_or_else(|| uid.as_raw().to_string()),
            packages,
            kvm: kvm(),
            firecracker: ask(&firecracker, &["--version"]),
            qemu: ask("qemu-system-x86_64".as_ref(), &["--version"]),
            tap: tap(uid.as_raw()),
            rust: rust(),
            compiler: ask(&cc(), &["--version"]),
            python: ask(python().as_os_str(), &["--version"]),
            rsync: ask("rsync".as_ref(), &["--version"]),
            cache: disk(sources::cache_folder().unwrap_or_default()),
        }
    }
}

/// The interpreter of the project that this is, or of any other.
fn python() -> PathBuf {
    let root = Project::root_of(Path::new("."));
    interpreter(&root.unwrap_or_default())
}

fn rust() -> Rust {
    let compiler = ask(&rustc(), &["--version"]);
    let sysroot = answer_of(&compiler, &["--print", "sysroot"]);
    Rust {
        cargo: ask(&cargo(), &["--version"]),
        target: sysroot.is_some_and(|folder| has_target(Path::new(folder.trim()))),
        rustup: find("rustup".as_ref()).is_some(),
        compiler,
    }
}

fn kvm() -> Kvm {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let found = fs::metadata(kvm::DEVICE)
        .ok()
        .filter(|file| file.file_type().is_char_device());
    let group = found
        .as_ref()
        .and_then(|file| name_in("/etc/group", file.gid()));
    let permissions = found.as_ref().map(|file| {
        let owner = name_in("/etc/passwd", file.uid()).unwrap_or_else(|| file.uid().to_string());
        let group = group.clone().unwrap_or_else(|| file.gid().to_string());
        format!("{} {owner}:{group}", mode(file.mode()))
    });
    Kvm {
        state: KvmState::detect(),
        hardware: virtualization_flag(&cpuinfo).map(String::from),
        permissions,
        group,
    }
}

/// A device's permissions as `ls -l` shows them.
fn mode(mode: u32) -> String {
    let letters = "rwxrwxrwx".chars().enumerate();
    let shown = letters.map(|(index, letter)| {
        if mode & (0o400 >> index) == 0 {
            '-'
        } else {
            letter
        }
    });
    std::iter::once('c').chain(shown).collect()
}

/// The name of a number in `/etc/passwd` or `/etc/group`, which agree about the first three fields.
fn name_in(file: &str, number: u32) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let number = number.to_string();
    let line = text
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&number))?;
    line.split(':').next().map(String::from)
}

fn tap(user: u32) -> Tap {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Tap {
        tun: tun.map(drop).map_err(|error| error.to_string()),
        net_admin: has_net_admin(&status),
        devices: own_taps(Path::new("/sys/class/net"), user),
    }
}

/// `CAP_NET_ADMIN` is bit 12 of the effective capabilities (capabilities(7)).
fn has_net_admin(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits & (1 << 12) != 0)
}

/// The tap devices below `folder` whose owner is `user`.
fn own_taps(folder: &Path, user: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_own = |device: &PathBuf| {
        let owner = fs::read_to_string(device.join("owner")).unwrap_or_default();
        device.join("tun_flags").exists() && owner.trim() == user.to_string()
    };
    let devices = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_own);
    let name = |device: PathBuf| {
        device
            .file_name()
            .map(OsStr::to_string_lossy)
            .map(String::from)
    };
    let mut names: Vec<String> = devices.filter_map(name).collect();
    names.sort();
    names
}

fn disk(folder: PathBuf) -> Disk {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    let system = there.and_then(|folder| rustix::fs::statvfs(folder).ok());
    Disk {
        free: system.map(|system| system.f_bavail.saturating_mul(system.f_frsize)),
        folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_admin_is_one_bit_of_the_effective_capabilities() {
        assert!(has_net_admin("CapPrm:\t0\nCapEff:\t0000000000001000\n"));
        assert!(!has_net_admin(
            "CapPrm:\t0000000000001000\nCapEff:\tffffffffffffefff\n"
        ));
        assert!(!has_net_admin(""));
    }

    #[test]
    fn taps_of_this_user_are_told_from_others() {
        let folder = tempfile::tempdir().unwrap();
        for (name, owner) in [("tap1", "7"), ("tap0", "7"), ("tap2", "8"), ("eth0", "")] {
            let device = folder.path().join(name);
            fs::create_dir(&device).unwrap();
            if !owner.is_empty() {
                fs::write(device.join("owner"), format!("{owner}\n")).unwrap();
                fs::write(device.join("tun_flags"), "0x1002\n").unwrap();
            }
        }
        assert_eq!(own_taps(folder.path(), 7), ["tap0", "tap1"]);
    }

    #[test]
    fn permissions_look_as_in_a_listing() {
        assert_eq!(mode(0o020_660), "crw-rw----");
        assert_eq!(mode(0o020_007), "c------rwx");
    }

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        assert!(disk(folder.path().join("a/b/c")).free.is_some());
    }
}
