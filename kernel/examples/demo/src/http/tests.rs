//! The whole server over two network stacks on a perfect wire, in virtual time.

extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;

use ukernel::task::JoinHandle;
use ukernel::testing::Machine;

use super::*;
use crate::job_queue::MAX_BODY;
use crate::settings::Settings;
use crate::shares::{HTTP_BYTES, MAX_JOBS_QUEUED};

/// A server that runs, on a machine for tests.
struct Bed<'a> {
    machine: &'a Machine,
    worker: Rc<Worker>,
    server: JoinHandle<Result>,
}

fn test(connections: usize, body: impl AsyncFnOnce(Bed<'_>)) {
    let machine = Machine::new();
    let ctx = machine.context();
    let settings = Settings {
        connections: Some(connections),
        ..Settings::default()
    };
    let worker = Rc::new(Worker::new(ctx.clone(), &settings));
    let server = ctx.spawn(serve(worker.clone()));
    machine.block_on(body(Bed {
        machine: &machine,
        worker,
        server,
    }));
}

impl Bed<'_> {
    async fn connect(&self) -> TcpStream {
        let address = self.machine.address(PORT);
        TcpStream::connect(self.machine.peer(), address)
            .await
            .unwrap()
    }

    /// Sends `request` on a connection of its own and reads until the server closes it.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Reads one answer with a Content-Length, and nothing behind it.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    let mut length = None;
    loop {
        assert_eq!(
            stream.read(&mut byte).await.unwrap(),
            1,
            "the answer ends early: {text}"
        );
        text.push(char::from(byte[0]));
        if length.is_none() && text.ends_with("\r\n\r\n") {
            let head = text.to_ascii_lowercase();
            let value = head.split("content-length: ").nth(1).unwrap();
            length = Some(text.len() + value.lines().next().unwrap().parse::<usize>().unwrap());
        }
        if length == Some(text.len()) {
            return text;
        }
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn get(path: &str) -> String {
    std::format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn get_and_close(path: &str) -> String {
    std::format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

fn post(length: usize, text: &str) -> String {
    std::format!("POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{text}")
}

#[test]
fn every_page_answers_on_one_connection() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        for (path, kind, part) in [
            ("/healthz", "text/plain", "ok"),
            ("/", "text/html; charset=utf-8", "/stats.json"),
            (
                "/metrics",
                "text/plain; version=0.0.4",
                "# TYPE ukernel_polls_total counter\n",
            ),
            ("/stats.json", "application/json", "\"http_connections\":1"),
        ] {
            stream.write_all(get(path).as_bytes()).await.unwrap();
            let answer = read_answer(&mut stream).await;
            assert_eq!(status(&answer), "200", "{path}");
            assert!(
                answer.contains(&std::format!("Content-Type: {kind}")),
                "{answer}"
            );
            assert!(body(&answer).contains(part), "{answer}");
        }
        assert_eq!(bed.worker.requests.get(), 4);
    });
}

#[test]
fn requests_may_come_together_or_in_pieces() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        let three = get("/healthz").repeat(3);
        stream.write_all(three.as_bytes()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(body(&read_answer(&mut stream).await), "ok\n");
        }
        for byte in get("/healthz").as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            bed.worker.ctx.clock().sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(body(&read_answer(&mut stream).await), "ok\n");
    });
}

#[test]
fn a_body_is_not_the_next_request() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        let text = get("/nowhere");
        stream
            .write_all((post(text.len(), &text) + &get("/healthz")).as_bytes())
            .await
            .unwrap();
        assert_eq!(status(&read_answer(&mut stream).await), "202");
        assert_eq!(body(&read_answer(&mut stream).await), "ok\n");
    });
}

#[test]
fn what_does_not_exist_is_said_so() {
    test(10, async |bed| {
        for (path, expected) in [
            ("/nowhere", "404"),
            ("/disk/0", "404"),
            ("/disk/0/sha256", "404"),
            ("/disk/x", "404"),
            ("/disk/0?offset=x", "400"),
            ("/jobs/1", "404"),
            ("/jobs", "405"),
        ] {
            let answer = bed.exchange(&get_and_close(path)).await;
            assert_eq!(status(&answer), expected, "{path}: {answer}");
        }
    });
}

#[test]
fn malformed_requests_are_refused_and_the_connection_is_closed() {
    const HOST: &str = "Host: x\r\n";
    test(10, async |bed| {
        for (request, expected) in [
            ("\r\n\r\n".to_string(), "400"),
            ("nonsense\r\n\r\n".to_string(), "400"),
            (std::format!("GET / HTTP/1.1 x\r\n{HOST}\r\n"), "400"),
            (std::format!("GET / XTTP/1.1\r\n{HOST}\r\n"), "400"),
            (std::format!("GET / HTTP/2.0\r\n{HOST}\r\n"), "505"),
            (std::format!("G@T / HTTP/1.1\r\n{HOST}\r\n"), "400"),
            (std::format!("GET nowhere HTTP/1.1\r\n{HOST}\r\n"), "400"),
            ("GET / HTTP/1.1\r\n\r\n".to_string(), "400"),
            (std::format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n"), "400"),
            (
                std::format!("GET / HTTP/1.1\r\n{HOST}no colon\r\n\r\n"),
                "400",
            ),
            (
                std::format!("GET / HTTP/1.1\r\n{HOST}a b: c\r\n\r\n"),
                "400",
            ),
            (
                std::format!("GET / HTTP/1.1\r\n{HOST}a: b\x01c\r\n\r\n"),
                "400",
            ),
            (
                std::format!("GET / HTTP/1.1\r\n{HOST}a: {}\r\n\r\n", "x".repeat(5000)),
                "400",
            ),
            (
                std::format!("POST /jobs HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\nx"),
                "400",
            ),
            (
                std::format!("POST /jobs HTTP/1.1\r\n{HOST}Content-Length: 1, 1\r\n\r\nx"),
                "400",
            ),
            (
                std::format!(
                    "POST /jobs HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"
                ),
                "400",
            ),
            (
                std::format!(
                    "POST /jobs HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{}",
                    get("/healthz")
                ),
                "501",
            ),
        ] {
            let answer = bed.exchange(&request).await;
            assert_eq!(status(&answer), expected, "{request:?}: {answer}");
            assert!(answer.contains("onnection: close"), "{answer}");
            assert_eq!(
                answer.matches("HTTP/1.1 ").count(),
                1,
                "one answer: {answer}"
            );
        }
    });
}

#[test]
fn a_slow_client_does_not_keep_its_connection() {
    test(1, async |bed| {
        let mut slow = bed.connect().await;
        slow.write_all(b"GET / HTT").await.unwrap();
        // There is one slot, so this waits until the slow client has lost it.
        let started = bed.worker.ctx.clock().now();
        assert_eq!(
            status(&bed.exchange(&get_and_close("/healthz")).await),
            "200"
        );
        let waited = bed.worker.ctx.clock().now() - started;
        assert!(
            waited >= Duration::from_secs(10) && waited < Duration::from_secs(13),
            "{waited:?}"
        );
        // Nor does one that says nothing, but it may wait longer.
        let mut silent = bed.connect().await;
        assert_eq!(read_to_end(&mut silent).await, "");
    });
}

#[test]
fn a_client_that_waits_for_the_word_gets_it() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        let head =
            "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut word = [0; 25];
        embedded_io_async::Read::read_exact(&mut stream, &mut word)
            .await
            .unwrap();
        assert_eq!(word, *b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"a b").await.unwrap();
        assert_eq!(status(&read_answer(&mut stream).await), "202");
    });
}

#[test]
fn a_job_is_counted_and_digested() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        stream
            .write_all(post(11, "one two abc").as_bytes())
            .await
            .unwrap();
        let answer = read_answer(&mut stream).await;
        assert_eq!(status(&answer), "202");
        assert!(answer.contains("Location: /jobs/1\r\n"), "{answer}");
        bed.worker.ctx.clock().sleep(Duration::from_secs(1)).await;
        stream.write_all(get("/jobs/1").as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(body(&answer).starts_with(r#"{"id":1,"state":"done","bytes":11,"words":3,"#));
    });
}

#[test]
fn uploads_beyond_the_queue_are_put_off() {
    test(MAX_JOBS_QUEUED + 10, async |bed| {
        // Bodies that do not come: each holds its place.
        let mut waiting = Vec::new();
        for _ in 0..MAX_JOBS_QUEUED {
            let mut stream = bed.connect().await;
            stream.write_all(post(5, "").as_bytes()).await.unwrap();
            waiting.push(stream);
        }
        bed.worker.ctx.clock().sleep(Duration::from_secs(1)).await;
        let mut late = bed.connect().await;
        late.write_all(post(1, "x").as_bytes()).await.unwrap();
        let answer = read_answer(&mut late).await;
        assert_eq!(status(&answer), "503");
        assert!(answer.contains("Retry-After: 1\r\n"), "{answer}");
        for stream in &mut waiting {
            stream.write_all(b"hello").await.unwrap();
            assert_eq!(status(&read_answer(stream).await), "202");
        }
        late.write_all(post(1, "x").as_bytes()).await.unwrap();
        assert_eq!(status(&read_answer(&mut late).await), "202");
        assert_eq!(bed.worker.jobs.counts().refused, 1);
    });
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        let started = bed.worker.ctx.clock().now();
        let request = post(MAX_BODY + 1, "the beginning of it");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(status(&answer), "413");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        let took = bed.worker.ctx.clock().now() - started;
        assert!(took < Duration::from_secs(1), "{took:?}");
        // Nor is the client told to send it.
        let expecting = request.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(status(&bed.exchange(&expecting).await), "413");
    });
}

/// A request whose body nobody wants, and who says so.
fn unwanted(request: &str, length: usize, text: &str) -> String {
    std::format!("{request} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{text}")
}

#[test]
fn a_body_that_nobody_wants_is_not_waited_for() {
    test(10, async |bed| {
        for (request, expected, header) in [
            ("POST /nowhere", "404", ""),
            ("POST /healthz", "405", "Allow: GET, HEAD\r\n"),
            ("DELETE /jobs", "405", "Allow: POST\r\n"),
            ("GET /healthz", "200", ""),
        ] {
            let started = bed.worker.ctx.clock().now();
            let answer = bed.exchange(&unwanted(request, 100_000, "the first")).await;
            let took = bed.worker.ctx.clock().now() - started;
            assert_eq!(status(&answer), expected, "{request}: {answer}");
            assert!(took < Duration::from_secs(1), "{request}: {took:?}");
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            assert!(answer.contains(header), "{answer}");
        }
    });
}

#[test]
fn a_body_that_nobody_wants_but_is_there_costs_nothing() {
    test(10, async |bed| {
        let mut stream = bed.connect().await;
        let text = "x".repeat(500);
        for request in ["POST /nowhere", "GET /healthz", "POST /healthz"] {
            let together = unwanted(request, text.len(), &text) + &get("/metrics");
            stream.write_all(together.as_bytes()).await.unwrap();
            let answer = read_answer(&mut stream).await;
            assert!(!answer.contains("Connection: close"), "{answer}");
            assert!(body(&read_answer(&mut stream).await).contains("ukernel_"));
        }
    });
}

#[test]
fn a_longer_one_that_is_there_costs_nothing_either() {
    test(1, async |bed| {
        // While this connection has the only slot, all of the other's request arrives: more than
        // picoserve's buffer holds.
        let mut first = bed.connect().await;
        first.write_all(get("/healthz").as_bytes()).await.unwrap();
        read_answer(&mut first).await;
        let mut second = bed.connect().await;
        let length = REQUEST_BYTES + 1000;
        let request = unwanted("POST /nowhere", length, &"x".repeat(length)) + &get("/healthz");
        second.write_all(request.as_bytes()).await.unwrap();
        bed.worker.ctx.clock().sleep(Duration::from_secs(1)).await;
        drop(first);
        let answer = read_answer(&mut second).await;
        assert_eq!(status(&answer), "404");
        assert!(!answer.contains("Connection: close"), "{answer}");
        assert_eq!(body(&read_answer(&mut second).await), "ok\n");
    });
}

/// Closing with unread data resets the connection, and a reset may overtake the answer.
#[test]
fn who_sends_all_before_reading_gets_the_answer() {
    test(10, async |bed| {
        let answer = bed
            .exchange(&unwanted("POST /nowhere", 60_000, &"x".repeat(60_000)))
            .await;
        assert_eq!(status(&answer), "404");
        assert_eq!(body(&answer), "there is no such page\n");
    });
}

/// A head that fills picoserve's buffer leaves it no room to throw the body away.
#[test]
fn a_body_behind_a_head_of_any_length_is_not_the_next_request() {
    test(10, async |bed| {
        let smuggled = get("/healthz");
        let head = unwanted("POST /nowhere", smuggled.len(), "");
        for length in REQUEST_BYTES - 3..=REQUEST_BYTES {
            let filler = std::format!("a: {}\r\n\r\n", "x".repeat(length - head.len() - 5));
            let head = head.strip_suffix("\r\n").unwrap();
            let answer = bed
                .exchange(&(std::format!("{head}{filler}") + &smuggled + &get_and_close("/")))
                .await;
            assert_eq!(status(&answer), "404", "{length}");
            assert!(!answer.contains("ok\n"), "{length}: {answer}");
        }
    });
}

#[test]
fn a_reset_is_noticed_without_an_answer() {
    test(10, async |bed| {
        let clock = bed.worker.ctx.clock();
        let options = ListenOptions::default();
        let listener = TcpListener::bind(bed.worker.ctx.network().unwrap(), 1, options).unwrap();
        let address = bed.machine.address(1);
        let client = TcpStream::connect(bed.machine.peer(), address).await;
        let connection = Connection::new(listener.accept().await.0);
        assert!(!connection.is_lost().await);
        client.unwrap().abort();
        clock.sleep(Duration::from_secs(1)).await;
        assert!(connection.is_lost().await);
    });
}

#[test]
fn a_request_under_way_is_finished_before_the_server_stops() {
    test(10, async |bed| {
        let mut busy = bed.connect().await;
        busy.write_all(post(5, "").as_bytes()).await.unwrap();
        let mut idle = bed.connect().await;
        bed.worker.ctx.clock().sleep(Duration::from_secs(1)).await;
        bed.machine.request_shutdown();
        assert_eq!(
            read_to_end(&mut idle).await,
            "",
            "an idle connection is closed"
        );
        busy.write_all(b"hello").await.unwrap();
        assert_eq!(status(&read_answer(&mut busy).await), "202");
        drop((busy, idle));
        bed.server.await.unwrap().unwrap();
        assert_eq!(bed.worker.connections.get(), 0);
        let address = bed.machine.address(PORT);
        assert!(
            TcpStream::connect(bed.machine.peer(), address)
                .await
                .is_err(),
            "nobody listens"
        );
    });
}

/// What is left of a connection's share is for the text of an answer.
#[test]
fn a_connection_takes_no_more_than_half_of_its_share() {
    test(1, async |bed| {
        let stream = bed.connect().await;
        let slot = Rc::new(Semaphore::new(1)).acquire_owned(1).await.unwrap();
        let connection = serve_connection(bed.worker.clone(), stream, slot);
        let bytes = size_of_val(&connection);
        assert!(bytes <= HTTP_BYTES * 5 / 8, "{bytes} bytes");
    });
}
