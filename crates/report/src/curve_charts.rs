use crate::chart::{Chart, Line};
use crate::data::FragmentCurve;

/// The reference solution's three panels: all papyrus, ink, bare papyrus, one line per fragment.
pub fn curve_charts(curves: &[FragmentCurve]) -> Vec<Chart> {
    let panel = |title: &str, values: &dyn Fn(&FragmentCurve) -> Option<Vec<f64>>| Chart {
        title: title.to_owned(),
        x_label: "layer".to_owned(),
        y_label: "mean intensity (16 bits)".to_owned(),
        lines: curves
            .iter()
            .filter_map(|curve| Some(Line::from_values(&curve.id, &values(curve)?)))
            .collect(),
    };
    let panels = vec![
        panel("All papyrus", &|curve| Some(curve.all.clone())),
        panel("Ink", &|curve| curve.ink.clone()),
        panel("Bare papyrus", &|curve| curve.background.clone()),
    ];
    panels
        .into_iter()
        .filter(|panel| !panel.lines.is_empty())
        .collect()
}

/// Charts below each other in one SVG file.
pub fn curves_svg(curves: &[FragmentCurve]) -> String {
    let charts = curve_charts(curves);
    let height = 300 * charts.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 {height}\" width=\"960\" \
         height=\"{}\" style=\"background:white;color:black\">",
        2 * height
    );
    for (index, chart) in charts.iter().enumerate() {
        let panel = chart.to_svg();
        let placed = format!("<svg y=\"{}\" width=\"480\" height=\"300\" ", 300 * index);
        svg.push_str(&panel.replacen("<svg ", &placed, 1));
    }
    svg.push_str("</svg>\n");
    svg
}
