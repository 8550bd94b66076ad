//! Error answers, and the query of a request, as picoserve wants to see them.

use picoserve::ResponseSent;
use picoserve::extract::FromRequestParts;
use picoserve::io::Read;
use picoserve::request::RequestParts;
use picoserve::response::{Connection, IntoResponse, ResponseWriter, StatusCode};

use crate::byte_range::{RangeError, RangeQuery};

/// An error answer: a status, a sentence, and perhaps a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    status: u16,
    problem: &'static str,
    header: Option<(&'static str, &'static str)>,
}

/// What was asked for does not exist.
pub const NOT_FOUND: Failure = Failure::new(404, "there is no such thing");
/// A device failed.
pub const DISK_FAILED: Failure = Failure::new(500, "the disk cannot be read");

impl Failure {
    /// An error answer.
    pub const fn new(status: u16, problem: &'static str) -> Self {
        Failure {
            status,
            problem,
            header: None,
        }
    }

    /// The same answer with one more header.
    pub const fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Failure {
            header: Some((name, value)),
            ..self
        }
    }
}

impl From<RangeError> for Failure {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Malformed(problem) => Failure::new(400, problem),
            RangeError::Outside => Failure::new(416, "the range leaves the disk"),
        }
    }
}

impl IntoResponse for Failure {
    async fn write_to<R: Read, W: ResponseWriter<Error = R::Error>>(
        self,
        connection: Connection<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        (
            StatusCode::new(self.status),
            self.header,
            format_args!("{}\n", self.problem),
        )
            .write_to(connection, writer)
            .await
    }
}

impl<'r, State> FromRequestParts<'r, State> for RangeQuery {
    type Rejection = Failure;

    async fn from_request_parts(_: &'r State, parts: &RequestParts<'r>) -> Result<Self, Failure> {
        let query = parts.query().map_or("", |query| query.0);
        Ok(RangeQuery::parse(query)?)
    }
}
