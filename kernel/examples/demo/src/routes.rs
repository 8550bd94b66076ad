//! Which request goes where.

use picoserve::Router;
use picoserve::extract::State;
use picoserve::response::{IntoResponse, Response};
use picoserve::routing::{PathRouter, get, parse_path_segment, post};

use crate::http::Session;
use crate::http::check::Check;
use crate::jobs::JobId;
use crate::{disk_routes, job_routes, metrics, stats};

/// The page, whole: it fetches nothing but `/stats.json`.
const PAGE: &str = include_str!("page.html");

/// The routes, for one connection.
pub fn router(session: Session) -> Router<impl PathRouter> {
    let disk = ("/disk", parse_path_segment::<usize>());
    let disk_digest = ("/disk", parse_path_segment::<usize>(), "/sha256");
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(prometheus))
        .route("/stats.json", get(stats_json))
        .route(disk, get(disk_routes::bytes))
        .route(disk_digest, get(disk_routes::digest))
        .route("/jobs", post(job_routes::submit))
        .route(
            ("/jobs", parse_path_segment::<JobId>()),
            get(job_routes::state),
        )
        .layer(Check)
        .with_state(session)
}

async fn page() -> impl IntoResponse {
    Response::ok(PAGE).with_content_type("text/html; charset=utf-8")
}

async fn prometheus(State(session): State<Session>) -> impl IntoResponse {
    let text = metrics::prometheus(&stats::families(&session.worker));
    Response::ok(text).with_content_type(metrics::PROMETHEUS_TYPE)
}

async fn stats_json(State(session): State<Session>) -> impl IntoResponse {
    let text = metrics::json(&stats::families(&session.worker));
    Response::ok(text)
        .with_content_type("application/json")
        .with_header("Cache-Control", "no-store")
}
