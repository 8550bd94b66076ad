//! A picture of the comparison: a bar a row, to the right where it is won and to the left where it is lost.

use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::Area;

/// A row, and by how many times it is better than the reference.
pub(crate) struct Gain {
    pub(crate) row: String,
    pub(crate) gain: f64,
}

/// Pixels.
const WIDTH: u32 = 900;
const ROW: u32 = 18;
const MARGIN: u32 = 60;
const LABELS: u32 = 330;

/// Bars that are longer, in powers of two, are cut off; their numbers stay.
const MOST: f64 = 6.0;

const WON: RGBColor = RGBColor(46, 125, 50);
const LOST: RGBColor = RGBColor(198, 40, 40);

/// Draws an SVG file.
pub(crate) fn draw(path: &Path, gains: &[Gain]) -> io::Result<()> {
    let height = MARGIN + ROW * gains.len() as u32;
    let title = "times better than a minimal Linux with tokio (logarithmic; left: worse)";
    super::draw(path, (WIDTH, height), title, |area| fill(area, gains))
}

fn fill(area: &Area<'_>, gains: &[Gain]) -> Result<(), Box<dyn std::error::Error>> {
    let small = || ("sans-serif", 12).into_font();
    let middle = LABELS as i32 + (WIDTH - LABELS) as i32 / 3;
    let scale = f64::from(WIDTH as i32 - middle - 60) / MOST;
    for (index, Gain { row, gain }) in gains.iter().enumerate() {
        let top = (MARGIN / 2 + ROW * index as u32) as i32 + 10;
        let length = (gain.log2().clamp(-MOST, MOST) * scale) as i32;
        let color = if *gain < 1.0 { LOST } else { WON };
        let ends = [(middle, top), (middle + length, top + ROW as i32 - 5)];
        area.draw(&Text::new(row.as_str(), (10, top), small()))?;
        area.draw(&Rectangle::new(ends, color.filled()))?;
        let beside = middle + length.max(0) + 5;
        area.draw(&Text::new(format!("{gain:.2}"), (beside, top), small()))?;
    }
    let bottom = (MARGIN / 2 + ROW * gains.len() as u32) as i32 + 10;
    let line = vec![(middle, (MARGIN / 2) as i32), (middle, bottom)];
    area.draw(&PathElement::new(line, BLACK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_bar_and_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let gain = |row: &str, gain| Gain {
            row: row.into(),
            gain,
        };
        draw(&path, &[gain("echo", 2.0), gain("bulk", 0.5)]).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        for text in ["echo", "bulk", "2.00", "0.50", "#2E7D32", "#C62828"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
