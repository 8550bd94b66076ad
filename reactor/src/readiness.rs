//! What a waiter wants of an object, and what the object has: level-triggered readiness.
//!
//! Owns the two bit sets with the numbers of the kernel's ABI, and the [`Pollable`] trait that
//! `io_poll` asks. Readiness is recomputed at every look and never cached: a reused handle can then
//! carry no stale event, and a reader that took half of the data is told again.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign};
use core::task::Context;

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            /// No bit.
            pub const EMPTY: $name = $name(0);
            $($(#[$bit_doc])* pub const $bit: $name = $name($value);)*
            const KNOWN: u32 = 0 $(| $value)*;

            /// The set with these bits; bits that have no name are dropped.
            pub const fn from_bits(bits: u32) -> $name {
                $name(bits & Self::KNOWN)
            }

            /// The bits as the ABI numbers them.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether no bit is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether every bit of `other` is set.
            pub const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is set.
            pub const fn intersects(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }
        }

        impl BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: $name) {
                self.0 |= other.0;
            }
        }

        impl BitAnd for $name {
            type Output = $name;
            fn bitand(self, other: $name) -> $name {
                $name(self.0 & other.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(if self.contains($name::$bit) {
                    write!(f, "{separator}{}", stringify!($bit))?;
                    separator = "|";
                })*
                if separator.is_empty() { f.write_str("EMPTY") } else { Ok(()) }
            }
        }
    };
}

bit_set! {
    /// What a waiter asks for. Hang-up and error are reported whether or not they were asked for.
    ///
    /// ```
    /// use reactor::readiness::{Interest, Readiness};
    /// let wanted = Interest::READABLE | Interest::WRITABLE;
    /// let seen = Readiness::READABLE | Readiness::HANGUP;
    /// assert!(seen.answers(wanted) && seen.answers(Interest::WRITABLE));
    /// assert!(!Readiness::WRITABLE.answers(Interest::READABLE));
    /// ```
    Interest {
        /// Data, a connection to accept, an expired deadline, or the end of a stream.
        READABLE = 1;
        /// Room to write at least one byte or message.
        WRITABLE = 2;
    }
}

bit_set! {
    /// What an object is right now.
    Readiness {
        /// A read would not wait.
        READABLE = 1;
        /// A write would not wait.
        WRITABLE = 2;
        /// The other side has closed; reads may still give what was sent before.
        HANGUP = 4;
        /// The object has failed; the next operation reports how.
        ERROR = 8;
    }
}

impl Readiness {
    /// Whether a waiter with this interest has something to do: a bit it asked for, a hang-up or an
    /// error.
    pub const fn answers(self, interest: Interest) -> bool {
        self.0 & (interest.0 | Readiness::HANGUP.0 | Readiness::ERROR.0) != 0
    }
}

/// An object behind a handle that can be waited for.
///
/// Called in task context only.
pub trait Pollable {
    /// Looks at the object now. Where the answer does not [answer](Readiness::answers) `interest`,
    /// the waker of `cx` is registered and woken once it might; registering again replaces what the
    /// same waker registered before. Bits beyond `interest` may be reported too.
    fn poll_readiness(&self, interest: Interest, cx: &mut Context<'_>) -> Readiness;

    /// Of an object that was found ready: has the waker of `cx` woken when it is found to be so again, even if it has been
    /// ready all along, and says whether the object can do that. `false`: whoever wants to know has to poll.
    ///
    /// For objects of a system that tells readiness by levels and again each time it is asked, as `epoll` does: a set of
    /// many need not ask each member first.
    fn rearm(&self, interest: Interest, cx: &mut Context<'_>) -> bool {
        let _ = (interest, cx);
        false
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn numbers_are_the_abis() {
        assert_eq!(Interest::READABLE.bits() | Interest::WRITABLE.bits(), 3);
        let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::HANGUP | Readiness::ERROR;
        assert_eq!(all.bits(), 15);
        assert_eq!(Readiness::from_bits(0xff), all);
    }

    #[test]
    fn hang_up_answers_every_interest() {
        for interest in [Interest::EMPTY, Interest::READABLE, Interest::WRITABLE] {
            assert!(Readiness::HANGUP.answers(interest));
            assert!(Readiness::ERROR.answers(interest));
            assert!(!Readiness::EMPTY.answers(interest));
        }
        assert!(!Readiness::READABLE.answers(Interest::EMPTY));
    }

    #[test]
    fn debug_names_the_bits() {
        assert_eq!(
            format!("{:?}", Readiness::READABLE | Readiness::ERROR),
            "READABLE|ERROR"
        );
        assert_eq!(format!("{:?}", Interest::EMPTY), "EMPTY");
    }
}
