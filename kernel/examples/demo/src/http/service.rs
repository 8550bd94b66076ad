//! From a request to its answer.

use core::time::Duration;

use picoserve::ResponseSent;
use picoserve::io::{BaseWrite, Read};
use picoserve::request::{Path, Request, RequestBody, RequestParts};
use picoserve::response::{IntoResponse, ResponseWriter};
use picoserve::routing::PathRouterService;

use super::{Session, check};
use crate::answer::{Answer, Body};
use crate::route::Route;
use crate::{disk_answer, job_answer, metrics, stats};

/// The page, whole: it fetches nothing but `/stats.json`.
const PAGE: &str = include_str!("../page.html");
/// The word that a client may wait for before it sends a body (RFC 9110, section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// How long that may take; a client that takes no answers leaves no room for it.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(30);

impl PathRouterService for Session {
    async fn call_path_router_service<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        _state: &(),
        _parameters: (),
        _path: Path<'_>,
        mut request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let mut answer = self
            .answer(request.parts, request.body_connection.body())
            .await;
        // A body that nobody read is thrown away if it is there, and not waited for if it is not.
        self.connection.stop_waiting();
        let connection = request.body_connection.finalize().await?;
        if !self.connection.wait_again() {
            answer = answer.last();
        }
        let last = answer.is_last();
        let sent = answer.into_response().write_to(connection, writer).await?;
        if last {
            self.connection.finish();
        }
        Ok(sent)
    }
}

impl Session {
    async fn answer<R: Read>(&self, parts: RequestParts<'_>, body: RequestBody<'_, R>) -> Answer {
        self.worker.count_request();
        if self.connection.is_finished() {
            // What was left in picoserve's buffer behind the last answer; this one goes nowhere.
            return Answer::problem(400, "the connection has ended");
        }
        if let Err((status, problem)) = check::check(&parts) {
            return Answer::problem(status, problem).last();
        }
        let answer = self
            .route(parts, body)
            .await
            .unwrap_or_else(|problem| problem);
        if parts.method() == "HEAD" {
            answer.without_body()
        } else {
            answer
        }
    }

    async fn route<R: Read>(
        &self,
        parts: RequestParts<'_>,
        body: RequestBody<'_, R>,
    ) -> Result<Answer, Answer> {
        let route = Route::parse(parts.path().encoded());
        let route = route.ok_or_else(|| Answer::problem(404, "there is no such page"))?;
        if !route.allows(parts.method()) {
            let problem = Answer::problem(405, "the method makes no sense here");
            return Err(problem.with_header("Allow", route.methods()));
        }
        let query = parts.query().map_or("", |query| query.0);
        match route {
            Route::Page => Ok(Answer::ok("text/html; charset=utf-8", Body::Static(PAGE))),
            Route::Health => Ok(Answer::text("ok\n")),
            Route::Metrics => Ok(self.metrics()),
            Route::Stats => Ok(self.stats()),
            Route::Disk(number) => disk_answer::bytes(self, number, query).await,
            Route::DiskDigest(number) => disk_answer::digest(self, number, query).await,
            Route::Job(id) => job_answer::state(self, id),
            Route::Jobs => {
                job_answer::check_length(body.content_length())?;
                self.say_continue(&parts).await;
                job_answer::submit(self, body).await
            }
        }
    }

    fn metrics(&self) -> Answer {
        let text = metrics::prometheus(&stats::families(&self.worker));
        Answer::ok(metrics::PROMETHEUS_TYPE, Body::Text(text))
    }

    fn stats(&self) -> Answer {
        let text = metrics::json(&stats::families(&self.worker));
        let answer = Answer::ok("application/json", Body::Text(text));
        answer.with_header("Cache-Control", "no-store")
    }

    /// Tells a client that waits for it to send the body. If that fails, so does reading the body.
    async fn say_continue(&self, parts: &RequestParts<'_>) {
        let expected = parts
            .headers()
            .get("expect")
            .is_some_and(|value| value == "100-continue");
        if expected && parts.http_version() == "HTTP/1.1" {
            let clock = self.worker.ctx.clock();
            let mut connection = self.connection.clone();
            let written = clock.timeout(CONTINUE_TIMEOUT, connection.write_all(CONTINUE));
            if written.await.is_err() {
                self.connection.cut();
            }
        }
    }
}
