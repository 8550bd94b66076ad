//! Whether this user can connect a machine to a tap device. Pure.

use super::packages::as_root;
use super::{Check, Facts, Tap};

const NAME: &str = "tap";

pub(super) fn check(facts: &Facts) -> Check {
    let Tap {
        tun,
        net_admin,
        devices,
    } = &facts.tap;
    if let Err(error) = tun {
        let fix = as_root(facts.root, "modprobe tun");
        return Check::limited(NAME, format!("/dev/net/tun does not open: {error}"), fix);
    }
    match (net_admin, &devices[..]) {
        (true, _) => Check::good(NAME, "this user may make tap devices"),
        (false, [_, ..]) => Check::good(NAME, format!("this user may use {}", devices.join(", "))),
        (false, []) => Check::limited(
            NAME,
            "this user may neither make tap devices nor use one; the user-mode network of QEMU needs none",
            make(facts),
        ),
    }
}

/// The addresses are those that the documents use.
fn make(facts: &Facts) -> String {
    let user = &facts.user;
    let commands = [
        format!("ip tuntap add dev tap0 mode tap user {user}"),
        "ip address add 172.16.0.1/24 dev tap0".into(),
        "ip link set tap0 up".into(),
    ];
    commands
        .map(|command| as_root(facts.root, &command))
        .join(" && ")
}
