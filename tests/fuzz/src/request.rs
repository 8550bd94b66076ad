//! What a client may put on a connection, piece by piece: pieces of requests that are right alone, in any
//! order, and garbage between them. Called by the target `http`; sends nothing.

use arbitrary::Arbitrary;

/// The next thing that a client does.
#[derive(Arbitrary, Debug)]
pub enum Piece<'a> {
    /// These bytes, as they are.
    Bytes(&'a [u8]),
    /// The first line of a request.
    Line(Method, Target<'a>),
    /// A header field.
    Field(Name, Value<'a>),
    /// A whole head without a body.
    Get(Target<'a>),
    /// The head of a job of so many bytes.
    Job(u16),
    /// The end of a head.
    End,
    /// So many bytes of text.
    Text(u16),
    /// What was said so far goes out, and milliseconds pass.
    Pause(u16),
    /// So many bytes of the answers are taken.
    Read(u16),
}

#[derive(Arbitrary, Debug)]
pub enum Method {
    Get,
    Head,
    Post,
    Delete,
}

#[derive(Arbitrary, Debug)]
pub enum Target<'a> {
    Page,
    Health,
    Metrics,
    Stats,
    Disk(u8),
    DiskRange(u8, i32, u16),
    Digest(u8),
    Jobs,
    Job(u8),
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
pub enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    Upgrade,
    Other,
}

#[derive(Arbitrary, Debug)]
pub enum Value<'a> {
    Number(i32),
    Close,
    KeepAlive,
    Chunked,
    Continue,
    Any(&'a [u8]),
}

impl Piece<'_> {
    /// Appends what goes on the wire.
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Piece::Bytes(bytes) => to.extend_from_slice(bytes),
            Piece::Line(method, target) => to.extend_from_slice(&line(method.text(), target)),
            Piece::Field(name, value) => {
                to.extend_from_slice(name.text().as_bytes());
                to.extend_from_slice(b": ");
                to.extend_from_slice(&value.bytes());
                to.extend_from_slice(b"\r\n");
            }
            Piece::Get(target) => {
                to.extend_from_slice(&line("GET", target));
                to.extend_from_slice(b"Host: a\r\n\r\n");
            }
            Piece::Job(length) => {
                to.extend_from_slice(&line("POST", &Target::Jobs));
                to.extend_from_slice(
                    format!("Host: a\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
                );
            }
            Piece::End => to.extend_from_slice(b"\r\n"),
            Piece::Text(length) => {
                to.extend((0..*length).map(|n| b"some words "[usize::from(n % 11)]))
            }
            Piece::Pause(_) | Piece::Read(_) => {}
        }
    }
}

fn line(method: &str, target: &Target) -> Vec<u8> {
    format!("{method} {} HTTP/1.1\r\n", target.text()).into_bytes()
}

impl Method {
    fn text(&self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

impl Target<'_> {
    fn text(&self) -> String {
        match self {
            Target::Page => "/".into(),
            Target::Health => "/healthz".into(),
            Target::Metrics => "/metrics".into(),
            Target::Stats => "/stats.json".into(),
            Target::Disk(number) => format!("/disk/{number}"),
            Target::DiskRange(number, offset, length) => {
                format!("/disk/{number}?offset={offset}&length={length}")
            }
            Target::Digest(number) => format!("/disk/{number}/sha256"),
            Target::Jobs => "/jobs".into(),
            Target::Job(number) => format!("/jobs/{number}"),
            Target::Any(text) => (*text).into(),
        }
    }
}

impl Name {
    fn text(&self) -> &'static str {
        match self {
            Name::Host => "Host",
            Name::ContentLength => "Content-Length",
            Name::TransferEncoding => "Transfer-Encoding",
            Name::Connection => "Connection",
            Name::Expect => "Expect",
            Name::Upgrade => "Upgrade",
            Name::Other => "X-Other",
        }
    }
}

impl Value<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Number(number) => number.to_string().into_bytes(),
            Value::Close => b"close".into(),
            Value::KeepAlive => b"keep-alive".into(),
            Value::Chunked => b"chunked".into(),
            Value::Continue => b"100-continue".into(),
            Value::Any(bytes) => (*bytes).into(),
        }
    }
}
