//! What can go wrong before a device runs. What can go wrong afterwards is each device's own.

use core::fmt;

use crate::virtio::DeviceKind;

/// Why a device could not be brought up. The device was reset and nothing of it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitError {
    /// The driver was given a device of another kind.
    WrongKind(DeviceKind),
    /// The device did not go back to its initial state when told to.
    ResetRefused,
    /// The device does not follow version 1 of the specification.
    NotVersion1,
    /// The device refused a set of features that it had offered.
    FeaturesRefused,
    /// The device lacks this virtqueue.
    QueueMissing(u16),
    /// The device has a queue too small for one request.
    QueueTooSmall(u16),
    /// The device did not enter, or at once left, its running state; its status register.
    StartRefused(u32),
    /// The register window ends before the configuration that the device must have.
    ConfigMissing,
    /// The configuration kept changing while it was read.
    ConfigUnstable,
    /// A value in the configuration is impossible.
    ConfigInvalid(&'static str),
    /// Memory for queues or buffers is short.
    OutOfMemory,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKind(kind) => write!(f, "device is of another kind: {kind:?}"),
            Self::ResetRefused => f.write_str("device ignores reset"),
            Self::NotVersion1 => f.write_str("device lacks VERSION_1"),
            Self::FeaturesRefused => f.write_str("device refuses the features it offered"),
            Self::QueueMissing(queue) => write!(f, "device lacks queue {queue}"),
            Self::QueueTooSmall(queue) => write!(f, "queue {queue} is too small"),
            Self::StartRefused(status) => write!(f, "device did not start, status {status:#x}"),
            Self::ConfigMissing => f.write_str("configuration does not fit the register window"),
            Self::ConfigUnstable => f.write_str("configuration never held still"),
            Self::ConfigInvalid(what) => write!(f, "configuration is impossible: {what}"),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for InitError {}
