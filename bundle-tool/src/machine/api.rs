//! Firecracker's API: HTTP over its Unix socket, one request at a time, the answer awaited. Used by
//! [`Launch`](super::Launch) to describe a machine, and by [`Machine`](super::Machine) to stop it. Knows nothing of
//! what the requests mean: [`Firecracker`](super::Firecracker) makes them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::ControlError;

/// Firecracker answers within milliseconds, but where KVM emulates, starting a machine takes seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the socket is looked for. Firecracker says nothing when it listens, and the file is there before it does.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The longest answer read, head and body. What says more is not Firecracker.
const MAX_ANSWER: usize = 64 * 1024;

/// The most header lines of an answer.
const MAX_HEADERS: usize = 32;

/// A request: always `PUT`, always JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiRequest {
    /// The path, with its leading slash.
    pub path: String,
    /// The body.
    pub body: Value,
}

/// The socket of a Firecracker that listens.
#[derive(Clone, Debug)]
pub(super) struct Api {
    socket: PathBuf,
}

/// Nobody listens at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The process that should listen has ended.
    Ended,
    /// It runs, but the time is up.
    Late,
}

/// A request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// Firecracker said no, in these words.
    #[error("{0}")]
    Refused(String),
    /// The connection broke, as it does when Firecracker ends.
    #[error("cannot talk to firecracker: {0}")]
    Io(#[from] io::Error),
}

impl From<ApiError> for ControlError {
    fn from(error: ApiError) -> ControlError {
        match error {
            ApiError::Refused(reason) => ControlError::Refused(reason),
            // Firecracker removes its socket when it ends.
            ApiError::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                ControlError::Ended
            }
            ApiError::Io(error) => ControlError::Io(error),
        }
    }
}

impl ApiRequest {
    /// `PUT path` with `body`.
    pub(super) fn put(path: impl Into<String>, body: Value) -> ApiRequest {
        ApiRequest {
            path: path.into(),
            body,
        }
    }

    /// `PUT /actions` with one of `InstanceStart`, `SendCtrlAltDel`, `FlushMetrics`.
    pub(super) fn action(name: &str) -> ApiRequest {
        ApiRequest::put("/actions", serde_json::json!({ "action_type": name }))
    }
}

impl Api {
    /// Waits for somebody to listen at `socket`, at most for `within`, and no longer than whoever should listen runs:
    /// `ended_within` waits for his end for a while.
    pub(super) fn wait_for(
        socket: PathBuf,
        within: Duration,
        ended_within: impl Fn(Duration) -> bool,
    ) -> Result<Api, Absent> {
        let deadline = Instant::now() + within;
        loop {
            if UnixStream::connect(&socket).is_ok() {
                return Ok(Api { socket });
            }
            if ended_within(LOOK_INTERVAL) {
                return Err(Absent::Ended);
            }
            if Instant::now() >= deadline {
                return Err(Absent::Late);
            }
        }
    }

    /// Sends `request` and waits for the answer, at most 30 s.
    pub(super) fn send(&self, request: &ApiRequest) -> Result<(), ApiError> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let body = request.body.to_string();
        let text = format!(
            "PUT {} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            request.path,
            body.len()
        );
        stream.write_all(text.as_bytes())?;
        judge(&read_answer(stream)?)
    }
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn read_answer(mut stream: impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut block = [0; 1024];
    loop {
        if let Some(answer) = parse_answer(&bytes)? {
            return Ok(answer);
        }
        let count = stream.read(&mut block)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if bytes.len() + count > MAX_ANSWER {
            return Err(not_http("an endless answer"));
        }
        bytes.extend_from_slice(&block[..count]);
    }
}

/// `None`: there is more to come.
fn parse_answer(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes).map_err(not_http)?;
    let httparse::Status::Complete(head_length) = parsed else {
        return Ok(None);
    };
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = match length {
        Some(header) => std::str::from_utf8(header.value)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| not_http("a Content-Length that is no number"))?,
        None => 0,
    };
    let status = head.code.ok_or_else(|| not_http("no status"))?;
    let body = bytes[head_length..].get(..length);
    Ok(body.map(|body| Answer {
        status,
        body: body.to_vec(),
    }))
}

fn not_http(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}

/// What Firecracker refuses it explains in `fault_message`.
fn judge(answer: &Answer) -> Result<(), ApiError> {
    if matches!(answer.status, 200..=299) {
        return Ok(());
    }
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let fault = body.and_then(|body| body["fault_message"].as_str().map(String::from));
    let no_reason = || format!("status {} and no reason", answer.status);
    Err(ApiError::Refused(fault.unwrap_or_else(no_reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn parse(text: &str) -> io::Result<Option<Answer>> {
        parse_answer(text.as_bytes())
    }

    fn answer(status: u16, body: &str) -> Answer {
        let body = body.into();
        Answer { status, body }
    }

    #[test]
    fn an_answer_ends_with_its_body() {
        let whole = "HTTP/1.1 400 \r\nServer: x\r\ncontent-length: 5\r\n\r\nhello";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(parse(whole).unwrap(), Some(answer(400, "hello")));
        let empty = "HTTP/1.1 204 \r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(parse(empty).unwrap(), Some(answer(204, "")));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bad in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: x\r\n\r\n",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(read_answer(&b"HTTP/1.1 200 \r\n"[..]).is_err(), "cut");
        let endless = io::repeat(b'H').take(u64::MAX);
        assert!(read_answer(endless).is_err());
        let endless = "HTTP/1.1 200 \r\nContent-Length: 99999999\r\n\r\n".as_bytes();
        let error = read_answer(endless.chain(io::repeat(b'x'))).unwrap_err();
        assert!(error.to_string().contains("endless"), "{error}");
    }

    #[test]
    fn a_refusal_carries_firecrackers_words() {
        assert!(judge(&answer(204, "")).is_ok());
        let refused = judge(&answer(400, r#"{"fault_message":"no such file"}"#));
        assert_eq!(refused.unwrap_err().to_string(), "no such file");
        let refused = judge(&answer(500, "?"));
        assert_eq!(refused.unwrap_err().to_string(), "status 500 and no reason");
    }

    #[test]
    fn a_request_is_sent_as_http_and_its_answer_awaited() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api");
        let listener = UnixListener::bind(&socket).unwrap();
        let peer = std::thread::spawn(move || {
            listener.accept().unwrap(); // the look
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = vec![0; 1024];
            let count = stream.read(&mut bytes).unwrap();
            stream.write_all(b"HTTP/1.1 204 \r\n\r\n").unwrap();
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        });
        let api = Api::wait_for(socket, ANSWER_TIMEOUT, |_| false).unwrap();
        api.send(&ApiRequest::action("InstanceStart")).unwrap();
        let sent = peer.join().unwrap();
        assert!(sent.starts_with("PUT /actions HTTP/1.1\r\n"), "{sent}");
        assert!(
            sent.ends_with("\r\nContent-Length: 31\r\n\r\n{\"action_type\":\"InstanceStart\"}"),
            "{sent}"
        );
    }

    #[test]
    fn nobody_is_waited_for_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api");
        let ended = Api::wait_for(socket.clone(), ANSWER_TIMEOUT, |_| true);
        assert_eq!(ended.unwrap_err(), Absent::Ended);
        let late = Api::wait_for(socket, Duration::from_millis(3), |_| false);
        assert_eq!(late.unwrap_err(), Absent::Late);
    }
}
