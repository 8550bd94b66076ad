//! Tests of the kernel command line's parser.

use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;

fn warnings(text: &str) -> Vec<String> {
    let line = CommandLine::parse(text);
    line.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_line_means_dhcp_and_no_arguments() {
    let line = CommandLine::parse("");
    assert_eq!(line, CommandLine::default());
    assert_eq!(line.network(0).ipv4, Ipv4Options::Dhcp);
    assert_eq!(line.network(0).ipv6, Ipv6Options::Slaac);
}

#[test]
fn reads_every_option() {
    let line = CommandLine::parse(
        "log=trace hostname=web-1 net=10.1.2.3/8,gw=10.0.0.1,dns=1.1.1.1,dns=9.9.9.9 net2=off",
    );
    assert!(line.warnings().is_empty());
    assert_eq!(line.log, Some(LevelFilter::Trace));
    assert_eq!(line.hostname, Some("web-1"));
    assert_eq!(
        line.network(0).ipv4,
        Ipv4Options::Static {
            address: Ipv4Addr::new(10, 1, 2, 3),
            prefix: 8,
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            dns: [
                Some(Ipv4Addr::new(1, 1, 1, 1)),
                Some(Ipv4Addr::new(9, 9, 9, 9)),
                None
            ],
        }
    );
    assert_eq!(line.network(1), NetworkOptions::default());
    assert!(line.network(2).off);
}

#[test]
fn reads_variables_and_the_last_word_counts() {
    let line = CommandLine::parse("env=A=1 env=B= env=A=x=y env= env==z env=C -- env=D=4");
    assert_eq!(line.variables, [("A", "x=y"), ("B", "")]);
    assert_eq!(line.warnings().len(), 3);
    assert_eq!(line.arguments, ["env=D=4"]);
    let many: String = (0..=MAX_VARIABLES)
        .map(|n| alloc::format!("env=V{n}=x "))
        .collect();
    let line = CommandLine::parse(&many);
    assert_eq!(
        (line.variables.len(), line.warnings().len()),
        (MAX_VARIABLES, 1)
    );
}

#[test]
fn reads_whether_to_trace() {
    let on = |text| CommandLine::parse(text).trace;
    assert!(on("trace=on") && on("trace=off trace=on") && on("trace=on trace=yes"));
    assert!(!on("") && !on("trace=on trace=off") && !on("-- trace=on") && !on("trace"));
    assert_eq!(
        warnings("trace=yes"),
        ["option=trace=yes problem=\"expected on or off\""]
    );
}

#[test]
fn reads_what_is_allowed() {
    let line = CommandLine::parse("allow=log,time allow=net:lisen allow=mem -- allow=all");
    let names = |policy: &Policy| policy.kinds().bits();
    assert_eq!(names(&line.policy), 0b1011);
    assert_eq!(
        warnings("allow=net:lisen"),
        ["option=allow=net:lisen problem=\"the items of net are listen, connect, resolve\""]
    );
    assert_eq!(names(&CommandLine::parse("allow=net:lisen").policy), 0);
    assert_eq!(names(&CommandLine::parse("-- allow=log").policy), 0xff);
    // A mistake is no wish for everything.
    assert_eq!(names(&CommandLine::parse("allow").policy), 0);
}

#[test]
fn a_policy_that_is_cut_off_allows_nothing() {
    let filling = "quiet ".repeat(MAX_LENGTH / 6);
    let kinds = |text: &str| CommandLine::parse(text).policy.kinds().bits();
    assert_eq!(kinds(&alloc::format!("{filling} allow=all")), 0);
    assert_eq!(kinds(&alloc::format!("{filling} allow")), 0);
    assert_eq!(kinds(&alloc::format!("allow=log {filling} allow=all")), 1);
    assert_eq!(kinds(&alloc::format!("{filling} more words")), 0xff);
    assert_eq!(kinds(&alloc::format!("-- {filling} allow=log")), 0xff);
}

#[test]
fn reads_ipv6() {
    let options: NetworkOptions = "dhcp,ip6=fd00::2/64,gw6=fe80::1".parse().unwrap();
    assert_eq!(options.ipv4, Ipv4Options::Dhcp);
    assert_eq!(
        options.ipv6,
        Ipv6Options::Static {
            address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            prefix: 64,
            gateway: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        }
    );
    assert_eq!(
        "dhcp,ip6=off".parse::<NetworkOptions>().unwrap().ipv6,
        Ipv6Options::Off
    );
}

#[test]
fn devices_are_no_arguments_wherever_they_stand() {
    let line = CommandLine::parse(
        "virtio_mmio.device=4K@0xc0001000:5 -- a b=c virtio_mmio.device=512@0xfeb00e00:12",
    );
    assert_eq!(line.arguments, ["a", "b=c"]);
    assert!(line.warnings().is_empty());
}

#[test]
fn arguments_may_look_like_options() {
    let line = CommandLine::parse("-- log=debug -- x");
    assert_eq!(line.log, None);
    assert_eq!(line.arguments, ["log=debug", "--", "x"]);
}

#[test]
fn firecrackers_default_line_is_silent() {
    let text = "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux \
                i8042.dumbkbd swiotlb=noforce pci=off root=/dev/vda ro \
                virtio_mmio.device=4K@0xc0001000:5";
    let line = CommandLine::parse(text);
    assert!(line.warnings().is_empty());
    assert_eq!(line.linux_options.len(), 11);
}

#[test]
fn mistakes_are_named_and_ignored() {
    assert_eq!(
        warnings("colour=blue"),
        ["option=colour=blue problem=\"unknown\""]
    );
    assert!(warnings("log=loud")[0].contains("the levels are"));
    assert!(warnings("net=1.2.3.4")[0].contains("<address>/<prefix>"));
    assert!(warnings("net=1.2.3.4/33")[0].contains("prefix"));
    assert!(warnings("net=dhcp,gw=1.2.3.4")[0].contains("static"));
    assert!(warnings("net=1.2.3.4/8,mask=1")[0].contains("gw, dns"));
    assert!(warnings("net9=dhcp")[0].contains("at most 8"));
    assert!(warnings("network=dhcp")[0].contains("unknown"));
    assert!(warnings("hostname=a.b_c")[0].contains("letters"));
    let line = CommandLine::parse("net=nonsense log=info");
    assert_eq!(
        (line.network(0), line.log),
        (NetworkOptions::default(), Some(LevelFilter::Info))
    );
}

#[test]
fn a_warning_shows_the_beginning_of_a_long_word() {
    let shown = &warnings(&"é".repeat(100))[0];
    assert!(shown.contains(&("é".repeat(64) + "...")), "{shown}");
    assert!(!shown.contains(&"é".repeat(65)));
}

#[test]
fn warnings_are_bounded() {
    let text = "x ".repeat(100);
    let line = CommandLine::parse(&text);
    assert_eq!(
        (line.warnings().len(), line.unsaid_warnings()),
        (MAX_WARNINGS, 84)
    );
}

#[test]
fn a_long_line_is_cut_at_a_word() {
    let text = "a".repeat(MAX_LENGTH - 10) + " log=info log=debug";
    let line = CommandLine::parse(&text);
    assert_eq!(line.log, Some(LevelFilter::Info));
    assert!(line.warnings()[0].to_string().contains("too long"));
}

proptest! {
        #![proptest_config(crate::property::cases(256))]

    #[test]
    fn no_text_panics(text in "\\PC{0,4096}") {
        let line = CommandLine::parse(&text);
        for warning in line.warnings() {
            prop_assert!(warning.to_string().len() < 512);
        }
    }

    #[test]
    fn no_likely_text_panics(text in "((log|net[0-9]?|hostname|allow|env|root|virtio_mmio.device)=?[0-9a-z.:/,=]{0,24}|--|[ \0]| ){0,40}") {
        let line = CommandLine::parse(&text);
        prop_assert!(line.arguments.iter().all(|word| !word.is_empty()));
    }
}
