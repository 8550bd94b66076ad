//! The pages: which path is answered with what.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;

use picoserve::Router;
use picoserve::routing::{PathRouter, get, parse_path_segment};
use ukernel::Context;

/// The media type of a page.
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");

/// What the pages know.
pub(crate) struct Site {
    greeting: &'static str,
    requests: Cell<u64>,
}

impl Site {
    pub(crate) fn new(ctx: &Context) -> Site {
        Site {
            greeting: ctx.variable("GREETING").unwrap_or("Hello"),
            requests: Cell::new(0),
        }
    }

    /// Requests answered since the start.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    fn index(&self) -> String {
        self.requests.set(self.requests.get() + 1);
        format!(
            "<!doctype html>\n<title>{{name}}</title>\n<h1>{}</h1>\n<p>Page {} of this machine.</p>\n",
            escaped(self.greeting),
            self.requests.get()
        )
    }

    fn hello(&self, name: &str) -> String {
        self.requests.set(self.requests.get() + 1);
        format!("<!doctype html>\n<p>Hello, {}.</p>\n", escaped(name))
    }
}

/// The routes of one connection.
pub(crate) fn router(site: Rc<Site>) -> Router<impl PathRouter> {
    let hello = site.clone();
    Router::new()
        .route("/", get(async move || (HTML, site.index())))
        .route(
            ("/hello", parse_path_segment::<String>()),
            get(async move |name: String| (HTML, hello.hello(&name))),
        )
        .route("/healthz", get(async || "ok\n"))
}

/// Text as it stands in a page: whatever comes from outside goes through here.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text() {
        assert_eq!(escaped("<b> & \"c\""), "&lt;b&gt; &amp; &quot;c&quot;");
    }
}
