//! What is to be thought of the programs that this machine has, and of the disk they write to. Pure.

use super::packages::{Package, as_root, install};
use super::{Check, Facts, Program, Status};
use crate::adapter::OLDEST_PYTHON;
use crate::toolchain::{OLDEST_RUST, TARGET, numbers};

/// The first Firecracker that boots by PVH, as QEMU does.
const FIRECRACKER: (u32, u32) = (1, 12);
/// The first QEMU with a machine `microvm` that is told about its devices on the command line.
const QEMU: (u32, u32) = (4, 2);

/// Where Firecracker is published.
const FIRECRACKER_RELEASES: &str = "https://github.com/firecracker-microvm/firecracker/releases";

/// Less free space than this and a build is likely to fail halfway: what one project takes.
const SPACE_FOR_A_BUILD: u64 = 512 << 20;
/// Less than this and the next few builds are.
const SPACE_FOR_SOME: u64 = 4 << 30;

pub(super) fn firecracker(facts: &Facts) -> Check {
    let name = "firecracker";
    let fix = install_firecracker(facts.root);
    match &facts.firecracker {
        Program::Missing if !facts.kvm.is_fast() => {
            Check::helpless(name, "not found; it would need KVM", "see kvm first")
        }
        Program::Missing => {
            Check::limited(name, "not found in UKERNEL_FIRECRACKER and the PATH", fix)
        }
        other => program(name, other, FIRECRACKER, fix),
    }
}

/// Installs the latest release: the address of its page leads to the one with its number, as Firecracker's own
/// instructions have it.
fn install_firecracker(root: bool) -> String {
    let program = r#""release-$tag-x86_64/firecracker-$tag-x86_64" /usr/local/bin/firecracker"#;
    let install = as_root(root, &format!("install {program}"));
    format!(
        "(cd \"$(mktemp -d)\" && url={FIRECRACKER_RELEASES} && \
         page=$(curl -fsSLI -o /dev/null -w '%{{url_effective}}' \"$url/latest\") && tag=${{page##*/}} && \
         curl -fL \"$url/download/$tag/firecracker-$tag-x86_64.tgz\" | tar -xz && {install})"
    )
}

pub(super) fn qemu(facts: &Facts) -> Check {
    let fix = install(facts.packages, facts.root, Package::Qemu);
    program("qemu", &facts.qemu, QEMU, fix)
}

pub(super) fn python(facts: &Facts) -> Check {
    let fix = install(facts.packages, facts.root, Package::Python);
    program("python", &facts.python, OLDEST_PYTHON, fix)
}

/// How a project gets to another machine, and from one.
pub(super) fn rsync(facts: &Facts) -> Check {
    let fix = install(facts.packages, facts.root, Package::Rsync);
    program("rsync", &facts.rsync, (0, 0), fix)
}

pub(super) fn compiler(facts: &Facts) -> Check {
    let fix = install(facts.packages, facts.root, Package::Compiler);
    let check = program("compiler", &facts.compiler, (0, 0), fix);
    // Rust links build scripts and tests by it, too.
    if check.fix.is_some() {
        check.fatal()
    } else {
        check
    }
}

pub(super) fn rust(facts: &Facts) -> Check {
    let rust = &facts.rust;
    let install = format!("{OLDEST_RUST} --profile minimal --target {TARGET}");
    let fix = if rust.rustup {
        format!("rustup toolchain install {install} && rustup default {OLDEST_RUST}")
    } else {
        format!("curl -fsSL https://sh.rustup.rs | sh -s -- -y --default-toolchain {install}")
    };
    let oldest = numbers(OLDEST_RUST).expect("a version of the workspace's manifest");
    let check = program("rust", &rust.compiler, oldest, fix.clone());
    if check.fix.is_some() {
        return check.fatal();
    }
    match &rust.cargo {
        Program::Found { .. } => check,
        _ => Check::limited("rust", "there is rustc, but no cargo that runs", fix).fatal(),
    }
}

pub(super) fn target(facts: &Facts) -> Check {
    if facts.rust.target {
        return Check::good("target", format!("{TARGET} is installed"));
    }
    let detail = format!("Rust has no {TARGET} here");
    if rust(facts).status != Status::Good {
        return Check::helpless("target", detail, "see rust first, which brings it").fatal();
    }
    let fix = format!("rustup target add {TARGET}");
    Check::limited("target", detail, fix).fatal()
}

pub(super) fn cache(facts: &Facts) -> Check {
    let disk = &facts.cache;
    let folder = disk.folder.display();
    let Some(free) = disk.free else {
        let fix = "set UKERNEL_CACHE to a folder that can be written";
        return Check::helpless("cache", format!("{folder} cannot be looked at"), fix).fatal();
    };
    let detail = format!("{} MiB free for {folder}", free >> 20);
    let fix = "make room there, or set UKERNEL_CACHE to a folder on another disk";
    match free {
        SPACE_FOR_SOME.. => Check::good("cache", detail),
        SPACE_FOR_A_BUILD.. => Check::helpless("cache", detail, fix),
        _ => Check::helpless("cache", detail, fix).fatal(),
    }
}

/// What is to be thought of a program that should be at least of version `oldest`.
fn program(name: &str, program: &Program, oldest: (u32, u32), fix: String) -> Check {
    match program {
        Program::Missing => Check::limited(name, "not found", fix),
        Program::Fails { path, error } => Check::limited(
            name,
            format!("{} does not run: {error}", path.display()),
            fix,
        ),
        Program::Found { path, says } => {
            let detail = format!("{says} ({})", path.display());
            match numbers(says) {
                Some(version) if version < oldest => {
                    let (major, minor) = oldest;
                    Check::limited(
                        name,
                        format!("{detail}; {major}.{minor} or newer is needed"),
                        fix,
                    )
                }
                _ => Check::good(name, detail),
            }
        }
    }
}
