//! The functions `trace_*`.
#![allow(
    unsafe_code,
    reason = "functions with C's calling convention and names"
)]

use abi::capability::Kind;

use super::{call, handle, input, place};

/// `trace_span_begin` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_span_begin(name: u64, name_len: u64, out: u64) -> u32 {
    call("trace_span_begin", Some(Kind::Trace), |task| {
        let out = place::<u64>(task, 3, out)?;
        out.put(
            task.trace_span_begin(input(task, 1, name, name_len)?)?
                .to_bits(),
        );
        Ok(())
    })
}

/// `trace_span_end` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_span_end(span: u64) -> u32 {
    call("trace_span_end", Some(Kind::Trace), |task| {
        task.trace_span_end(handle(span))
    })
}

/// `trace_event` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_event(
    span: u64,
    name: u64,
    name_len: u64,
    text: u64,
    text_len: u64,
) -> u32 {
    call("trace_event", Some(Kind::Trace), |task| {
        let text_len = if text == 0 { 0 } else { text_len };
        task.trace_event(
            handle(span),
            input(task, 2, name, name_len)?,
            input(task, 4, text, text_len)?,
        )
    })
}

/// `trace_enable` of the header.
///
/// # Safety
/// The header's contract: memory that the program passes stays what it is until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_enable(on: u32) -> u32 {
    call("trace_enable", Some(Kind::Trace), |task| {
        task.trace_enable(on)
    })
}
