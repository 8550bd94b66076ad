//! The pictures that BENCHMARKS.md shows, as SVG: bars that compare, curves that should be flat.

pub(crate) mod bars;
pub(crate) mod curves;

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::prelude::*;

/// What is drawn on, in pixels from the top left.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Makes a file with a white picture that has a title, and lets `fill` draw the rest.
fn draw(
    path: &Path,
    size: (u32, u32),
    title: &str,
    fill: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> io::Result<()> {
    let area = SVGBackend::new(path, size).into_drawing_area();
    let all = || {
        area.fill(&WHITE)?;
        area.draw(&Text::new(title, (10, 10), ("sans-serif", 15).into_font()))?;
        fill(&area)
    };
    all().map_err(|error| io::Error::other(error.to_string()))
}
