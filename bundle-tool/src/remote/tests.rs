//! Which machine and folder settings stand for.

use super::*;

fn remote(host: &str, folder: Option<&str>) -> Result<Remote, RemoteError> {
    let settings = Settings {
        host: Some(host.into()),
        folder: folder.map(String::from),
        ssh: None,
    };
    Remote::new(settings, "demo".as_ref())
}

#[test]
fn a_host_must_be_named_and_be_no_option() {
    let nobody = Remote::new(Settings::default(), "demo".as_ref()).unwrap_err();
    assert!(nobody.hint().unwrap().contains("UKERNEL_REMOTE=user@host"));
    for bad in ["-oProxyCommand=x", "a b", "", "a\nb"] {
        assert!(
            matches!(remote(bad, None), Err(RemoteError::Host(_))),
            "{bad}"
        );
    }
    assert_eq!(remote("ann@build", None).unwrap().folder(), "ukernel/demo");
}

/// What is in the folder and not in the project is deleted.
#[test]
fn a_folder_is_one_of_its_own() {
    for bad in [
        "", "/", "~", "~/", "~/.", ".", "..", "a/../..", "~bob/x", "-x", "a\nb", "//",
    ] {
        assert!(
            matches!(remote("build", Some(bad)), Err(RemoteError::Folder(_))),
            "{bad}"
        );
    }
    for (good, expected) in [
        ("~/zigu", "zigu"),
        ("/srv/a b/", "/srv/a b"),
        ("work/demo", "work/demo"),
    ] {
        assert_eq!(remote("build", Some(good)).unwrap().folder(), expected);
    }
}
