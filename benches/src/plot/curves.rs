//! Curves over the number of things that are there, both axes logarithmic.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::Area;

/// Points of a number and a cost, neither of them zero, and what they are called.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: &'a [(u64, f64)],
}

/// Pixels.
const WIDTH: u32 = 900;
const HEIGHT: u32 = 460;
const LEFT: i32 = 80;
const RIGHT: i32 = 640;
const TOP: i32 = 40;
const BOTTOM: i32 = 420;
const LINE: i32 = 15;

/// Decades that the axes reach over.
const NUMBERS: (i32, i32) = (1, 5);

/// Dark enough for a line on white.
const COLORS: [RGBColor; 8] = [
    RGBColor(198, 40, 40),
    RGBColor(239, 108, 0),
    RGBColor(46, 125, 50),
    RGBColor(0, 121, 107),
    RGBColor(2, 119, 189),
    RGBColor(48, 63, 159),
    RGBColor(123, 31, 162),
    RGBColor(93, 64, 55),
];
const PALE: RGBColor = RGBColor(210, 210, 210);

/// Draws an SVG file.
pub(crate) fn draw(path: &Path, title: &str, curves: &[Curve<'_>]) -> io::Result<()> {
    super::draw(path, (WIDTH, HEIGHT), title, |area| fill(area, curves))
}

/// Where things are.
struct Axes {
    /// Decades of the costs.
    costs: (i32, i32),
}

impl Axes {
    /// With room for every point.
    fn of(curves: &[Curve<'_>]) -> Axes {
        let costs = curves.iter().flat_map(|curve| curve.points);
        let decades: Vec<f64> = costs.map(|(_, cost)| cost.log10()).collect();
        let least = decades.iter().copied().fold(f64::INFINITY, f64::min);
        let most = decades.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Axes {
            costs: (least.floor() as i32, most.ceil() as i32),
        }
    }

    fn x(&self, number: f64) -> i32 {
        scale(number, NUMBERS, (LEFT, RIGHT))
    }

    fn y(&self, cost: f64) -> i32 {
        scale(cost, self.costs, (BOTTOM, TOP))
    }
}

/// A value between two powers of ten as a pixel between two.
fn scale(value: f64, (low, high): (i32, i32), (from, to): (i32, i32)) -> i32 {
    let share = (value.log10() - f64::from(low)) / f64::from((high - low).max(1));
    from + (share * f64::from(to - from)).round() as i32
}

fn fill(area: &Area<'_>, curves: &[Curve<'_>]) -> Result<(), Box<dyn Error>> {
    let axes = Axes::of(curves);
    grid(area, &axes)?;
    // Names stand beside the ends of their curves, but not on each other.
    let mut ends: Vec<_> = curves.iter().enumerate().collect();
    let end = |curve: &Curve<'_>| axes.y(curve.points.last().map_or(1.0, |(_, cost)| *cost));
    ends.sort_by_key(|(_, curve)| end(curve));
    let mut free = TOP - LINE;
    for (index, curve) in ends {
        let color = COLORS[index % COLORS.len()];
        let points = curve.points.iter();
        let points: Vec<_> = points
            .map(|&(number, cost)| (axes.x(number as f64), axes.y(cost)))
            .collect();
        area.draw(&PathElement::new(points.clone(), color.stroke_width(2)))?;
        for point in points {
            area.draw(&Circle::new(point, 3, color.filled()))?;
        }
        free = (free + LINE).max(end(curve) - LINE / 2);
        let name = ("sans-serif", 12).into_font().color(&color);
        area.draw(&Text::new(curve.name, (RIGHT + 12, free), name))?;
    }
    Ok(())
}

fn grid(area: &Area<'_>, axes: &Axes) -> Result<(), Box<dyn Error>> {
    let small = || ("sans-serif", 12).into_font();
    for decade in NUMBERS.0..=NUMBERS.1 {
        let number = 10_f64.powi(decade);
        let x = axes.x(number);
        area.draw(&PathElement::new(vec![(x, TOP), (x, BOTTOM)], PALE))?;
        area.draw(&Text::new(
            number.to_string(),
            (x - 10, BOTTOM + 8),
            small(),
        ))?;
    }
    for decade in axes.costs.0..=axes.costs.1 {
        let cost = 10_f64.powi(decade);
        let y = axes.y(cost);
        area.draw(&PathElement::new(vec![(LEFT, y), (RIGHT, y)], PALE))?;
        area.draw(&Text::new(cost.to_string(), (10, y - 6), small()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_points() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let points = [(10, 1000.0), (100_000, 10_000.0)];
        let curve = Curve {
            name: "wake",
            points: &points,
        };
        draw(&path, "title", &[curve]).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        let line = format!("points=\"{LEFT},{BOTTOM} {RIGHT},{TOP}");
        for text in ["wake", "title", line.as_str()] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let points = [(10, 1000.0), (100, 1000.0)];
        let curve = |name| Curve {
            name,
            points: &points,
        };
        draw(&path, "", &[curve("one"), curve("two")]).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        let y = |name| {
            let (before, _) = svg.split_once(&format!("\n{name}\n")).unwrap();
            let (_, at) = before.rsplit_once(" y=\"").unwrap();
            at.split_once('"').unwrap().0.parse::<i32>().unwrap()
        };
        assert!(y("one").abs_diff(y("two")) >= LINE as u32, "{svg}");
    }
}
