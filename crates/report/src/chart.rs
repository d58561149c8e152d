//! Line charts as SVG, in the page's own colours.

use std::fmt::Write;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Points (x, y) in the axes' units, from left to right.
    pub points: Vec<(f64, f64)>,
    /// Drawn dashed, for what things are compared with.
    pub dashed: bool,
}

impl Line {
    /// A solid line through `values` at x = 0, 1, 2, …
    pub fn from_values(name: impl Into<String>, values: &[f64]) -> Self {
        let points = values.iter().enumerate();
        Self {
            name: name.into(),
            points: points.map(|(x, &y)| (x as f64, y)).collect(),
            dashed: false,
        }
    }

    /// The same line, dashed.
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }
}

/// A chart with labelled axes and a legend.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Printed above the chart.
    pub title: String,
    /// What the x axis counts, printed below it.
    pub x_label: String,
    /// What the y axis counts, printed beside it.
    pub y_label: String,
    /// The lines, drawn in this order.
    pub lines: Vec<Line>,
}

/// Okabe and Ito's colours, told apart by the colour-blind too.
const COLORS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f",
];
const SIZE: (f64, f64) = (480.0, 300.0);
/// Space for labels at the left, top, right and bottom, in pixels.
const MARGIN: [f64; 4] = [58.0, 46.0, 12.0, 44.0];

/// Height of the legend, between title and curves.
const LEGEND: f64 = 31.0;

impl Chart {
    /// The chart as an SVG element, 480 × 300 units, text in the surrounding colour.
    pub fn to_svg(&self) -> String {
        let (x, y) = self.ranges();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"currentColor\">",
            SIZE.0,
            SIZE.1,
            escape(&self.title)
        );
        self.draw_axes(&mut svg, &x, &y);
        for (index, line) in self.lines.iter().enumerate() {
            draw_line(&mut svg, line, COLORS[index % COLORS.len()], &x, &y);
        }
        self.draw_legend(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    fn ranges(&self) -> (Axis, Axis) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let finite = |value: &f64| value.is_finite();
        let x = Axis::over(
            points().map(|p| p.0).filter(finite),
            MARGIN[0],
            SIZE.0 - MARGIN[2],
        );
        let y = Axis::over(
            points().map(|p| p.1).filter(finite),
            SIZE.1 - MARGIN[3],
            MARGIN[1],
        );
        (x, y)
    }

    fn draw_axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let (left, right) = (MARGIN[0], SIZE.0 - MARGIN[2]);
        let bottom = SIZE.1 - MARGIN[3];
        let mut text = |x: f64, y: f64, anchor: &str, words: &str| {
            let words = escape(words);
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
            );
        };
        text(left, 16.0, "start", &self.title);
        text((left + right) / 2.0, SIZE.1 - 8.0, "middle", &self.x_label);
        for tick in x.ticks() {
            text(x.place(tick), bottom + 15.0, "middle", &number(tick));
        }
        for tick in y.ticks() {
            text(left - 6.0, y.place(tick) + 4.0, "end", &number(tick));
        }
        for tick in y.ticks() {
            let place = y.place(tick);
            let _ = write!(
                svg,
                "<line x1=\"{left}\" x2=\"{right}\" y1=\"{place:.1}\" y2=\"{place:.1}\" \
                 stroke=\"currentColor\" stroke-opacity=\"0.15\"/>"
            );
        }
        let middle = (MARGIN[1] + bottom) / 2.0;
        let _ = write!(
            svg,
            "<text transform=\"translate(13 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&self.y_label)
        );
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut left = MARGIN[0];
        for (index, line) in self.lines.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let dash = dash(line);
            let _ = write!(
                svg,
                "<line x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{color}\" \
                 stroke-width=\"2\"{dash}/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                left + 16.0,
                left + 20.0,
                LEGEND + 4.0,
                escape(&line.name),
                y = LEGEND,
            );
            left += 30.0 + 6.2 * line.name.chars().count() as f64;
        }
    }
}

fn draw_line(svg: &mut String, line: &Line, color: &str, x: &Axis, y: &Axis) {
    let points = line
        .points
        .iter()
        .filter(|p| p.0.is_finite() && p.1.is_finite());
    let points: Vec<String> = points
        .map(|&(px, py)| format!("{:.1},{:.1}", x.place(px), y.place(py)))
        .collect();
    let dash = dash(line);
    let _ = write!(
        svg,
        "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\" \
         stroke-linejoin=\"round\"{dash} points=\"{}\"/>",
        points.join(" ")
    );
}

fn dash(line: &Line) -> &'static str {
    match line.dashed {
        true => " stroke-dasharray=\"5 4\"",
        false => "",
    }
}

/// A range of values and where it lies on the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = match low.is_finite() && high > low {
            true => (low, high),
            false if low.is_finite() => (low - 0.5, low + 0.5),
            false => (0.0, 1.0),
        };
        Self {
            low,
            high,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About five round numbers within the range.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps
            .into_iter()
            .find(|&step| step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        size if size >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::over([0.13, 0.94].into_iter(), 0.0, 1.0);
        assert_eq!(
            axis.ticks().iter().map(|&t| number(t)).collect::<Vec<_>>(),
            ["0.2", "0.4", "0.6", "0.8"]
        );
    }

    #[test]
    fn nothing_to_draw_is_no_failure() {
        let chart = Chart {
            title: "a < b".to_owned(),
            x_label: String::new(),
            y_label: String::new(),
            lines: vec![
                Line::from_values("empty", &[]),
                Line::from_values("nan", &[f64::NAN]),
            ],
        };
        let svg = chart.to_svg();
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"));
    }
}
