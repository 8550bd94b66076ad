//! The demo's page as a person sees it, in a browser.

use std::process::Command;
use std::{fs, io};

use system_tests::browser::Browser;
use system_tests::demo::{Demo, demo_config};
use system_tests::guest::repository;
use system_tests::skip::skip;

/// A phone and a desktop.
const SIZES: [(u32, u32); 2] = [(390, 844), (1280, 800)];

/// Resolves to what is drawn, once the page has had time for a few rounds of figures.
const DRAWN_AFTER: &str = "new Promise(done => setTimeout(() => done(
    [...document.querySelectorAll('canvas')].map(c => c.toDataURL()).join() +
    [...document.querySelectorAll('svg')].map(s => s.outerHTML).join()), 4000))";

#[test]
#[ignore = "long: needs a browser"]
fn the_page_lives_and_fits() {
    for (width, height) in SIZES {
        let Some(mut browser) = Browser::start(width, height).unwrap() else {
            return skip("the page in a browser", "no Chromium is installed");
        };
        let demo = Demo::boot(demo_config());
        let origin = format!("http://{}/", demo.http);
        browser.open(&origin).unwrap();
        let first = browser.evaluate(DRAWN_AFTER).unwrap();
        let later = browser.evaluate(DRAWN_AFTER).unwrap();
        assert!(
            first.as_str().is_some_and(|drawn| drawn.len() > 1000),
            "nothing is drawn"
        );
        assert_ne!(first, later, "the charts stand still");
        let overflow = "document.documentElement.scrollWidth - window.innerWidth";
        let overflow = browser.evaluate(overflow).unwrap().as_f64().unwrap();
        assert!(overflow <= 0.0, "{overflow} pixels too wide for {width}");
        let elsewhere: Vec<_> = browser
            .fetched
            .iter()
            .filter(|url| !url.starts_with(&origin))
            .collect();
        assert!(
            elsewhere.is_empty(),
            "fetched from elsewhere: {elsewhere:?}"
        );
        assert!(
            browser.fetched.len() > 2,
            "the page does not refresh: {:?}",
            browser.fetched
        );
        keep(&browser.screenshot().unwrap(), width).unwrap();
    }
}

/// Keeps the picture for a person to look at.
fn keep(base64: &str, width: u32) -> io::Result<()> {
    let folder = repository().join("build");
    fs::create_dir_all(&folder)?;
    let encoded = tempfile::NamedTempFile::new()?;
    fs::write(encoded.path(), base64)?;
    let picture = Command::new("base64")
        .arg("-d")
        .arg(encoded.path())
        .output()?
        .stdout;
    assert!(picture.starts_with(b"\x89PNG"), "no picture");
    fs::write(folder.join(format!("page-{width}.png")), picture)
}
