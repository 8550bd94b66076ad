//! What the first process of a Linux guest has to do before it can be a program like any other.
#![allow(unsafe_code, reason = "interfaces are configured through ioctl")]

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

use crate::Orders;

const NIC: &str = "eth0";
/// How long a driver may take to bring the interface.
const SOON: Duration = Duration::from_secs(10);

fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Reads what to do, and as the first process makes it possible.
pub(crate) fn orders() -> Orders {
    if !is_first_process() {
        return from_arguments();
    }
    for (source, target, kind) in [
        ("proc", "/proc", "proc"),
        ("sys", "/sys", "sysfs"),
        ("dev", "/dev", "devtmpfs"),
    ] {
        let mounted = mount(source, target, kind, MountFlags::empty(), None);
        mounted.unwrap_or_else(|error| println!("bench: cannot mount {target}: {error}"));
    }
    load_modules();
    let words = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let word = |name: &str| {
        words
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name))
    };
    up("lo", Ipv4Addr::LOCALHOST);
    if let Some(address) = word("bench.address=") {
        let since = Instant::now();
        while !Path::new("/sys/class/net").join(NIC).exists() && since.elapsed() < SOON {
            std::thread::yield_now();
        }
        up(NIC, address.parse().expect("an IPv4 address"));
    }
    Orders {
        mode: word("bench.mode=").unwrap_or("serve").to_string(),
        first_port: 0,
        disk: "/dev/vda".into(),
    }
}

fn from_arguments() -> Orders {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_else(|| "serve".into());
    let rest = arguments.next().unwrap_or_default();
    Orders {
        first_port: rest.parse().unwrap_or(0),
        disk: rest.into(),
        mode,
    }
}

/// Loads the kernel modules that the image lists.
fn load_modules() {
    let list = fs::read_to_string("/modules.list").unwrap_or_default();
    for path in list.split_whitespace() {
        let loaded =
            File::open(path).and_then(|file| Ok(rustix::system::finit_module(file, c"", 0)?));
        loaded.unwrap_or_else(|error| println!("bench: cannot load {path}: {error}"));
    }
}

/// Gives an interface its address, and turns it on.
fn up(name: &str, address: Ipv4Addr) {
    let configure = || -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        let mut request = request(name);
        // SAFETY: the requests read an `ifreq` with an address, which `request` made.
        unsafe {
            request.ifr_ifru.ifru_addr = socket_address(address);
            ioctl(&socket, libc::SIOCSIFADDR, &mut request)?;
            request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::new(255, 255, 255, 0));
            ioctl(&socket, libc::SIOCSIFNETMASK, &mut request)?;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        // SAFETY: the request reads an `ifreq` with flags.
        unsafe { ioctl(&socket, libc::SIOCSIFFLAGS, &mut request) }
    };
    configure().unwrap_or_else(|error| println!("bench: cannot bring up {name}: {error}"));
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: an `ifreq` is plain data, and zeroes are one.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: a `sockaddr` is plain data, and zeroes are one.
    let mut socket_address: libc::sockaddr = unsafe { core::mem::zeroed() };
    socket_address.sa_family = libc::AF_INET as libc::sa_family_t;
    // Two bytes of port, then the address.
    for (to, from) in socket_address.sa_data[2..6]
        .iter_mut()
        .zip(address.octets())
    {
        *to = from as libc::c_char;
    }
    socket_address
}

/// # Safety
/// `request` is what `code` reads and writes.
unsafe fn ioctl(
    socket: &impl AsRawFd,
    code: libc::Ioctl,
    request: &mut libc::ifreq,
) -> std::io::Result<()> {
    // SAFETY: the descriptor is open, and the pointer good for the call; the rest is the caller's.
    match unsafe { libc::ioctl(socket.as_raw_fd(), code, request) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Ends the guest; a program of the host just ends.
pub(crate) fn power_off() {
    if is_first_process() {
        let _ = reboot(RebootCommand::Restart);
    }
}
