//! The demo's HTTP server: every endpoint, well-formed and malformed requests, many connections.

use std::thread;

use system_tests::client::IO_TIMEOUT;
use system_tests::demo::{Demo, demo_config};
use system_tests::http::{Connection, post};
use system_tests::image::sha256;
use system_tests::load::get_over_many;

/// How many jobs the demo's queue holds, and the longest body (its `job_queue.rs`).
const JOB_PLACES: usize = 16;
const MAX_JOB: usize = 64 * 1024;

fn boot() -> Demo {
    Demo::boot(demo_config())
}

#[test]
fn every_endpoint_answers() {
    let demo = boot();
    demo.expect_healthy();
    let page = demo.get_ok("/");
    assert!(page.field("content-type").unwrap().starts_with("text/html"));
    // The name of SVG's XML namespace looks like an address, but nothing fetches it.
    let text = page.text().replace("http://www.w3.org/2000/svg", "");
    for elsewhere in ["http://", "https://", "src=\"//", "url(//", "@import"] {
        assert!(!text.contains(elsewhere), "the page has {elsewhere}");
    }
    let metrics = demo.get_ok("/metrics");
    assert!(
        metrics
            .field("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    check_prometheus(metrics.text());
    assert_eq!(demo.get("/nothing").unwrap().status, 404);
    assert_eq!(demo.get("/disk/0").unwrap().status, 404, "there is no disk");
    demo.stop_and_expect_success();
}

/// Every sample is a number, and its family was announced with a type.
fn check_prometheus(text: &str) {
    let mut samples = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("no sample: {line}"));
        let family = name.split_once('{').map_or(name, |(family, _)| family);
        assert!(
            text.contains(&format!("# TYPE {family} ")),
            "{family} has no type"
        );
        value
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("no number: {line}"));
        samples += 1;
    }
    assert!(samples > 10, "only {samples} samples");
}

#[test]
fn requests_may_share_a_segment_and_come_in_pieces() {
    let demo = boot();
    let mut connection = Connection::open(demo.http).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    connection.send(&request.repeat(3)).unwrap();
    for _ in 0..3 {
        assert_eq!(connection.read_response().unwrap().text(), "ok\n");
    }
    for byte in request {
        connection.send(&[*byte]).unwrap();
    }
    assert_eq!(connection.read_response().unwrap().text(), "ok\n");
}

#[test]
fn malformed_requests_are_errors_for_their_sender_alone() {
    let demo = boot();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    let requests: [&[u8]; 8] = [
        b"\r\n\r\n\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"\x00\x01\x02\xff\xfe GET / HTTP/1.1\r\n\r\n",
        long.as_bytes(),
    ];
    for request in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let mut connection = Connection::open(demo.http).unwrap();
        // The server may have answered and gone before it has read all.
        let sent = connection.send(request);
        match (sent, connection.read_response()) {
            (_, Ok(response)) => assert!(response.status >= 400, "{shown}: {}", response.status),
            (_, Err(error)) => assert!(
                matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ),
                "{shown}: {error}"
            ),
        }
        demo.expect_healthy();
    }
    for path in [
        "/disk/x",
        "/disk/0?offset=x",
        "/disk/99999999999999999999",
        "/jobs/-1",
    ] {
        let status = demo.get(path).unwrap().status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

fn serve_connections(connections: usize, rounds: usize) {
    let demo = boot();
    let report = get_over_many(demo.http, "/healthz", connections, rounds).expect("all are served");
    assert_eq!(report.answers, connections * rounds);
    demo.expect_healthy();
    demo.stop_and_expect_success();
}

#[test]
fn one_connection_is_served() {
    serve_connections(1, 500);
}

#[test]
fn a_hundred_connections_are_served() {
    serve_connections(100, 20);
}

#[test]
fn a_thousand_connections_are_served() {
    serve_connections(1000, 3);
}

#[test]
fn a_silent_client_keeps_nobody_waiting_and_is_shown_out() {
    let demo = boot();
    let mut silent: Vec<Connection> = (0..50)
        .map(|n| {
            let mut connection = Connection::open(demo.http).unwrap();
            connection
                .send(&b"GET /healthz HTTP/1.1\r\nHost: a\r\n"[..n % 30])
                .unwrap();
            demo.expect_healthy(); // by now the one before it has been taken up
            connection
        })
        .collect();
    let report = get_over_many(demo.http, "/healthz", 10, 20).unwrap();
    assert_eq!(report.answers, 200);
    for connection in &mut silent {
        let shown_out = match connection.read_response() {
            Ok(response) => response.status >= 400,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        assert!(
            shown_out,
            "a silent client is still connected after {IO_TIMEOUT:?}"
        );
    }
    demo.expect_healthy();
}

#[test]
fn jobs_are_computed() {
    let demo = boot();
    let text = "one two  three\nfour ".repeat(1000);
    let accepted = post(demo.http, "/jobs", text.as_bytes()).unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let place = accepted
        .field("location")
        .expect("where to ask")
        .to_string();
    let done = loop {
        let state = demo.get_ok(&place);
        if state.text().contains("\"done\"") {
            break state;
        }
    };
    let digest = sha256(text.as_bytes());
    for part in [
        "\"words\":4000",
        &format!("\"bytes\":{}", text.len()),
        &digest,
    ] {
        assert!(
            done.text().contains(part),
            "{part} is not in {}",
            done.text()
        );
    }
    assert_eq!(demo.get("/jobs/12345").unwrap().status, 404);
    assert_eq!(
        post(demo.http, "/jobs", &vec![0; MAX_JOB + 1])
            .unwrap()
            .status,
        413
    );
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let demo = boot();
    // Uploads that do not finish hold their places.
    let head = format!("POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_JOB}\r\n\r\n");
    let mut uploads: Vec<Connection> = (0..JOB_PLACES)
        .map(|_| {
            let mut upload = Connection::open(demo.http).unwrap();
            upload.send(head.as_bytes()).unwrap();
            demo.expect_healthy(); // by now the one before it has been taken up
            upload
        })
        .collect();
    // Until the last of them has its place, a job is taken.
    let refused = loop {
        let response = post(demo.http, "/jobs", b"a b").unwrap();
        if response.status != 202 {
            break response;
        }
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    let seconds: u32 = refused.field("retry-after").expect("when").parse().unwrap();
    assert!(seconds > 0);
    thread::scope(|scope| {
        for upload in &mut uploads {
            scope.spawn(|| upload.send(&vec![b'x'; MAX_JOB]).unwrap());
        }
    });
    for upload in &mut uploads {
        assert_eq!(upload.read_response().unwrap().status, 202);
    }
    assert!(demo.metric("ukernel_jobs_refused_total") >= 1.0);
}
