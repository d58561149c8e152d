use std::path::Path;

use anyhow::Context as _;
use inkling_fragment::{
    Fragment, Region, ResultFolder, ResultKind, Volume, check_name, read_gray, read_text,
    write_bytes,
};
use inkling_pipeline::{Recipe, Usage};
use inkling_predict::{Threshold, score};
use inkling_report::{Figure, PredictionView, ReportData, TrainingView, render};
use inkling_train::{Epoch, Metric, Run};
use ndarray::{Array2, Axis};
use serde_json::{Value, json};

use super::Context;
use super::record::read_record;
use super::train::best_epoch;
use crate::cli::Report;

/// Seconds between two looks of a browser at what still goes on.
pub const REFRESH: u32 = 10;

pub fn run(flags: &Report, context: &Context) -> anyhow::Result<Value> {
    let folder = &flags.folder;
    let run = folder.join("metrics.jsonl").is_file();
    let predictions = folder.join("predict.json").is_file();
    let data = match (run, predictions) {
        (true, _) => run_report(folder, None)?,
        (false, true) => prediction_report(folder)?,
        (false, false) => {
            return Err(Usage(format!(
                "{}: found neither metrics.jsonl nor predict.json; expected a run or a folder of \
                 predictions. hint: name the folder given to --out",
                folder.display()
            ))
            .into());
        }
    };
    let kind = match run {
        true => ResultKind::Run,
        false => ResultKind::Prediction,
    };
    // A report is made from what is there and may be made anew.
    let path = ResultFolder::shared(folder, kind).claim("report.html", true)?;
    write_bytes(&path, render(&data), true)?;
    context.console.say(format!("{}", path.display()));
    Ok(json!({ "report": path }))
}

/// Writes the report of a run into it; `running` lets browsers look again.
pub fn write_run_report(folder: &Path, running: bool) -> anyhow::Result<()> {
    let data = run_report(folder, running.then_some(REFRESH))?;
    let path = ResultFolder::shared(folder, ResultKind::Run).claim("report.html", true)?;
    Ok(write_bytes(path, render(&data), true)?)
}

fn run_report(folder: &Path, refresh: Option<u32>) -> anyhow::Result<ReportData> {
    let epochs = Run::view(folder).epochs()?;
    let settings = read_text(&folder.join("settings.toml"), LONGEST_SETTINGS).unwrap_or_default();
    let metric = metric_of(&settings);
    let name = folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into());
    let figures = best_epoch(&epochs, metric).map(|(epoch, validation)| {
        vec![
            figure(
                "F0.5",
                format!("{:.3}", validation.f05),
                format!(
                    "held-out papyrus at a threshold of 0.5, epoch {epoch}, which has the highest {}",
                    metric.title()
                ),
            ),
            figure(
                "Best F0.5",
                format!("{:.3}", validation.best_f05),
                format!("at a threshold of {:.3}", validation.best_threshold),
            ),
            figure(
                "AverageSpace precision",
                format!("{:.3}", validation.average_precision),
                "over all thresholds".to_owned(),
            ),
        ]
    });
    Ok(ReportData {
        title: format!("Training {name}"),
        subtitle: format!("{} epochs", epochs.len()),
        figures: figures.unwrap_or_default(),
        trainings: vec![training_view(&name, &epochs)],
        refresh,
        settings,
        ..ReportData::default()
    })
}

/// The figure that a run's best epoch is chosen by, the first of `train.best` in its settings.
fn metric_of(settings: &str) -> Metric {
    let recipe: Option<Recipe> = toml::from_str(settings).ok();
    let train = recipe.map(|recipe| recipe.train).unwrap_or_default();
    train.best.first().copied().unwrap_or(Metric::F05)
}

/// Most bytes of a run's settings.
const LONGEST_SETTINGS: u64 = 1 << 20;

fn prediction_report(folder: &Path) -> anyhow::Result<ReportData> {
    let path = folder.join("predict.json");
    let figures: Value = read_record(&path)?;
    let mut predictions = Vec::new();
    for entry in figures["fragments"].as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        check_name(&text("id")).with_context(|| path.display().to_string())?;
        let image = read_gray(folder.join(format!("{}.png", text("id"))))?;
        let caption = format!(
            "{} tiles in {:.0} s",
            entry["tiles"],
            entry["seconds"].as_f64().unwrap_or(0.0)
        );
        let reading = serde_json::from_value(entry["reading"].clone()).unwrap_or_default();
        match Fragment::open_with(text("fragment"), reading) {
            Ok(fragment) => predictions.push(prediction_view(&fragment, image, caption)?),
            Err(error) => return Err(error).context("the predicted fragment has moved"),
        }
    }
    Ok(ReportData {
        title: "Predicted ink".to_owned(),
        subtitle: format!("{} fragments", predictions.len()),
        predictions,
        settings: serde_json::to_string_pretty(&figures)?,
        ..ReportData::default()
    })
}

/// One number for the head of a report.
pub fn figure(name: &str, value: String, explanation: String) -> Figure {
    Figure {
        name: name.to_owned(),
        value,
        explanation,
    }
}

/// A training's course as the report draws it.
pub fn training_view(name: &str, epochs: &[Epoch]) -> TrainingView {
    let score = |epoch: &Epoch| Some((f64::from(epoch.epoch), epoch.validation.as_ref()?.f05));
    TrainingView {
        name: name.to_owned(),
        loss: epochs.iter().map(|epoch| epoch.loss).collect(),
        f05: epochs.iter().filter_map(score).collect(),
    }
}

/// A painting as the report shows it: over the scan's middle layer, labels and photograph.
pub fn prediction_view(
    fragment: &Fragment,
    probability: Array2<u8>,
    caption: String,
) -> anyhow::Result<PredictionView> {
    let labels = fragment.ink_labels()?;
    let mask = fragment.mask()?;
    let scores = match &labels {
        Some(labels) => {
            let score = score(&probability, labels, &mask, Threshold::HALF)?;
            let line = |name: &str, value: f64| (name.to_owned(), format!("{value:.3}"));
            vec![
                line("F0.5 at 0.5", score.f05),
                line("precision", score.precision),
                line("recall", score.recall),
                line("best F0.5", score.best_f05),
                line("its threshold", score.best_threshold),
                line("average precision", score.average_precision),
                line("Brier score", score.brier),
            ]
        }
        None => Vec::new(),
    };
    Ok(PredictionView {
        id: fragment.id().to_owned(),
        caption,
        infrared: fragment.infrared()?,
        layer: Some(layer_image(fragment, &mask)?),
        labels,
        probability,
        scores,
    })
}

/// The scan's middle layer, stretched over the range of its papyrus.
fn layer_image(fragment: &Fragment, mask: &Array2<bool>) -> anyhow::Result<Array2<u8>> {
    let middle = fragment.depth() / 2;
    let region = Region::new(
        middle..middle + 1,
        0..fragment.height(),
        0..fragment.width(),
    );
    let layer = fragment.read(&region)?.index_axis_move(Axis(0), 0);
    let mut papyrus: Vec<u16> = layer
        .iter()
        .zip(mask)
        .filter(|&(_, &set)| set)
        .map(|(&value, _)| value)
        .collect();
    papyrus.sort_unstable();
    let quantile = |share: f64| {
        let place = (papyrus.len().saturating_sub(1) as f64 * share) as usize;
        papyrus.get(place).copied().map_or(0.0, f32::from)
    };
    let (low, high) = (quantile(0.01), quantile(0.99));
    let range = (high - low).max(1.0);
    Ok(layer.mapv(|value| ((f32::from(value) - low) / range * 255.0).clamp(0.0, 255.0) as u8))
}
