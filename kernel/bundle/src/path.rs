//! Which paths a file of a bundle may have: those that mean the same to everybody who unpacks it.

use crate::{INDEX, MAX_PATH_BYTES, SIGNATURE, tar};

/// Checks a path: relative, with `/` between its parts, none of them empty, `.` or `..`; without control
/// characters; short enough for a header of `ustar`; and not one of the names that the format itself uses.
///
/// # Errors
/// What is wrong, for people.
///
/// ```
/// assert_eq!(bundle::check_path("static/index.html"), Ok(()));
/// assert!(bundle::check_path("../secret").is_err());
/// ```
pub fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err("a path has 1 to 255 bytes");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a path is relative, and no part of it is empty, . or ..");
    }
    if path.chars().any(char::is_control) {
        return Err("a path has no control characters");
    }
    if path == INDEX || path == SIGNATURE {
        return Err("ukernel-bundle and ukernel-bundle.sig are the format's own names");
    }
    if tar::split(path).is_none() {
        return Err(
            "a path of more than 100 bytes needs a / with at most 155 before and 100 behind it",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn paths_lead_nowhere_else() {
        for good in [
            "a",
            "a/b",
            "a b",
            "..a",
            "a/...",
            ".hidden",
            "ä/ö",
            "c:\\x",
            "ukernel-bundle/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/..",
            "../a",
            "a/./b",
            "a\nb",
            "a\0b",
            "a\u{85}b",
            "ukernel-bundle",
            "ukernel-bundle.sig",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_paths_need_a_slash_in_the_right_place() {
        let name = |count| "n".repeat(count);
        assert_eq!(check(&name(100)), Ok(()));
        assert!(check(&name(101)).is_err());
        let long = |folder: usize, file: usize| -> String { name(folder) + "/" + &name(file) };
        assert_eq!(check(&long(155, 99)), Ok(()));
        assert!(check(&long(155, 100)).is_err()); // 256 bytes
        assert_eq!(check(&long(54, 100)), Ok(()));
        assert!(check(&long(53, 101)).is_err());
        assert!(check(&long(156, 98)).is_err());
    }
}
