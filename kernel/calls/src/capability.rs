//! Capabilities: which handles of them are good.
//!
//! Each kind has a generation, which a drop moves on: the handles from before are stale for good. When
//! the generations of a kind are used up, nobody gets one of it any more.
//!
//! ```
//! use abi::capability::Kind;
//! use calls::capability::Generations;
//! let mut generations = Generations::default();
//! let log = generations.handle(Kind::Log).unwrap();
//! assert_eq!(generations.kind_of(log), Ok(Kind::Log));
//! generations.drop_kind(Kind::Log);
//! assert!(generations.kind_of(log).is_err());
//! ```

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;

/// The generation of each kind.
#[derive(Clone, Debug)]
pub struct Generations([u16; Kind::ALL.len()]);

/// No handle has this one: a kind that has reached it is used up.
const USED_UP: u16 = u16::MAX;

impl Default for Generations {
    fn default() -> Generations {
        Generations([1; Kind::ALL.len()])
    }
}

impl Generations {
    /// A good handle of a kind; `None`: they are used up.
    pub fn handle(&self, kind: Kind) -> Option<Handle> {
        let generation = self.0[kind as usize - 1];
        (generation != USED_UP).then(|| Handle::capability(kind, generation))
    }

    /// The kind of a good handle.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no capability, [`Error::Permission`] for a stale one.
    pub fn kind_of(&self, handle: Handle) -> Result<Kind, Error> {
        let (kind, generation) = handle.as_capability().ok_or(Error::Invalid)?;
        let good = generation != USED_UP && generation == self.0[kind as usize - 1];
        if good {
            Ok(kind)
        } else {
            Err(Error::Permission)
        }
    }

    /// Makes all handles of a kind stale.
    pub fn drop_kind(&mut self, kind: Kind) {
        let generation = &mut self.0[kind as usize - 1];
        *generation = generation.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_handle_comes_back() {
        let mut generations = Generations::default();
        let first = generations.handle(Kind::Net).unwrap();
        let mut given = 0;
        while let Some(handle) = generations.handle(Kind::Net) {
            given += 1;
            assert!(given == 1 || handle != first);
            generations.drop_kind(Kind::Net);
            assert_eq!(generations.kind_of(handle), Err(Error::Permission));
        }
        assert_eq!(given, 65_534);
        generations.drop_kind(Kind::Net);
        assert_eq!(generations.handle(Kind::Net), None);
        assert_eq!(generations.kind_of(first), Err(Error::Permission));
        assert!(generations.handle(Kind::Log).is_some());
    }

    #[test]
    fn a_generation_that_was_never_given_is_stale() {
        let generations = Generations::default();
        for generation in [0, 2, u16::MAX] {
            let forged = Handle::capability(Kind::Log, generation);
            assert_eq!(generations.kind_of(forged), Err(Error::Permission));
        }
        assert_eq!(generations.kind_of(Handle::NONE), Err(Error::Invalid));
    }
}
