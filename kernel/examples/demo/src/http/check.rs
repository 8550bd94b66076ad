//! What HTTP/1.1 forbids and picoserve lets pass: such a request is answered with an error and the
//! connection is closed, because nobody can say where the next request begins.
//!
//! A layer in front of all routes; the check itself is pure.

use picoserve::ResponseSent;
use picoserve::io::{BaseWrite, Read, Write};
use picoserve::request::{Headers, RequestParts};
use picoserve::response::custom::{CustomBody, CustomResponse};
use picoserve::response::{IntoResponse, ResponseWriter, StatusCode};
use picoserve::routing::{Layer, Next};
use ukernel::task::yield_now;

use crate::http::Session;

/// A request that is not served: the status and the text of the answer.
type Refusal = (u16, &'static str);

/// The word that a client may wait for.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The layer; counts requests, too.
pub struct Check;

impl Layer<Session, ()> for Check {
    type NextState = Session;
    type NextPathParameters = ();

    async fn call_layer<
        'a,
        R: Read + 'a,
        N: Next<'a, R, Session, ()>,
        W: ResponseWriter<Error = R::Error>,
    >(
        &self,
        next: N,
        session: &Session,
        (): (),
        parts: RequestParts<'_>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        session.worker.count_request();
        match check(&parts) {
            Ok(()) => {
                let mut connection = session.connection.clone();
                if expects_continue(&parts) && connection.write_all(CONTINUE).await.is_err() {
                    connection.cut();
                }
                next.run(session, (), writer).await
            }
            Err((status, problem)) => {
                let connection = next.into_connection().await?;
                CustomResponse::build(StatusCode::new(status))
                    .with_header("Content-Type", "text/plain; charset=utf-8")
                    .with_header("Content-Length", problem.len() + 1)
                    .with_body(LastWords(problem))
                    .write_to(connection, writer)
                    .await
            }
        }
    }
}

/// The body of an answer behind which the connection is closed.
struct LastWords(&'static str);

impl CustomBody for LastWords {
    async fn write_response_body<W: Write>(self, mut writer: W) -> Result<(), W::Error> {
        // picoserve gives the connection up once it has waited for the client beside the body;
        // a body that is written at once would leave it no time to, and the connection open.
        yield_now().await;
        writer.write_all(self.0.as_bytes()).await?;
        writer.write_all(b"\n").await
    }
}

/// Whether the client waits for a word before it sends the body (RFC 9110, section 10.1.1).
fn expects_continue(parts: &RequestParts<'_>) -> bool {
    parts.http_version() == "HTTP/1.1"
        && parts
            .headers()
            .get("expect")
            .is_some_and(|value| value == "100-continue")
}

fn check(parts: &RequestParts<'_>) -> Result<(), Refusal> {
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
