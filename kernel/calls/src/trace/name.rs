//! Names and texts as they are recorded: copied, and cut.

use abi::trace::MAX_TEXT;

/// Up to [`MAX_TEXT`] bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    len: u8,
    bytes: [u8; MAX_TEXT],
}

impl Name {
    #[inline]
    pub(super) fn set(&mut self, text: &[u8]) {
        let len = text.len().min(MAX_TEXT);
        self.bytes[..len].copy_from_slice(&text[..len]);
        self.len = len as u8;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
