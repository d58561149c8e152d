use image::DynamicImage;
use maud::{Markup, PreEscaped, html};

use crate::chart::{Chart, Line};
use crate::color_map::viridis;
use crate::data::{AlignmentView, Figure, PredictionView, ReportData, TrainingView};
use crate::embed::{data_address, gray_address};
use crate::fold_table::fold_table;
use crate::html_page::HtmlPage;
use crate::shift_map::shift_map;

const SCRIPT: &str = include_str!("page.js");

/// The report as one HTML page that needs no other file and no network.
pub fn render(data: &ReportData) -> String {
    let page = HtmlPage {
        title: &data.title,
        subtitle: &data.subtitle,
        refresh: data.refresh,
        script: Some(SCRIPT),
    };
    page.render(&html! {
        (figures(&data.figures))
        (fold_table(&data.folds))
        @for (index, view) in data.predictions.iter().enumerate() { (prediction(index, view)) }
        (trainings(&data.trainings))
        (alignments(&data.alignments))
        (curves(data))
        @if !data.settings.is_empty() {
            details { summary { "Settings" } pre { (data.settings) } }
        }
    })
}

fn figures(figures: &[Figure]) -> Markup {
    html! {
        @if !figures.is_empty() {
            section class="figures" {
                @for figure in figures {
                    div class="figure" {
                        div class="value" { (figure.value) }
                        div class="name" { (figure.name) }
                        div class="explanation" { (figure.explanation) }
                    }
                }
            }
        }
    }
}

fn prediction(index: usize, view: &PredictionView) -> Markup {
    let labels = view
        .labels
        .as_ref()
        .map(|labels| labels.mapv(|ink| u8::from(ink) * 255));
    let mut under: Vec<(&str, String)> = Vec::new();
    if let Some(layer) = &view.layer {
        under.push(("Scan", gray_address(layer)));
    }
    if let Some(labels) = &labels {
        under.push(("Known ink", gray_address(labels)));
    }
    if let Some(infrared) = &view.infrared {
        under.push(("Infrared", gray_address(infrared)));
    }
    let predicted = gray_address(&view.probability);
    html! {
        section id=(format!("fragment-{}", view.id)) {
            h2 { "Fragment " (view.id) }
            p { (view.caption) }
            @if let Some((first, address)) = under.first() {
                div class="compare" style="--cut:50%" {
                    img class="under" src=(address) alt=(format!("{first} of fragment {}", view.id));
                    img class="over" src=(predicted) alt=(format!("Predicted ink of fragment {}", view.id));
                    div class="handle" aria-hidden="true" {}
                }
                div class="controls" {
                    label { "Wipe " input type="range" min="0" max="100" value="50" class="cut" aria-label="Where the predicted ink ends"; }
                    label { "Opacity " input type="range" min="0" max="100" value="100" class="opacity" aria-label="Opacity of the predicted ink"; }
                    @if under.len() > 1 {
                        span role="radiogroup" aria-label="What lies beneath" {
                            @for (place, (name, address)) in under.iter().enumerate() {
                                label {
                                    input type="radio" name=(format!("under-{index}")) class="below" value=(address) checked[place == 0];
                                    " " (name)
                                }
                            }
                        }
                    }
                }
                p class="caption" { "Left of the line: the ink that the network predicts, white where it is sure. Right of it: what lies beneath. Drag the line, or use the sliders and arrow keys." }
            }
            div class="side-by-side" {
                figure { img src=(predicted) alt="Predicted ink"; figcaption { "Predicted probability of ink" } }
                @for (name, address) in &under { figure { img src=(address) alt=(name); figcaption { (name) } } }
            }
            @if !view.scores.is_empty() {
                table {
                    tbody { @for (name, value) in &view.scores { tr { th scope="row" { (name) } td { (value) } } } }
                }
            }
        }
    }
}

fn trainings(trainings: &[TrainingView]) -> Markup {
    let chart = |title: &str, y_label: &str, lines: Vec<Line>| Chart {
        title: title.to_owned(),
        x_label: "epoch".to_owned(),
        y_label: y_label.to_owned(),
        lines,
    };
    let loss = trainings.iter().map(|training| Line {
        name: training.name.clone(),
        points: (1..)
            .map(f64::from)
            .zip(training.loss.iter().copied())
            .collect(),
        dashed: false,
    });
    let f05 = trainings.iter().map(|training| Line {
        name: training.name.clone(),
        points: training.f05.clone(),
        dashed: false,
    });
    html! {
        @if !trainings.is_empty() {
            section {
                h2 { "Training" }
                div class="charts" {
                    (PreEscaped(chart("Training loss", "binary cross-entropy", loss.collect()).to_svg()))
                    (PreEscaped(chart("F0.5 on the held-out fragment", "F0.5", f05.collect()).to_svg()))
                }
                p class="caption" { "Loss falls as the network learns the fragments it is shown; F0.5 tells how well it reads one that it is not shown. The best epoch's weights are kept." }
            }
        }
    }
}

fn alignments(alignments: &[AlignmentView]) -> Markup {
    html! {
        @if !alignments.is_empty() {
            section {
                h2 { "Depth" }
                p class="caption" { "Where each patch of papyrus lies in its scan, relative to the target, and the mean brightness per layer before and after this is undone." }
                @for view in alignments { (alignment(view)) }
            }
        }
    }
}

fn alignment(view: &AlignmentView) -> Markup {
    let map = shift_map(&view.z_shift, &view.mask);
    let picture = data_address(&DynamicImage::ImageRgba8(map.picture));
    let highest = map.histogram.iter().copied().fold(0.0, f64::max).max(1e-9);
    let chart = Chart {
        title: "Brightness over depth".to_owned(),
        x_label: "layer".to_owned(),
        y_label: "share of range".to_owned(),
        lines: vec![
            Line::from_values("before", &unit(&view.before)),
            Line::from_values("after", &unit(&view.after)),
            Line::from_values("target", &unit(&view.target)).dashed(),
        ],
    };
    html! {
        div class="alignment" {
            figure {
                img src=(picture) alt=(format!("Shift map of fragment {}", view.id));
                div class="bar" {
                    @for (bin, share) in map.histogram.iter().enumerate() {
                        @let [r, g, b] = viridis((bin as f32 + 0.5) / 24.0);
                        i style=(format!("height:{:.0}%;background:rgb({r},{g},{b})", 8.0 + 92.0 * share / highest)) {}
                    }
                }
                div class="ends" { span { (format!("{:.1}", map.range[0])) } span { "shift in layers" } span { (format!("{:.1}", map.range[1])) } }
                figcaption { "Fragment " (view.id) ": scale " (format!("{:.3}", view.scale)) }
            }
            (PreEscaped(chart.to_svg()))
            @for warning in &view.warnings { p class="warning" { (warning) } }
        }
    }
}

/// Brought to [0, 1] by the values' own extremes, the outermost layers left out of them.
fn unit(values: &[f64]) -> Vec<f64> {
    let inner = values
        .get(2..values.len().saturating_sub(2))
        .unwrap_or(values);
    let low = inner.iter().copied().fold(f64::INFINITY, f64::min);
    let high = inner.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = (high - low).max(1e-9);
    values
        .iter()
        .map(|value| ((value - low) / range).clamp(-0.1, 1.1))
        .collect()
}

fn curves(data: &ReportData) -> Markup {
    html! {
        @if !data.curves.is_empty() {
            section {
                h2 { "Brightness per layer" }
                div class="charts three" { @for chart in crate::curve_charts(&data.curves) { (PreEscaped(chart.to_svg())) } }
                p class="caption" { "Mean intensity of each layer over all papyrus, over ink alone and over bare papyrus. Ink differs from papyrus by a hair; that hair is what the network learns." }
            }
        }
    }
}
