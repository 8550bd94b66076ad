//! The calls `abi_*`, `err_*`, `sys_*`, `log_*` and `random_bytes`.

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use abi::number::{self, feature_bit};
use log::Level;

use crate::failure::{Failure, Outcome};
use crate::signal::Signal;
use crate::task::Task;
use crate::user::{UserIn, UserOut};

/// The most random bytes of one call.
pub(crate) const MAX_RANDOM: usize = 1 << 20;
/// The most bytes of a line that `log_write` writes; what is beyond is cut.
pub(crate) const MAX_LOG_TEXT: usize = 400;
/// The longest name of a variable.
pub(crate) const MAX_NAME: usize = 255;

/// The features that every kernel has. Those of version 0.2.0 are numbered by their bit.
const FEATURES: [u32; 15] = [
    1, // FEAT_RNG
    4, // FEAT_TRACING
    number::FEAT_NUMBER_TCP,
    number::FEAT_NUMBER_IPV6,
    number::FEAT_NUMBER_DNS,
    number::FEAT_NUMBER_INTEREST,
    number::FEAT_NUMBER_TASKS,
    number::FEAT_NUMBER_WALL_CLOCK,
    number::FEAT_NUMBER_DISK,
    number::FEAT_NUMBER_VECTORED,
    number::FEAT_NUMBER_SHUTDOWN,
    number::FEAT_NUMBER_ENVIRONMENT,
    number::FEAT_NUMBER_MEMORY,
    number::FEAT_NUMBER_IPC,
    number::FEAT_NUMBER_IPC_OPEN,
];

impl Task {
    /// `abi_features`.
    pub fn features(&self) -> u64 {
        let bits = FEATURES.into_iter().map(feature_bit);
        let beside = self.program().machine.environment.features();
        bits.fold(beside, |all, bit| all | bit)
    }

    /// `abi_feature_enabled`. Programs of version 0.2.0 may pass the bit instead of its number; the two that cannot be told
    /// apart from numbers otherwise (8 and 16) are not used as numbers.
    pub fn has_feature(&self, id: u32) -> bool {
        match id {
            number::FEAT_SNAPSHOT | number::FEAT_TRACING => self.features() & u64::from(id) != 0,
            0..64 => self.features() & feature_bit(id) != 0,
            _ => false,
        }
    }

    /// `random_bytes`.
    pub fn random_bytes(&self, into: UserOut) -> Outcome {
        if into.len() > MAX_RANDOM {
            return Err(Failure::invalid(2, into.len() as u64));
        }
        let environment = &self.program().machine.environment;
        into.with(|bytes| environment.random(bytes));
        Ok(())
    }

    /// `sys_argument_count`.
    pub fn argument_count(&self) -> u32 {
        let environment = &self.program().machine.environment;
        (0..)
            .find(|index| environment.argument(*index).is_none())
            .unwrap_or(0) as u32
    }

    /// `sys_argument`: how long it is, written or not.
    pub fn argument(&self, index: u32, into: UserOut) -> (usize, Outcome) {
        let environment = &self.program().machine.environment;
        match environment.argument(index as usize) {
            Some(text) => give(text, 3, into),
            None => (0, Err(Failure::of(Error::NoEntry, 1, index.into()))),
        }
    }

    /// `sys_environment`: likewise.
    pub fn variable(&self, name: UserIn, into: UserOut) -> (usize, Outcome) {
        let environment = &self.program().machine.environment;
        let missing = Failure::of(Error::NoEntry, 1, 0);
        if name.is_empty() || name.len() > MAX_NAME {
            return (0, Err(missing));
        }
        let value = name.with(|name| environment.variable(core::str::from_utf8(name).ok()?));
        match value {
            Some(text) => give(text, 4, into),
            None => (0, Err(missing)),
        }
    }

    /// `sys_shutdown`.
    pub fn shutdown_handle(&self) -> Outcome<Handle> {
        let asked = self.program().machine.environment.shutdown();
        self.signal(Signal::default(), asked)
    }

    /// `log_write`.
    pub fn log_write(&self, level: u32, text: UserIn) -> Outcome {
        self.need(Kind::Log)?;
        let level = match level {
            number::LOG_DEBUG => Level::Debug,
            number::LOG_INFO => Level::Info,
            number::LOG_WARN => Level::Warn,
            number::LOG_ERROR => Level::Error,
            _ => return Err(Failure::invalid(1, level.into())),
        };
        text.with(|bytes| {
            let bytes = &bytes[..bytes.len().min(MAX_LOG_TEXT)];
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let (task, caps) = (self.id(), self.active().bits());
            let text = Text(bytes);
            log::log!(target: "program", level, "task={task} cap={caps:#x} {text}");
        });
        Ok(())
    }
}

/// Writes a text to the program where there is room, as `argument` says.
fn give(text: &str, argument: u32, into: UserOut) -> (usize, Outcome) {
    if into.len() < text.len() {
        let failure = Failure::invalid(argument, into.len() as u64);
        return (text.len(), Err(failure));
    }
    into.first(text.len())
        .with(|room| room.copy_from_slice(text.as_bytes()));
    (text.len(), Ok(()))
}

/// Bytes that ought to be text; what is none becomes U+FFFD.
struct Text<'a>(&'a [u8]);

impl core::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}
