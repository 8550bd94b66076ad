//! What HTTP/1.1 forbids and picoserve lets pass: such a request is answered with an error and the
//! connection ends, because nobody can say where the next request begins. Pure.

use picoserve::request::{Headers, RequestParts};

/// A request that is not served: the status and the text of the answer.
type Refusal = (u16, &'static str);

/// Checks the head of a request.
pub(super) fn check(parts: &RequestParts<'_>) -> Result<(), Refusal> {
    check_line(parts.method(), parts.path().encoded(), parts.http_version())?;
    check_headers(parts.headers())?;
    check_host(parts.http_version(), parts.headers())?;
    check_length(parts.headers())
}

/// The request line (RFC 9112, section 3).
fn check_line(method: &str, path: &str, version: &str) -> Result<(), Refusal> {
    if !is_token(method.as_bytes()) {
        return Err((400, "the method is malformed"));
    }
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err((400, "the request target is no absolute path"));
    }
    match version {
        "HTTP/1.1" | "HTTP/1.0" => Ok(()),
        _ if version.starts_with("HTTP/") => Err((505, "this server speaks HTTP/1.1")),
        _ => Err((400, "the version is malformed")),
    }
}

/// Names are tokens, values hold no control characters (RFC 9110, sections 5.1 and 5.5).
fn check_headers(headers: Headers<'_>) -> Result<(), Refusal> {
    for (name, value) in headers {
        if !is_token(name.as_raw()) {
            return Err((400, "a header's name is malformed"));
        }
        if value
            .as_raw()
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return Err((400, "a header's value is malformed"));
        }
    }
    Ok(())
}

/// HTTP/1.1 asks for exactly one Host (RFC 9112, section 3.2).
fn check_host(version: &str, headers: Headers<'_>) -> Result<(), Refusal> {
    let count = headers.iter().filter(|(name, _)| *name == "host").count();
    if count > 1 || (count == 0 && version == "HTTP/1.1") {
        return Err((400, "there must be one Host header"));
    }
    Ok(())
}

/// picoserve takes a length that it cannot read for 0, and knows no transfer codings: either would
/// let a body pass for the next request (RFC 9112, sections 6.1 and 6.3).
fn check_length(headers: Headers<'_>) -> Result<(), Refusal> {
    if headers.get("transfer-encoding").is_some() {
        return Err((501, "a body needs a Content-Length here"));
    }
    let mut lengths = headers.iter().filter(|(name, _)| *name == "content-length");
    let Some((_, length)) = lengths.next() else {
        return Ok(());
    };
    let digits = length.as_raw();
    let valid = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if lengths.next().is_some() || !valid {
        return Err((400, "the Content-Length is malformed"));
    }
    Ok(())
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let symbol = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(symbol)
}
