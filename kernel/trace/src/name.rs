//! Names and texts as they are recorded: copied, and cut.

use abi::trace::MAX_TEXT;

/// A name or a text. Beyond [`MAX_TEXT`] bytes it is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Name {
    len: u8,
    bytes: [u8; MAX_TEXT],
}

impl Name {
    #[inline]
    pub(crate) fn set(&mut self, name: &[u8]) {
        let len = name.len().min(MAX_TEXT);
        self.len = len as u8;
        copy(&mut self.bytes[..len], &name[..len]);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Copies as many bytes as both have, of which there are few: a call of `memcpy` takes longer than that.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let copied = if from.len() < 8 {
        copy_by::<4>(to, from)
    } else {
        copy_by::<16>(to, from) || copy_by::<8>(to, from)
    };
    if !copied {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Copies the first and the last `N`, unless there are fewer; all there are, if they are not more than twice as many.
#[inline]
fn copy_by<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_are_kept() {
        let long: [u8; 40] = core::array::from_fn(|index| index as u8 + 1);
        for len in 0..=long.len() {
            let mut name = Name::default();
            name.set(&long); // what was there before
            name.set(&long[..len]);
            assert_eq!(name.as_bytes(), &long[..len.min(MAX_TEXT)]);
        }
    }
}
