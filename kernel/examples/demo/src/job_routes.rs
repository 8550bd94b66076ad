//! `POST /jobs` and `GET /jobs/{id}`.

use alloc::format;
use alloc::vec::Vec;

use picoserve::extract::{FromRequest, State};
use picoserve::io::Read;
use picoserve::request::{RequestBody, RequestParts};
use picoserve::response::{IntoResponse, Response, StatusCode};

use crate::answer::{Failure, NOT_FOUND};
use crate::http::Session;
use crate::job_queue::{MAX_BODY, Place};
use crate::jobs::JobId;

/// What a client does wrong, or has bad luck with, when it posts a job.
const TOO_LONG: Failure =
    Failure::new(413, "a job has at most 65536 bytes").with_header("Connection", "close");
const CUT_SHORT: Failure = Failure::new(400, "the body is shorter than its Content-Length");
const QUEUE_FULL: Failure = Failure::new(503, "the queue is full").with_header("Retry-After", "1");

/// The body of a job, with its place in the queue.
pub struct Upload {
    text: Vec<u8>,
    place: Place,
}

impl<'r> FromRequest<'r, Session> for Upload {
    type Rejection = Failure;

    async fn from_request<R: Read>(
        session: &'r Session,
        _parts: RequestParts<'r>,
        body: RequestBody<'r, R>,
    ) -> Result<Self, Failure> {
        let length = body.content_length();
        if length > MAX_BODY {
            session.connection.stop_reading();
            return Err(TOO_LONG);
        }
        let place = session.worker.jobs.reserve().ok_or(QUEUE_FULL)?;
        let mut text = Vec::new();
        text.try_reserve_exact(length).map_err(|_| QUEUE_FULL)?;
        text.resize(length, 0);
        body.reader()
            .read_exact(&mut text)
            .await
            .map_err(|_| CUT_SHORT)?;
        Ok(Upload { text, place })
    }
}

/// Takes a job in.
pub async fn submit(
    State(session): State<Session>,
    upload: Upload,
) -> Result<impl IntoResponse, Failure> {
    let job = session
        .worker
        .jobs
        .submit(upload.text, upload.place)
        .ok_or(QUEUE_FULL)?;
    Ok(Response::new(StatusCode::new(202), format!("{job}\n"))
        .with_content_type("application/json")
        .with_header("Location", format!("/jobs/{}", job.id)))
}

/// Says where a job stands.
pub async fn state(
    id: JobId,
    State(session): State<Session>,
) -> Result<impl IntoResponse, Failure> {
    let job = session.worker.jobs.get(id).ok_or(NOT_FOUND)?;
    Ok(Response::ok(format!("{job}\n")).with_content_type("application/json"))
}
