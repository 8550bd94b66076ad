//! Bundles, as the guest reads them: whatever comes is refused or read, and what was read is what was written.
#![no_main]

use bundle::{Bundle, Digest, Error, INDEX, Index, Verified, Verifier, tar};
use libfuzzer_sys::fuzz_target;

/// Most bytes that an archive may have here.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    as_an_image(data);
    let (text, behind) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at + 1], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let text = ended(text);
    if let Ok((index, digest)) = Index::parse(&text) {
        assert_eq!(index.to_text().as_bytes(), text, "there is one way to write an index");
        assert!(text.ends_with(format!("end {digest}\n").as_bytes()));
    }
    as_an_image(&with_index(&text, behind));
});

/// A text with a right last line.
fn ended(above: &[u8]) -> Vec<u8> {
    let end = format!("end {}\n", Digest::of(above));
    [above, end.as_bytes()].concat()
}

/// An archive that begins with this index.
fn with_index(text: &[u8], behind: &[u8]) -> Vec<u8> {
    let size = text.len() as u64;
    let header = tar::header(INDEX, size).expect("an input is not that large");
    [&header[..], text, tar::padding(size), behind].concat()
}

fn as_an_image(image: &[u8]) {
    let whole = verified(image, usize::MAX);
    assert_eq!(verified(image, 700), whole, "it does not matter how the bytes come");
    let Ok(verified) = whole else { return };
    let files = verified.index.files.clone();
    let bundle = Bundle::of(image, verified);
    assert_eq!(bundle.files().count(), files.len());
    for entry in &files {
        let content = bundle.file(&entry.path).expect("it is in the index");
        assert_eq!((content.len() as u64, Digest::of(content)), (entry.size, entry.digest));
    }
}

fn verified(image: &[u8], piece: usize) -> Result<Verified, Error> {
    let mut verifier = Verifier::new(LIMIT);
    for bytes in image.chunks(piece) {
        verifier.push(bytes)?;
    }
    verifier.finish()
}
