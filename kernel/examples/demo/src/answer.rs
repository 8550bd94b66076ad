//! The answer to a request, in one type: whatever is answered, the code that sends it is in the
//! image once.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use picoserve::io::Write;
use picoserve::response::{Content, ForEachHeader, HeadersIter, Response, StatusCode};

use crate::byte_range::RangeError;
use crate::disk_answer::DiskBytes;

const TEXT: &str = "text/plain; charset=utf-8";

/// A header's name and value.
type Header = (&'static str, Cow<'static, str>);

/// An answer. `Result<Answer, Answer>` carries one that ends a computation early.
pub struct Answer {
    status: u16,
    content: Typed,
    header: Option<Header>,
    last: bool,
}

/// What an answer carries.
pub enum Body {
    /// Text that is part of the image.
    Static(&'static str),
    /// Text made for this answer.
    Text(String),
    /// Bytes of a disk.
    Disk(Box<DiskBytes>),
    /// The length of what a GET would carry.
    Head(usize),
}

/// A body and its type.
struct Typed {
    kind: &'static str,
    body: Body,
}

impl Answer {
    /// 200 with a body of a type.
    pub fn ok(kind: &'static str, body: Body) -> Self {
        Answer {
            status: 200,
            content: Typed { kind, body },
            header: None,
            last: false,
        }
    }

    /// 200 with a short text.
    pub fn text(text: &'static str) -> Self {
        Self::ok(TEXT, Body::Static(text))
    }

    /// An error with a sentence about it.
    pub fn problem(status: u16, problem: &str) -> Self {
        Self::ok(TEXT, Body::Text(format!("{problem}\n"))).with_status(status)
    }

    /// The same answer with another status.
    pub fn with_status(self, status: u16) -> Self {
        Answer { status, ..self }
    }

    /// The same answer with one more header, in place of an earlier one. Not for `Connection`, which is
    /// [`last`](Self::last)'s.
    pub fn with_header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Answer {
            header: Some((name, value.into())),
            ..self
        }
    }

    /// The same answer, behind which the connection ends; it says so.
    pub fn last(self) -> Self {
        Answer { last: true, ..self }
    }

    /// Whether the connection ends behind it.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The same answer without its body, for HEAD.
    pub fn without_body(mut self) -> Self {
        self.content.body = Body::Head(self.content.content_length());
        self
    }

    /// The answer as picoserve sends it.
    pub fn into_response(self) -> impl picoserve::response::IntoResponse {
        Response::new(StatusCode::new(self.status), self.content).with_headers(Extra {
            header: self.header,
            close: self.last.then_some(("Connection", Cow::Borrowed("close"))),
        })
    }
}

impl From<RangeError> for Answer {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Malformed(problem) => Self::problem(400, problem),
            RangeError::Outside => Self::problem(416, "the range leaves the disk"),
        }
    }
}

/// The headers beside those that picoserve writes.
struct Extra {
    header: Option<Header>,
    close: Option<Header>,
}

impl HeadersIter for Extra {
    async fn for_each_header<F: ForEachHeader>(self, mut each: F) -> Result<F::Output, F::Error> {
        for (name, value) in [self.header, self.close].into_iter().flatten() {
            each.call(name, value).await?;
        }
        each.finalize().await
    }
}

impl Content for Typed {
    fn content_type(&self) -> &'static str {
        self.kind
    }

    fn content_length(&self) -> usize {
        match &self.body {
            Body::Static(text) => text.len(),
            Body::Text(text) => text.len(),
            Body::Disk(bytes) => bytes.len(),
            Body::Head(length) => *length,
        }
    }

    async fn write_content<W: Write>(self, mut writer: W) -> Result<(), W::Error> {
        match self.body {
            Body::Static(text) => writer.write_all(text.as_bytes()).await,
            Body::Text(text) => writer.write_all(text.as_bytes()).await,
            Body::Disk(bytes) => bytes.write_to(writer).await,
            Body::Head(_) => Ok(()),
        }
    }
}
