use proptest::prelude::*;

use super::*;

const PROJECT: &str = "[project]\nname = \"demo\"\nlanguage = \"rust\"\n";

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Path::new("ukernel.toml"))
}

fn options(text: &str) -> Vec<String> {
    parse(&format!("{PROJECT}{text}")).unwrap().options()
}

#[test]
fn three_lines_are_a_manifest_and_say_nothing_to_the_kernel() {
    let manifest = parse(PROJECT).unwrap();
    assert_eq!(manifest.project.entry(), Path::new("src/main.rs"));
    assert_eq!(
        (manifest.run.vcpu.get(), manifest.run.memory_mb.get()),
        (1, 128)
    );
    assert!(manifest.options().is_empty() && manifest.arguments().is_empty());
}

#[test]
fn a_manifest_that_uses_everything_becomes_the_kernels_words() {
    let text = include_str!("everything.toml");
    let manifest = parse(text).unwrap();
    assert_eq!(
        manifest.options(),
        [
            "log=debug",
            "net=10.0.2.15/24,gw=10.0.2.2,dns=10.0.2.3,dns=1.1.1.1,ip6=fd00::2/64,gw6=fd00::1",
            "hostname=demo-1",
            "allow=log",
            "allow=net:listen:tcp:8080",
            "trace=on",
            "env=GREETING=hello there",
        ]
    );
    assert_eq!(manifest.arguments(), ["serve", "five rounds"]);
    assert_eq!(
        manifest.run.ports[0].0,
        crate::machine::Forward::tcp(8080, 80)
    );
    let volumes: Vec<_> = manifest
        .volumes
        .iter()
        .map(|(name, volume)| (name.as_str(), volume.size_mb.mib()))
        .collect();
    assert_eq!(volumes, [("data", 16), ("scratch", 1)]);
}

#[test]
fn networks_become_one_word() {
    for (text, word) in [
        ("[network]\nmode = \"off\"", "net=off"),
        ("[network]\nipv6 = \"off\"", "net=dhcp,ip6=off"),
        ("[network]\nipv6 = \"auto\"", "net=dhcp,ip6=auto"),
        (
            "[network]\nmode = \"static\"\naddress = \"10.0.0.2/8\"",
            "net=10.0.0.2/8",
        ),
    ] {
        assert_eq!(options(text), [word], "{text}");
    }
    assert!(options("[network]\nmode = \"dhcp\"").is_empty());
}

#[test]
fn who_allows_nothing_is_given_nothing() {
    assert_eq!(options("[capabilities]\nallow = []"), ["allow=none"]);
}

/// Each mistake with its message, as `golden/manifest-errors.txt` shows it.
#[test]
fn mistakes_are_shown_with_their_lines() {
    let mut shown = String::new();
    for mistake in include_str!("mistakes.txt").split("---\n") {
        let Err(error) = parse(mistake) else {
            panic!("accepted:\n{mistake}");
        };
        shown += &format!("{error}\n\n");
    }
    golden::compare("golden/manifest-errors.txt", &shown);
}

#[test]
fn a_file_that_is_no_text_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ukernel.toml");
    std::fs::write(&path, b"[project]\nname = \"\xff\"\n").unwrap();
    let error = Manifest::read(&path).unwrap_err();
    assert_eq!((error.line(), error.problem()), (Some(2), "not UTF-8"));
    std::fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
    assert!(
        Manifest::read(&path)
            .unwrap_err()
            .problem()
            .contains("larger")
    );
    assert!(Manifest::read(folder.path()).is_err());
}

#[test]
fn names_are_good_for_files_packages_and_volumes() {
    for name in ["a", "Demo-1_x", &"x".repeat(63)] {
        assert!(name.parse::<Name>().is_ok(), "{name}");
    }
    for name in [
        "",
        "1a",
        "-a",
        "a/b",
        "a b",
        "..",
        "\u{e4}",
        &"x".repeat(64),
    ] {
        assert!(name.parse::<Name>().is_err(), "{name}");
    }
}

#[test]
fn a_network_device_has_a_name_that_no_vmm_reads_more_into() {
    for name in ["tap0", "br-lan.7", &"x".repeat(15)] {
        assert!(name.parse::<DeviceName>().is_ok(), "{name}");
    }
    for name in [
        "",
        "a,script=x",
        "a b",
        "a/b",
        "a:1",
        "a\n",
        &"x".repeat(16),
    ] {
        assert!(name.parse::<DeviceName>().is_err(), "{name}");
    }
    let error = parse("[run]\ntimeout_s = 0\n").unwrap_err();
    assert!(error.problem().contains("nonzero"), "{error}");
}

#[test]
fn paths_stay_in_the_project() {
    let path = |text: &str| RelativePath::try_from(text.to_string());
    for inside in ["a", "src/main.rs", "./a", "static/**/*.html"] {
        assert!(path(inside).is_ok(), "{inside}");
    }
    for outside in ["", "/etc/passwd", "../a", "a/../../b", "a\nb"] {
        assert!(path(outside).is_err(), "{outside}");
    }
}

proptest! {
    /// Whatever stands in the file, what comes of it is a manifest or a message that can be shown.
    #[test]
    fn garbage_is_an_error_that_can_be_shown(text in "([\\[\\]=\"a-z0-9.{} #\u{e4}\r\n\t-]{0,40}\n){0,6}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().starts_with("ukernel.toml"));
        }
    }

    /// What the kernel is told is made of words that it can tell apart: only values of variables have spaces.
    #[test]
    fn options_are_words(value in "[ -~]{0,30}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let words = options(&format!("[run]\nlog = \"info\"\n[env.variables]\nA = \"{quoted}\""));
        prop_assert_eq!(&words, &["log=info".to_string(), format!("env=A={value}")]);
    }
}
