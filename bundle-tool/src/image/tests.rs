//! Tests of bundles on the host: ordinary tools read them, they are the same every time, and nothing broken is written
//! or taken.

use std::fs;
use std::process::Command;

use bundle::Index;
use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn bytes(content: &str) -> Source {
    Source::Bytes(content.into())
}

fn draft(files: &[(&str, &str)]) -> Draft {
    let files = files
        .iter()
        .map(|(path, content)| ((*path).into(), bytes(content)));
    Draft::new(Index::new("demo"), files.collect()).unwrap()
}

/// What `tar` says about an archive.
fn tar(arguments: &[&str], archive: &Path) -> String {
    let output = Command::new("tar")
        .args(arguments)
        .arg(archive)
        .output()
        .expect("tar runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tar_reads_it() {
    let folder = folder();
    let path = folder.path().join("image");
    let long = format!("{}/{}", "folder".repeat(20), "name".repeat(10));
    let draft = draft(&[(&long, "long"), ("b/one", "1"), ("a", "hello\n")]);
    draft.write(&path).unwrap();
    assert_eq!(
        tar(&["-tf"], &path),
        format!("ukernel-bundle\na\nb/one\n{long}\n")
    );
    let target = folder.path().to_str().unwrap();
    tar(&["-x", "-C", target, "-f"], &path);
    assert_eq!(
        fs::read_to_string(folder.path().join("a")).unwrap(),
        "hello\n"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join(long)).unwrap(),
        "long"
    );
    let index = fs::read_to_string(folder.path().join("ukernel-bundle")).unwrap();
    assert_eq!(index, draft.index().to_text());
    let compressed = folder.path().join("bundle.tgz");
    draft.write_compressed(&compressed).unwrap();
    assert_eq!(tar(&["-tzf"], &compressed), tar(&["-tf"], &path));
}

#[test]
fn the_same_files_make_the_same_bytes() {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("source"), "2").unwrap();
    let one = draft(&[("b", "2"), ("a", "1")]);
    let sources = vec![
        ("a".into(), bytes("1")),
        ("b".into(), Source::File(place("source"))),
    ];
    let other = Draft::new(Index::new("demo"), sources).unwrap();
    assert_eq!(one.digest(), other.digest());
    for (draft, number) in [(&one, 1), (&other, 2)] {
        draft.write(&place(&format!("{number}.img"))).unwrap();
        draft
            .write_compressed(&place(&format!("{number}.tgz")))
            .unwrap();
    }
    for kind in ["img", "tgz"] {
        let read = |number| fs::read(place(&format!("{number}.{kind}"))).unwrap();
        assert!(read(1) == read(2), "{kind}");
    }
}

#[test]
fn an_image_and_a_compressed_one_are_checked() {
    let folder = folder();
    let (image, compressed) = (folder.path().join("a.img"), folder.path().join("a.tgz"));
    let content = "text ".repeat(100_000);
    let draft = draft(&[("large", &content), ("small", "s")]);
    draft.write(&image).unwrap();
    draft.write_compressed(&compressed).unwrap();
    for path in [&image, &compressed] {
        let verified = verify(path).unwrap();
        assert_eq!(
            (&verified.index, verified.digest),
            (draft.index(), draft.digest())
        );
    }
    let mut damaged = fs::read(&image).unwrap();
    damaged[300_000] ^= 4;
    fs::write(&image, damaged).unwrap();
    let error = verify(&image).unwrap_err().to_string();
    assert!(error.contains("a.img: large is corrupt"), "{error}");
    fs::write(&image, "").unwrap();
    assert!(matches!(verify(&image), Err(ImageError::Bundle { .. })));
    assert!(matches!(
        verify(&folder.path().join("absent")),
        Err(ImageError::Read { .. })
    ));
}

#[test]
fn what_the_format_cannot_say_is_refused() {
    let refused = |index: Index, path: &str| {
        let files = vec![(path.into(), bytes(""))];
        Draft::new(index, files).unwrap_err().to_string()
    };
    let error = refused(Index::new("demo"), "../x");
    assert!(
        error.starts_with("a path is relative") && error.ends_with("../x"),
        "{error}"
    );
    assert!(refused(Index::new("de mo"), "x").contains("letters"));
    assert!(!refused(Index::new("demo"), "a\nb").is_empty());
    // It would be read, and mean something else.
    let smuggled = Index::new("demo\noption allow=all");
    assert!(refused(smuggled, "x").contains("line feed"));
    let mut index = Index::new("demo");
    index.options.push("a\0".into());
    assert!(refused(index, "x").contains("zero byte"));
    let twice = vec![("a".into(), bytes("1")), ("a".into(), bytes("2"))];
    assert!(Draft::new(Index::new("demo"), twice).is_err());
}

#[test]
fn files_that_are_missing_or_change_are_named() {
    let folder = folder();
    let (path, image) = (folder.path().join("source"), folder.path().join("image"));
    let source = || vec![("a".to_string(), Source::File(path.clone()))];
    let error = Draft::new(Index::new("demo"), source())
        .unwrap_err()
        .to_string();
    assert!(error.contains("source: No such file"), "{error}");
    fs::write(&path, "before").unwrap();
    let draft = Draft::new(Index::new("demo"), source()).unwrap();
    fs::write(&path, "after").unwrap();
    assert!(matches!(draft.write(&image), Err(ImageError::Changed(changed)) if changed == path));
    assert!(!image.exists());
}
