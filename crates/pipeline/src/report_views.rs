//! Trainings and predictions as reports show them.

use inkling_align::FragmentCurves;
use inkling_fragment::{Fragment, Region, Volume};
use inkling_predict::{BlockCounts, Intervals, Labelled, Sparsification, Threshold, score};
use inkling_report::{Figure, FragmentCurve, PredictionView, TrainingView};
use inkling_train::Epoch;
use ndarray::{Array2, Axis};

/// Side of the blocks that intervals are drawn by, in pixels.
const BLOCK: usize = 256;

/// One number for the head of a report.
pub fn figure(name: &str, value: String, explanation: String) -> Figure {
    Figure {
        name: name.to_owned(),
        value,
        explanation,
    }
}

/// Loss and F0.5 of a training's epochs, as the report draws them.
pub fn training_view(name: &str, epochs: &[Epoch]) -> TrainingView {
    let score = |epoch: &Epoch| Some((f64::from(epoch.epoch), epoch.validation.as_ref()?.f05));
    TrainingView {
        name: name.to_owned(),
        loss: epochs.iter().map(|epoch| epoch.loss).collect(),
        f05: epochs.iter().filter_map(score).collect(),
    }
}

/// A prediction as the report shows it, beside the scan's middle layer, labels and infrared photograph,
/// with its scores where there are labels, and how its `uncertainty` (8 bits, (y, x)) orders its errors.
///
/// # Errors
/// Those of reading; labels without ink.
pub fn prediction_view(
    fragment: &Fragment,
    probability: Array2<u8>,
    uncertainty: Option<&Array2<u8>>,
    caption: String,
) -> anyhow::Result<PredictionView> {
    let labels = fragment.ink_labels()?;
    let mask = fragment.mask()?;
    let scores = match &labels {
        Some(labels) => {
            let score = score(&probability, labels, &mask, Threshold::HALF)?;
            let line = |name: &str, value: f64| (name.to_owned(), format!("{value:.3}"));
            let mut lines = vec![
                line("F0.5 at 0.5", score.f05),
                line("precision", score.precision),
                line("recall", score.recall),
                line("best F0.5", score.best_f05),
                line("its threshold", score.best_threshold),
                line("average precision", score.average_precision),
                line("Brier score", score.brier),
                line("calibration error", score.calibration_error),
            ];
            lines.extend(further_metrics(&probability, labels, &mask)?);
            if let Some(uncertainty) = uncertainty
                && let Some(found) = Sparsification::of(&probability, uncertainty, labels, &mask)?
            {
                lines.push(line("sparsification area (chance 1)", found.area));
                lines.push(line("the oracle's", found.oracle_area));
            }
            lines
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

/// Metrics that are not in a score, with 95 % intervals by blocks.
fn further_metrics(
    image: &Array2<u8>,
    labels: &Array2<bool>,
    mask: &Array2<bool>,
) -> anyhow::Result<Vec<(String, String)>> {
    let sheet = Labelled {
        image,
        labels,
        mask,
    };
    let blocks = BlockCounts::of_blocks(sheet, Threshold::HALF, BLOCK)?;
    let metrics = Intervals::of_metrics(&blocks, 0);
    let further = [
        "auc",
        "balanced_accuracy",
        "dice",
        "pseudo_f_measure",
        "drd",
    ];
    let figures = further.iter().filter_map(|name| metrics.get(name));
    Ok(figures
        .map(|figure| (figure.title().to_owned(), figure.to_string()))
        .collect())
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

/// A fragment's name and brightness curves as the report draws them.
pub fn curves_view((id, curves): &(String, FragmentCurves)) -> FragmentCurve {
    let values = |curve: &inkling_align::Curve| curve.values().to_vec();
    FragmentCurve {
        id: id.clone(),
        all: values(&curves.all),
        ink: curves.ink.as_ref().map(values),
        background: curves.background.as_ref().map(values),
    }
}
