//! A headless Chromium that looks at one page, over the DevTools protocol.

use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use crate::client::{IO_TIMEOUT, connect};

/// Names under which distributions install it.
const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page; ends when it is dropped.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    next_id: u64,
    /// Every address that was fetched.
    pub fetched: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty page of the given size; `None`: there is no browser here.
    ///
    /// # Errors
    /// It is there but cannot be spoken to.
    pub fn start(width: u32, height: u32) -> io::Result<Option<Browser>> {
        let profile = tempfile::tempdir()?;
        for program in PROGRAMS {
            match spawn(program, profile.path()) {
                Ok(child) => return Browser::attach(child, profile, width, height).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn attach(mut child: Child, profile: TempDir, width: u32, height: u32) -> io::Result<Browser> {
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| io::Error::other("no standard error"))?;
        let url = debugging_url(BufReader::new(stderr))?;
        let host = url
            .trim_start_matches("ws://")
            .split('/')
            .next()
            .unwrap_or_default();
        let stream = connect(host.parse().map_err(io::Error::other)?)?;
        let (socket, _) = tungstenite::client(&url, stream).map_err(io::Error::other)?;
        let session = String::new();
        let mut browser = Browser {
            child,
            socket,
            session,
            next_id: 0,
            fetched: Vec::new(),
            _profile: profile,
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", target)?;
        browser.session = attached["sessionId"]
            .as_str()
            .unwrap_or_default()
            .to_string();
        for domain in ["Network.enable", "Page.enable"] {
            browser.call(domain, json!({}))?;
        }
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        browser.call("Emulation.setDeviceMetricsOverride", size)?;
        Ok(browser)
    }

    /// Opens an address. Does not wait for it to load.
    ///
    /// # Errors
    /// The browser does not answer or refuses.
    pub fn open(&mut self, url: &str) -> io::Result<()> {
        self.call("Page.navigate", json!({ "url": url })).map(drop)
    }

    /// Evaluates an expression in the page, waits for it if it is a promise, and returns its value.
    ///
    /// # Errors
    /// The browser does not answer, or the expression throws.
    pub fn evaluate(&mut self, expression: &str) -> io::Result<Value> {
        let arguments =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", arguments)?;
        match result.get("exceptionDetails") {
            Some(exception) => Err(io::Error::other(exception.to_string())),
            None => Ok(result["result"]["value"].clone()),
        }
    }

    /// A picture of the page as PNG, in base64.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn screenshot(&mut self) -> io::Result<String> {
        let result = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        Ok(result["data"].as_str().unwrap_or_default().to_string())
    }

    fn call(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.next_id += 1;
        let mut request = json!({ "id": self.next_id, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(request.to_string()))
            .map_err(io::Error::other)?;
        loop {
            let message = self.socket.read().map_err(io::Error::other)?;
            let Message::Text(text) = message else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text)?;
            if answer["id"] == self.next_id {
                return match answer.get("error") {
                    Some(error) => Err(io::Error::other(format!("{method}: {error}"))),
                    None => Ok(answer["result"].take()),
                };
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        if event["method"] == "Network.requestWillBeSent" {
            let url = event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            self.fetched.push(url.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &str, profile: &Path) -> io::Result<Child> {
    Command::new(program)
        // The sandbox refuses to run as root, as in a container; the page is our own.
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// Chromium says where it listens, then keeps talking: somebody must keep reading.
fn debugging_url(mut stderr: impl BufRead + Send + 'static) -> io::Result<String> {
    let (found, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while matches!(stderr.read_line(&mut line), Ok(1..)) {
            if let Some(url) = line.trim_end().strip_prefix("DevTools listening on ") {
                let _ = found.send(url.to_string());
            }
            line.clear();
        }
    });
    wait.recv_timeout(IO_TIMEOUT)
        .map_err(|_| io::Error::other("Chromium does not start"))
}
