//! Spans of native tasks: values that end when they are dropped.

use crate::Trace;

/// A span of time that is not over; dropping it ends it, in whichever task. From [`Trace::span`].
///
/// What is within it says so: tasks interleave, and so do the futures that one of them joins, so nothing is within a span
/// just because it happens meanwhile.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span(
    /// `None`: tracing was off when it was to begin.
    Option<(Trace, u64)>,
);

impl Span {
    /// Begins one within another; 0: within none.
    #[inline]
    pub(crate) fn begin(trace: &Trace, parent: u64, name: &'static str) -> Span {
        if trace.is_on() {
            Span::record(trace, parent, name)
        } else {
            Span(None)
        }
    }

    fn record(trace: &Trace, parent: u64, name: &'static str) -> Span {
        let begin = trace.now();
        let span = trace
            .with_running(|ring, task| ring.begin(begin, task, parent, name.as_bytes()))
            .flatten();
        Span(span.map(|span| (trace.clone(), span)))
    }

    /// Begins a span within this one.
    pub fn span(&self, name: &'static str) -> Span {
        match &self.0 {
            Some((trace, span)) => Span::begin(trace, *span, name),
            None => Span(None),
        }
    }

    /// Records that something happens now, within this span.
    pub fn event(&self, name: &'static str, text: &str) {
        if let Some((trace, span)) = &self.0
            && trace.is_on()
        {
            trace.record(*span, name, text);
        }
    }

    /// Records something about the span, such as `key=value`.
    pub fn attribute(&self, text: &str) {
        self.event("", text);
    }

    /// Ends it; the same as dropping it, but says so.
    pub fn end(self) {}
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some((trace, span)) = &self.0 {
            let end = trace.now();
            trace.with_running(|ring, task| ring.end(end, task, *span));
        }
    }
}
