//! Archives in memory: for run-time settings, and for tests. Large ones are written by the tool, file by file.

use alloc::vec::Vec;

use crate::tar;
use crate::{Digest, Entry, Error, INDEX, Index};

/// The archive of these settings (an index without files) and files, in any order.
///
/// # Errors
/// [`Error::Malformed`]: the format has no place for a setting or a path. Its line is that of [`Index::to_text`].
///
/// ```
/// use bundle::{Bundle, Error, Index};
/// let image = bundle::archive(Index::new("demo"), &[("hello.txt", b"hello\n")])?;
/// assert_eq!(Bundle::verify(&image)?.file("hello.txt"), Some(&b"hello\n"[..]));
/// assert!(bundle::archive(Index::new("demo"), &[("../hello.txt", b"")]).is_err());
/// # Ok::<(), Error>(())
/// ```
pub fn archive(settings: Index, files: &[(&str, &[u8])]) -> Result<Vec<u8>, Error> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let mut index = settings;
    index
        .files
        .extend(files.iter().map(|(path, content)| Entry {
            path: (*path).into(),
            size: content.len() as u64,
            digest: Digest::of(content),
        }));
    let text = index.to_text();
    if Index::parse(text.as_bytes())?.0 != index {
        return Err(Error::Malformed {
            line: 1,
            problem: "a name or a path has a line feed",
        });
    }
    let mut image = Vec::new();
    for (path, content) in core::iter::once((INDEX, text.as_bytes())).chain(files) {
        let size = content.len() as u64;
        image.extend(tar::header(path, size).expect("the index was checked"));
        image.extend(content);
        image.extend(tar::padding(size));
    }
    image.extend(tar::END);
    Ok(image)
}
