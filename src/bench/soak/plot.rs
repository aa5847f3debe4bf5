//! The samples of a soak as a picture: an SVG file that needs nothing else.

use std::fmt::Write as _;

use super::sample::Sample;

/// Width of the picture, in pixels.
const WIDTH: f64 = 960.0;
/// Height of a panel with its title and the words of its axis.
const PANEL: f64 = 250.0;
/// Room to the left of a panel, for numbers.
const LEFT: f64 = 90.0;
/// Room to its right, for the names of the lines.
const RIGHT: f64 = 190.0;
/// Room above it, for the title.
const TOP: f64 = 36.0;
/// Room below it, for the axis of time.
const BOTTOM: f64 = 44.0;
/// Runs longer than this are drawn in minutes, in seconds.
const MINUTES_FROM: f64 = 180.0;
const MIB: f64 = 1_024.0 * 1_024.0;
/// Colours that people with any sight of colours can tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten, for lines that lie far apart.
    Log,
}

/// A line of a panel.
struct Line {
    name: &'static str,
    value: fn(&Sample) -> Option<f64>,
}

/// A panel of the picture.
struct Panel {
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    lines: &'static [Line],
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "Throughput",
        unit: "events/s",
        scale: Scale::Log,
        lines: &[
            Line { name: "appended", value: |sample| Some(sample.appended_per_second) },
            Line { name: "read by all readers", value: |sample| Some(sample.read_per_second) },
            Line { name: "delivered to all", value: |sample| Some(sample.delivered_per_second) },
        ],
    },
    Panel {
        title: "Time of calls",
        unit: "ms",
        scale: Scale::Log,
        lines: &[
            Line { name: "append p99", value: |sample| sample.append_p99_us.map(|us| us / 1e3) },
            Line { name: "query p99", value: |sample| sample.query_p99_us.map(|us| us / 1e3) },
            Line { name: "append p50", value: |sample| sample.append_p50_us.map(|us| us / 1e3) },
            Line {
                name: "sync of a file beside, p99",
                value: |sample| sample.sync_p99_us.map(|us| us / 1e3),
            },
        ],
    },
    Panel {
        title: "Memory of the server",
        unit: "MiB",
        scale: Scale::Linear,
        lines: &[
            Line { name: "resident", value: |sample| sample.resident.map(|bytes| bytes as f64 / MIB) },
            Line { name: "anonymous", value: |sample| sample.anonymous.map(|bytes| bytes as f64 / MIB) },
        ],
    },
    Panel {
        title: "Disk",
        unit: "MiB",
        scale: Scale::Linear,
        lines: &[Line { name: "data directory", value: |sample| Some(sample.disk as f64 / MIB) }],
    },
];

/// Draws the samples in four panels over the same time.
#[must_use]
pub fn svg(samples: &[Sample], title: &str) -> String {
    let height = PANEL * PANELS.len() as f64 + TOP;
    let mut out = String::new();
    // Writing to a string does not fail; so it is everywhere below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} \
         {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>"
    );
    text(&mut out, (LEFT, TOP / 2.0 + 5.0), "font-size=\"15\"", title);
    for (at, panel) in PANELS.iter().enumerate() {
        draw(&mut out, samples, panel, TOP + PANEL * at as f64);
    }
    out.push_str("</svg>\n");
    out
}

/// Where a panel lies, and what its edges mean.
struct Frame {
    top: f64,
    /// Greatest time, in the unit of the axis.
    time: f64,
    scale: Scale,
    least: f64,
    greatest: f64,
}

impl Frame {
    fn bottom(&self) -> f64 {
        self.top + PANEL - TOP - BOTTOM
    }

    fn x(&self, time: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * time / self.time
    }

    fn y(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => value / self.greatest,
            Scale::Log => {
                let value = value.max(self.least);
                (value / self.least).log10() / (self.greatest / self.least).log10()
            }
        };
        self.bottom() - (self.bottom() - self.top) * share
    }

    /// Lists the values that get a line across and a number.
    fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => steps(self.greatest),
            Scale::Log => {
                let powers = (self.greatest / self.least).log10().round();
                let all = (0..=16).map(f64::from).take_while(|power| *power <= powers);
                all.map(|power| self.least * 10_f64.powf(power)).collect()
            }
        }
    }
}

fn draw(out: &mut String, samples: &[Sample], panel: &Panel, top: f64) {
    let longest = samples.iter().map(|sample| sample.at_seconds).fold(0.0, f64::max).max(1e-3);
    let (unit, name) = if longest > MINUTES_FROM { (60.0, "minutes") } else { (1.0, "seconds") };
    let values = panel.lines.iter().flat_map(|line| samples.iter().filter_map(line.value));
    let (least, greatest) = range(values, panel.scale);
    let frame = Frame { top: top + TOP, time: longest / unit, scale: panel.scale, least, greatest };
    let (right, bottom) = (WIDTH - RIGHT, frame.bottom());
    text(out, (LEFT, top + TOP - 10.0), "font-weight=\"bold\"", &format!("{}, {}", panel.title, panel.unit));
    for value in frame.marks() {
        let y = frame.y(value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>"
        );
        text(out, (LEFT - 8.0, y + 4.0), "text-anchor=\"end\"", &number(value));
    }
    for time in steps(frame.time) {
        text(out, (frame.x(time), bottom + 16.0), "text-anchor=\"middle\"", &number(time));
    }
    text(
        out,
        (f64::midpoint(LEFT, right), bottom + 32.0),
        "text-anchor=\"middle\"",
        &format!("time, {name}"),
    );
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {:.1}V{bottom:.1}H{right}\" fill=\"none\" stroke=\"#444444\"/>",
        frame.top
    );
    for ((line, colour), row) in panel.lines.iter().zip(COLOURS).zip(1_u32..) {
        let points = samples.iter().filter_map(|sample| {
            let value = (line.value)(sample)?;
            Some(format!("{:.1},{:.1}", frame.x(sample.at_seconds / unit), frame.y(value)))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
        let missing = if points.is_empty() { " (not known)" } else { "" };
        let at = (right + 12.0, frame.top + 16.0 * f64::from(row));
        text(out, at, &format!("fill=\"{colour}\""), &format!("{}{missing}", line.name));
    }
}

/// Gives the least and the greatest value of an axis that has room for all values.
fn range(values: impl Iterator<Item = f64>, scale: Scale) -> (f64, f64) {
    let (least, greatest) = values
        .filter(|value| *value > 0.0)
        .fold((f64::MAX, 0.0_f64), |found, value| (found.0.min(value), found.1.max(value)));
    match scale {
        Scale::Linear if greatest > 0.0 => (0.0, greatest * 1.05),
        Scale::Linear => (0.0, 1.0),
        Scale::Log if greatest > 0.0 => {
            let least = 10_f64.powf(least.log10().floor());
            (least, 10_f64.powf(greatest.log10().ceil()).max(least * 10.0))
        }
        Scale::Log => (1.0, 10.0),
    }
}

/// Lists round numbers from 0 up to a number, about five.
fn steps(greatest: f64) -> Vec<f64> {
    let power = 10_f64.powf((greatest / 5.0).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let step = factors.map(|factor| factor * power).find(|step| greatest / step <= 6.0).unwrap_or(greatest);
    (0..=6).map(|at| f64::from(at) * step).take_while(|value| *value <= greatest * 1.000_001).collect()
}

/// Writes a number as short as its size allows.
fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", round(value / 1e6)),
        value if value >= 1e4 => format!("{}k", round(value / 1e3)),
        value => round(value),
    }
}

/// Writes a number to a thousandth, without zeros at its end.
fn round(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn text(out: &mut String, (x, y): (f64, f64), attributes: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        let sample = |at: u32| Sample {
            at_seconds: f64::from(at) * 10.0,
            appended_per_second: 3_000.0,
            read_per_second: 500_000.0,
            append_p99_us: (at != 2).then_some(1_500.0),
            resident: None,
            disk: 1_048_576 * u64::from(at),
            ..Sample::default()
        };
        (1..=60).map(sample).collect()
    }

    #[test]
    fn four_panels_have_lines_and_axes_with_units() {
        let svg = svg(&samples(), "a < b & c");
        for words in ["Throughput, events/s", "Time of calls, ms", "Memory of the server, MiB", "Disk, MiB"] {
            assert_eq!(svg.matches(words).count(), 1, "{words}");
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches(">time, minutes</text>").count(), 4);
        assert_eq!(svg.matches("<polyline ").count(), 10);
        assert!(svg.contains("a &lt; b &amp; c"));
        assert!(svg.contains("resident (not known)"), "what is not known is told");
        let points = |at: usize| {
            let line = svg.lines().filter(|line| line.starts_with("<polyline")).nth(at).unwrap();
            line.split('"').nth(1).unwrap().split(' ').filter(|point| !point.is_empty()).count()
        };
        assert_eq!((points(0), points(3), points(7)), (60, 59, 0));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn every_point_lies_in_its_panel() {
        let svg = svg(&samples(), "");
        let (right, bottom) = (WIDTH - RIGHT, PANEL * 4.0 + TOP);
        for line in svg.lines().filter(|line| line.starts_with("<polyline")) {
            for point in line.split('"').nth(1).unwrap().split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=right).contains(&x) && (0.0..bottom).contains(&y), "{point}");
            }
        }
    }

    #[test]
    fn nothing_can_be_drawn_too() {
        for samples in [Vec::new(), vec![Sample::default()]] {
            let svg = svg(&samples, "");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(steps(60.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(steps(7.3), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(steps(0.3), [0.0, 0.05, 0.1, 0.15000000000000002, 0.2, 0.25, 0.30000000000000004]);
        for (value, expected) in
            [(0.0, "0"), (0.15, "0.15"), (3_000.0, "3000"), (25_000.0, "25k"), (2.5e6, "2.5M")]
        {
            assert_eq!(number(value), expected);
        }
        assert_eq!(range([2.0, 300.0].into_iter(), Scale::Log), (1.0, 1_000.0));
        assert_eq!(range([100.0].into_iter(), Scale::Log), (100.0, 1_000.0));
    }
}
