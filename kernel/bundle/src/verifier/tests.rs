//! Tests of the check: every single bit of a small image matters, wherever the pieces end.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Bundle, Volume};

/// An archive with these files, and what is at each of its bytes.
struct Archive {
    image: Vec<u8>,
    owners: Vec<String>,
}

impl Archive {
    fn new(files: &[(&str, &[u8])], signed: bool) -> Archive {
        let mut index = Index::new("demo");
        index.options.push("log=info".into());
        index.volumes.push(Volume {
            name: "data".into(),
            read_only: false,
        });
        index.files = files
            .iter()
            .map(|(path, content)| entry(path, content))
            .collect();
        Archive::with_index(&index, files, signed)
    }

    fn with_index(index: &Index, files: &[(&str, &[u8])], signed: bool) -> Archive {
        let mut archive = Archive {
            image: Vec::new(),
            owners: Vec::new(),
        };
        archive.member(INDEX, index.to_text().as_bytes());
        for (path, content) in files {
            archive.member(path, content);
        }
        if signed {
            let signature = Signature {
                public_key: [0x11; 32],
                signature: [0x22; 64],
            };
            archive.member(SIGNATURE, signature.to_text().as_bytes());
        }
        archive.push(ARCHIVE_END, &tar::END);
        archive
    }

    fn member(&mut self, path: &str, content: &[u8]) {
        let size = content.len() as u64;
        self.push(path, &tar::header(path, size).unwrap());
        self.push(path, content);
        self.push(path, tar::padding(size));
    }

    fn push(&mut self, owner: &str, bytes: &[u8]) {
        self.image.extend(bytes);
        self.owners.resize(self.image.len(), owner.into());
    }
}

fn entry(path: &str, content: &[u8]) -> Entry {
    Entry {
        path: path.into(),
        size: content.len() as u64,
        digest: Digest::of(content),
    }
}

fn verify(image: &[u8]) -> Result<Verified, Error> {
    verify_in_pieces(image, usize::MAX)
}

fn verify_in_pieces(image: &[u8], piece: usize) -> Result<Verified, Error> {
    let mut verifier = Verifier::new(u64::MAX);
    for bytes in image.chunks(piece) {
        verifier.push(bytes)?;
    }
    verifier.finish()
}

const FILES: [(&str, &[u8]); 3] = [("a", b"the first"), ("b/empty", b""), ("c", &[7; 1025])];

/// Natively every bit of the image; under Miri one byte in 37 of it, as each takes a second.
fn places(image: &[u8]) -> impl Iterator<Item = usize> {
    (0..image.len()).step_by(if cfg!(miri) { 613 } else { 1 })
}

#[test]
fn every_flipped_bit_is_found_in_its_file() {
    for signed in [false, true] {
        let Archive { mut image, owners } = Archive::new(&FILES, signed);
        assert!(verify(&image).is_ok());
        for at in places(&image.clone()) {
            for bit in if cfg!(miri) { 0..1 } else { 0..8 } {
                image[at] ^= 1 << bit;
                let error = verify(&image).expect_err("a flipped bit");
                assert_eq!(error.file(), owners[at], "byte {at} bit {bit}: {error}");
                image[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn every_cut_is_found_in_its_file() {
    for signed in [false, true] {
        let Archive { image, owners } = Archive::new(&FILES, signed);
        for at in places(&image) {
            let error = verify(&image[..at]).expect_err("a cut image");
            // Before there is a block of it, nobody can know that a signature would have come.
            let signature = owners.iter().position(|owner| owner == SIGNATURE);
            let unseen = signature.is_some_and(|first| (first..first + BLOCK).contains(&at));
            let file = if unseen { ARCHIVE_END } else { &owners[at] }.into();
            assert_eq!(error, Error::CutOff { file }, "cut at {at}");
        }
    }
}

#[test]
fn pieces_may_end_anywhere() {
    let Archive { image, .. } = Archive::new(&FILES, true);
    let whole = verify(&image).unwrap();
    for piece in [1, 7, 511, 512, 513, 4096] {
        assert_eq!(
            verify_in_pieces(&image, piece).as_ref(),
            Ok(&whole),
            "{piece}"
        );
    }
}

#[test]
fn zeros_may_follow_and_nothing_else() {
    let Archive { mut image, .. } = Archive::new(&FILES, false);
    for more in [1, 512, 1000] {
        let mut longer = image.clone();
        longer.resize(image.len() + more, 0);
        assert!(verify(&longer).is_ok(), "{more}");
        longer[image.len() + more - 1] = 1;
        let error = verify(&longer).unwrap_err();
        assert_eq!(error, Error::corrupt(ARCHIVE_END, Part::Padding), "{more}");
    }
    image.extend(Archive::new(&FILES, false).image);
    assert_eq!(verify(&image).unwrap_err().file(), ARCHIVE_END);
}

#[test]
fn files_are_where_the_layout_says() {
    let Archive { image, .. } = Archive::new(&FILES, true);
    let bundle = Bundle::verify(&image).unwrap();
    assert!(bundle.files().eq(FILES));
    for (path, content) in FILES {
        assert_eq!(bundle.file(path), Some(content));
    }
    for absent in ["", "A", "b", "b/", "b/empty2", "d", INDEX, SIGNATURE] {
        assert_eq!(bundle.file(absent), None, "{absent}");
    }
    let kept = Bundle::of(
        &image[..bundle.verified().layout.end() as usize],
        bundle.verified().clone(),
    );
    assert!(kept.files().eq(FILES));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let Archive { image, .. } = Archive::new(&FILES, false);
    let needed = image.len() as u64;
    for (limit, fits) in [(needed, true), (needed - 1, false)] {
        let mut verifier = Verifier::new(limit);
        let result = verifier.push(&image[..1024]); // header and index
        assert_eq!(result.is_ok(), fits);
        if let Err(error) = result {
            assert_eq!(
                error,
                Error::TooLarge {
                    file: WHOLE,
                    needed,
                    limit
                }
            );
            assert_eq!(verifier.push(&[]), Err(error.clone()), "it is over");
            assert_eq!(verifier.finish(), Err(error));
        }
    }
    let header = tar::header(INDEX, MAX_INDEX_BYTES + 1).unwrap();
    assert!(matches!(
        verify(&header),
        Err(Error::TooLarge { file: INDEX, .. })
    ));
    let header = tar::header(INDEX, 0).unwrap();
    assert!(matches!(verify(&header), Err(Error::Corrupt { .. })));
}

#[test]
fn an_index_that_lies_is_found_out() {
    let content: &[u8] = b"content";
    let mut index = Index::new("demo");
    index.files = vec![entry("a", b"another"), entry("e", b"")];
    let archive = Archive::with_index(&index, &[("a", content), ("e", b"")], false);
    assert_eq!(
        verify(&archive.image),
        Err(Error::corrupt("a", Part::Content))
    );
    index.files[0].digest = Digest::of(content);
    index.files[1].digest = Digest::of(content);
    let archive = Archive::with_index(&index, &[("a", content), ("e", b"")], false);
    assert_eq!(
        verify(&archive.image),
        Err(Error::corrupt("e", Part::Content))
    );
    index.files.truncate(1);
    let archive = Archive::with_index(&index, &[("a", content), ("e", b"")], false);
    assert_eq!(
        verify(&archive.image),
        Err(Error::corrupt(ARCHIVE_END, Part::Padding))
    );
}

#[test]
fn other_things_are_no_bundles() {
    for other in [
        vec![0; 4096],
        b"\x7fELF".repeat(300),
        tar::header("README.md", 5).unwrap().to_vec(),
    ] {
        assert_eq!(verify(&other), Err(Error::NotABundle));
    }
    assert_eq!(verify(b""), Err(Error::CutOff { file: INDEX.into() }));
}

#[test]
fn errors_say_what_to_do() {
    let error = Error::corrupt("static/a.html", Part::Content);
    let text = "static/a.html is corrupt: its content is not what its SHA-256 says: copy or pack the bundle again";
    assert_eq!(format!("{error}"), text);
    let error = Error::TooLarge {
        file: WHOLE,
        needed: 70,
        limit: 60,
    };
    assert!(format!("{error}").contains("more memory"));
}

proptest! {
    #[test]
    fn contents_come_back(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 0..5),
        piece in 1usize..2000,
        signed: bool,
    ) {
        let paths: Vec<String> = (0..contents.len()).map(|number| format!("file{number}")).collect();
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let files: Vec<(&str, &[u8])> = paths.iter().map(String::as_str).zip(contents).collect();
        let Archive { image, .. } = Archive::new(&files, signed);
        let verified = verify_in_pieces(&image, piece).unwrap();
        prop_assert_eq!(verified.signature.is_some(), signed);
        prop_assert!(Bundle::of(&image, verified).files().eq(files));
    }

    #[test]
    fn a_damaged_image_is_never_taken_for_whole(
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..600),
    ) {
        let Archive { image, .. } = Archive::new(&FILES, true);
        let mut damaged = image.clone();
        let at = at.index(image.len());
        let end = image.len().min(at + bytes.len());
        damaged[at..end].copy_from_slice(&bytes[..end - at]);
        prop_assert_eq!(verify(&damaged).is_ok(), damaged == image);
    }
}
