//! Names and texts as they are recorded: copied, and cut.

use abi::trace::MAX_TEXT;

/// Up to [`MAX_TEXT`] bytes. Aligned, so that it is copied by words and not by a call.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub(super) struct Name {
    bytes: [u8; MAX_TEXT],
    len: u8,
}

impl Name {
    #[inline]
    pub(super) fn new(text: &[u8]) -> Name {
        let len = text.len().min(MAX_TEXT);
        let mut name = Name::default();
        name.bytes[..len].copy_from_slice(&text[..len]);
        name.len = len as u8;
        name
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
