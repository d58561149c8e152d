//! The reports of runs and of predictions.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inkling_fragment::{
    Fragment, ResultFolder, ResultKind, check_name, read_gray, read_text, write_bytes,
};
use inkling_report::{Figure, ReportData, render};
use inkling_train::{Metric, Run};
use serde_json::Value;

use crate::best_epoch::best_epoch;
use crate::record::read_record;
use crate::report_views::{figure, prediction_view, training_view};
use crate::window_size::WindowSize;
use crate::{Recipe, Usage};

/// Seconds after which a browser loads the report of what is still going on again.
pub const REFRESH: u32 = 10;

/// Writes `report.html` of the run or the predictions in `folder` into it, and returns its path.
///
/// # Errors
/// [`Usage`] for a folder of neither; damaged records; those of writing.
pub fn write_report(folder: &Path) -> anyhow::Result<PathBuf> {
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
    Ok(path)
}

/// Writes the report of the run `folder` into it; while the run is `running`, browsers load it again.
///
/// # Errors
/// Damaged metrics; those of writing.
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
                "Average precision",
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

/// How much of a fragment the network saw at once, in millimetres where they are known; none of records that
/// do not say it.
fn window_figure(id: &str, entry: &Value) -> Option<Figure> {
    let window: WindowSize = serde_json::from_value(entry["window"].clone()).ok()?;
    let value = match window.millimetres {
        Some(millimetres) => format!("{millimetres:.2} mm"),
        None => format!("{} px", window.pixels),
    };
    let explanation = window.warning().unwrap_or_else(|| {
        format!("what the network sees at once of fragment {id}: a patch of {window}")
    });
    Some(figure("Window", value, explanation))
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
    let (mut predictions, mut windows) = (Vec::new(), Vec::new());
    for entry in figures["fragments"].as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        check_name(&text("id")).with_context(|| path.display().to_string())?;
        let image = read_gray(folder.join(format!("{}.png", text("id"))))?;
        let std = folder.join(format!("{}.std.png", text("id")));
        let std = std.is_file().then(|| read_gray(&std)).transpose()?;
        let caption = format!(
            "{} tiles in {:.0} s",
            entry["tiles"],
            entry["seconds"].as_f64().unwrap_or(0.0)
        );
        windows.extend(window_figure(&text("id"), entry));
        let reading = serde_json::from_value(entry["reading"].clone()).unwrap_or_default();
        match Fragment::open_with(text("fragment"), reading) {
            Ok(fragment) => {
                let std = std.as_ref();
                predictions.push(prediction_view(&fragment, image, std, caption)?);
            }
            Err(error) => return Err(error).context("the predicted fragment has moved"),
        }
    }
    Ok(ReportData {
        title: "Predicted ink".to_owned(),
        subtitle: format!("{} fragments", predictions.len()),
        figures: windows,
        predictions,
        settings: serde_json::to_string_pretty(&figures)?,
        ..ReportData::default()
    })
}
