//! Which request is for what. Pure.

use crate::jobs::JobId;
use crate::number::decimal;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/`
    Page,
    /// `/healthz`
    Health,
    /// `/metrics`
    Metrics,
    /// `/stats.json`
    Stats,
    /// `/disk/{n}`
    Disk(usize),
    /// `/disk/{n}/sha256`
    DiskDigest(usize),
    /// `/jobs`
    Jobs,
    /// `/jobs/{id}`
    Job(JobId),
}

impl Route {
    /// Reads a path, from its slash to before its query. `None` if it names nothing.
    pub fn parse(path: &str) -> Option<Route> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let first = segments.next()?;
        let rest = [segments.next(), segments.next(), segments.next()];
        Some(match (first, rest) {
            ("", [None, ..]) => Route::Page,
            ("healthz", [None, ..]) => Route::Health,
            ("metrics", [None, ..]) => Route::Metrics,
            ("stats.json", [None, ..]) => Route::Stats,
            ("disk", [Some(number), None, ..]) => Route::Disk(decimal(number)? as usize),
            ("disk", [Some(number), Some("sha256"), None]) => {
                Route::DiskDigest(decimal(number)? as usize)
            }
            ("jobs", [None, ..]) => Route::Jobs,
            ("jobs", [Some(id), None, ..]) => Route::Job(decimal(id)?),
            _ => return None,
        })
    }

    /// The methods that make sense, as the `Allow` header lists them.
    pub fn methods(self) -> &'static str {
        match self {
            Route::Jobs => "POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether `method` is one of them.
    pub fn allows(self, method: &str) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_interface_is_known() {
        for (path, route) in [
            ("/", Route::Page),
            ("/healthz", Route::Health),
            ("/metrics", Route::Metrics),
            ("/stats.json", Route::Stats),
            ("/disk/0", Route::Disk(0)),
            ("/disk/12/sha256", Route::DiskDigest(12)),
            ("/jobs", Route::Jobs),
            ("/jobs/7", Route::Job(7)),
        ] {
            assert_eq!(Route::parse(path), Some(route), "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "",
            "healthz",
            "//",
            "/healthz/",
            "/disk",
            "/disk/",
            "/disk/x",
            "/disk/-1",
            "/disk/+1",
            "/disk/0/sha1",
            "/disk/0/sha256/",
            "/jobs/",
            "/jobs/1/2",
            "/Jobs",
            "/%6aobs",
            "/jobs/18446744073709551616",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }

    #[test]
    fn methods_are_matched_whole() {
        assert!(Route::Page.allows("GET") && Route::Page.allows("HEAD"));
        assert!(
            !Route::Page.allows("GET,") && !Route::Page.allows("") && !Route::Page.allows("POST")
        );
        assert!(Route::Jobs.allows("POST") && !Route::Jobs.allows("GET"));
    }
}
