//! Names and texts as they are recorded: by reference where they stay, else copied, and cut.

use abi::trace::MAX_TEXT;

/// A name as somebody says it.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    Static(&'static str),
    Bytes(&'a [u8]),
}

/// A name or a text. Beyond [`MAX_TEXT`] bytes it is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    /// Where it is, if it stays there.
    elsewhere: Option<&'static str>,
    len: u8,
    bytes: [u8; MAX_TEXT],
}

impl Name {
    #[inline]
    pub(super) fn set(&mut self, said: Said<'_>) {
        match said {
            Said::Static(name) => self.elsewhere = Some(name),
            Said::Bytes(bytes) => {
                let len = bytes.len().min(MAX_TEXT);
                self.bytes[..len].copy_from_slice(&bytes[..len]);
                self.len = len as u8;
                self.elsewhere = None;
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self.elsewhere {
            Some(name) => &name.as_bytes()[..name.len().min(MAX_TEXT)],
            None => &self.bytes[..usize::from(self.len)],
        }
    }
}
