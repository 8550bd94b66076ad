//! `POST /jobs` and `GET /jobs/{id}`.

use alloc::format;
use alloc::vec::Vec;

use picoserve::io::Read;
use picoserve::request::RequestBody;

use crate::answer::{Answer, Body};
use crate::http::Session;
use crate::job_queue::MAX_BODY;
use crate::jobs::{Job, JobId};

/// Refuses a body that is too long; asked before the client is told to send it.
pub fn check_length(length: usize) -> Result<(), Answer> {
    if length > MAX_BODY {
        return Err(Answer::problem(413, "a job has at most 65536 bytes").last());
    }
    Ok(())
}

/// Takes a job in, whose length was checked.
pub async fn submit<R: Read>(
    session: &Session,
    body: RequestBody<'_, R>,
) -> Result<Answer, Answer> {
    let jobs = &session.worker.jobs;
    // Before the body is read, so that bodies without a place take no memory.
    let place = jobs.reserve().ok_or_else(queue_full)?;
    let text = receive(body).await?;
    let job = jobs.submit(text, place).ok_or_else(queue_full)?;
    Ok(show(job)
        .with_status(202)
        .with_header("Location", format!("/jobs/{}", job.id)))
}

async fn receive<R: Read>(body: RequestBody<'_, R>) -> Result<Vec<u8>, Answer> {
    let mut text = Vec::new();
    text.try_reserve_exact(body.content_length())
        .map_err(|_| queue_full())?;
    text.resize(body.content_length(), 0);
    let received = body.reader().read_exact(&mut text).await;
    received.map_err(|_| Answer::problem(400, "the body did not come").last())?;
    Ok(text)
}

/// Says where a job stands.
pub fn state(session: &Session, id: JobId) -> Result<Answer, Answer> {
    let job = session.worker.jobs.get(id);
    job.map(show)
        .ok_or_else(|| Answer::problem(404, "there is no such job, or it is forgotten"))
}

fn show(job: Job) -> Answer {
    Answer::ok("application/json", Body::Text(format!("{job}\n")))
}

fn queue_full() -> Answer {
    Answer::problem(503, "the queue is full").with_header("Retry-After", "1")
}
