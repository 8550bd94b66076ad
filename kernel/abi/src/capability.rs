//! Kinds of capabilities, and sets of them.
//!
//! ```
//! use abi::capability::{Kind, Kinds};
//! let some = Kinds::EMPTY.with(Kind::Log).with(Kind::Net);
//! assert!(some.contains(Kind::Net) && !some.contains(Kind::Io));
//! assert!(some.is_subset(Kinds::ALL));
//! assert_eq!(some.bits(), 0x41);
//! ```

/// What a capability is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Writing to the log.
    Log = 1,
    /// Reading clocks, deadlines.
    Time = 2,
    /// Tasks.
    Task = 3,
    /// Memory.
    Memory = 4,
    /// Files, disks, waiting for handles.
    Io = 5,
    /// Channels.
    Ipc = 6,
    /// The network.
    Net = 7,
    /// Traces.
    Trace = 8,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Kind; 8] = [
        Kind::Log,
        Kind::Time,
        Kind::Task,
        Kind::Memory,
        Kind::Io,
        Kind::Ipc,
        Kind::Net,
        Kind::Trace,
    ];

    /// The kind of a number.
    pub fn from_number(number: u32) -> Option<Kind> {
        let index = (number as usize).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// What a policy calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::Time => "time",
            Kind::Task => "task",
            Kind::Memory => "mem",
            Kind::Io => "io",
            Kind::Ipc => "ipc",
            Kind::Net => "net",
            Kind::Trace => "trace",
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32 - 1)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kinds(u32);

impl Kinds {
    /// None.
    pub const EMPTY: Kinds = Kinds(0);
    /// All.
    pub const ALL: Kinds = Kinds(0xff);

    /// The set, and `kind`.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Kinds {
        Kinds(self.0 | kind.bit())
    }

    /// The set without `kind`.
    #[must_use]
    pub const fn without(self, kind: Kind) -> Kinds {
        Kinds(self.0 & !kind.bit())
    }

    /// Whether `kind` is in it.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether `other` has all of these.
    pub const fn is_subset(self, other: Kinds) -> bool {
        self.0 & !other.0 == 0
    }

    /// Bit `kind - 1` for each.
    pub const fn bits(self) -> u32 {
        self.0
    }
}
