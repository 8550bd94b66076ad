//! How programs are installed here: the command of the machine's package manager. Pure.

/// What installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageManager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora and its relatives.
    Dnf,
    /// Arch.
    Pacman,
    /// Alpine.
    Apk,
    /// openSUSE.
    Zypper,
    /// macOS.
    Brew,
}

/// What may have to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Package {
    Qemu,
    Compiler,
    Python,
    Rsync,
}

impl PackageManager {
    /// All of them, the likeliest to be meant first.
    pub(super) const ALL: [PackageManager; 6] = [
        PackageManager::Apt,
        PackageManager::Dnf,
        PackageManager::Pacman,
        PackageManager::Apk,
        PackageManager::Zypper,
        PackageManager::Brew,
    ];

    /// Its program.
    pub(super) fn program(self) -> &'static str {
        match self {
            PackageManager::Apt => "apt-get",
            PackageManager::Dnf => "dnf",
            PackageManager::Pacman => "pacman",
            PackageManager::Apk => "apk",
            PackageManager::Zypper => "zypper",
            PackageManager::Brew => "brew",
        }
    }

    fn install(self, package: Package) -> String {
        let verb = match self {
            PackageManager::Pacman => "-S --noconfirm",
            PackageManager::Apk => "add",
            PackageManager::Brew => "install",
            _ => "install -y",
        };
        format!("{} {verb} {}", self.program(), self.name(package))
    }

    fn name(self, package: Package) -> &'static str {
        match (package, self) {
            (Package::Qemu, PackageManager::Apk) => "qemu-system-x86_64",
            (Package::Qemu, PackageManager::Zypper) => "qemu-x86",
            (Package::Qemu, PackageManager::Brew) => "qemu",
            (Package::Qemu, _) => "qemu-system-x86",
            (Package::Compiler, PackageManager::Apt) => "gcc libc6-dev",
            (Package::Compiler, PackageManager::Apk) => "gcc musl-dev",
            (Package::Compiler, _) => "gcc",
            (Package::Python, PackageManager::Pacman) => "python",
            (Package::Python, _) => "python3",
            (Package::Rsync, _) => "rsync",
        }
    }
}

/// The command that installs `package`, or what to do where nobody knows one.
pub(super) fn install(manager: Option<PackageManager>, root: bool, package: Package) -> String {
    match manager {
        Some(PackageManager::Brew) => PackageManager::Brew.install(package),
        Some(manager) => as_root(root, &manager.install(package)),
        None => format!("install {}", PackageManager::Dnf.name(package)),
    }
}

/// `command` for root to run, by whoever is to run it.
pub(super) fn as_root(root: bool, command: &str) -> String {
    if root {
        command.into()
    } else {
        format!("sudo {command}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager_has_its_command() {
        let qemu = |manager| install(Some(manager), false, Package::Qemu);
        assert_eq!(
            qemu(PackageManager::Apt),
            "sudo apt-get install -y qemu-system-x86"
        );
        assert_eq!(
            qemu(PackageManager::Pacman),
            "sudo pacman -S --noconfirm qemu-system-x86"
        );
        assert_eq!(qemu(PackageManager::Apk), "sudo apk add qemu-system-x86_64");
        assert_eq!(qemu(PackageManager::Brew), "brew install qemu");
    }

    #[test]
    fn root_needs_no_sudo() {
        let apt = Some(PackageManager::Apt);
        assert_eq!(
            install(apt, true, Package::Compiler),
            "apt-get install -y gcc libc6-dev"
        );
        assert_eq!(install(None, true, Package::Python), "install python3");
    }
}
