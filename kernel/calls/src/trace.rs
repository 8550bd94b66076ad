//! The calls `trace_*`: spans and events of a program, on the ring that it shares with tasks in Rust.

use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use trace::LAST_SPAN;

use crate::failure::{Failure, Outcome};
use crate::task::Task;
use crate::user::UserIn;

impl Task {
    /// `trace_span_begin`: no handle while tracing is off.
    pub fn trace_span_begin(&self, name: UserIn) -> Outcome<Handle> {
        self.need(Kind::Trace)?;
        let trace = self.program().trace();
        if !trace.is_on() {
            return Ok(Handle::NONE);
        }
        let span = name.with(|name| trace.begin(&self.track, name))?;
        Ok(handle_of(span))
    }

    /// `trace_span_end`.
    pub fn trace_span_end(&self, handle: Handle) -> Outcome {
        self.need(Kind::Trace)?;
        if handle == Handle::NONE {
            return Ok(());
        }
        let trace = self.program().trace();
        match span_of(handle) {
            Some(span) if trace.end(&self.track, span) => Ok(()),
            _ => Err(Failure::invalid(1, handle.to_bits())),
        }
    }

    /// `trace_event`.
    pub fn trace_event(&self, handle: Handle, name: UserIn, text: UserIn) -> Outcome {
        self.need(Kind::Trace)?;
        let given = match handle {
            Handle::NONE => None,
            handle => Some(self.open_span(handle)?),
        };
        let trace = self.program().trace();
        if trace.is_on() {
            name.with(|name| text.with(|text| trace.event_in(&self.track, given, name, text)));
        }
        Ok(())
    }

    /// `trace_enable`.
    pub fn trace_enable(&self, on: u32) -> Outcome {
        self.need(Kind::Trace)?;
        match on {
            0 => self.program().trace().disable(),
            1 => self.program().trace().enable()?,
            _ => return Err(Failure::invalid(1, on.into())),
        }
        Ok(())
    }

    /// `handle_close` of a span: it is forgotten.
    pub(crate) fn trace_span_drop(&self, handle: Handle) -> Outcome {
        let span = self.open_span(handle)?;
        self.program().trace().forget(span);
        Ok(())
    }

    fn open_span(&self, handle: Handle) -> Outcome<u64> {
        let trace = self.program().trace();
        let span = span_of(handle).filter(|span| trace.is_open(*span));
        span.ok_or(Failure::invalid(1, handle.to_bits()))
    }
}

/// The handle of a span: its number, in the bits of index and generation.
#[inline]
fn handle_of(span: u64) -> Handle {
    // By a product what lies above the lowest 16 bits goes up by 16: two instructions less than by masks.
    let apart = span + (span & !0xffff) * 0xffff;
    Handle::from_bits(Handle::object(Tag::Span, 0, 0).to_bits() + apart)
}

/// The bits of a span's handle that are no part of its number.
const OTHERS: u64 = !((LAST_SPAN >> 16) << 32 | 0xffff);

/// The number of a span's handle; maybe of none that there ever was, such as 0.
#[inline]
fn span_of(handle: Handle) -> Option<u64> {
    // Without the bits of the tag, which are set in no index, there are only those of the number.
    let bits = handle.to_bits() ^ handle_of(0).to_bits();
    (bits & OTHERS == 0).then_some(bits >> 16 | bits & 0xffff)
}

#[cfg(test)]
mod tests;
