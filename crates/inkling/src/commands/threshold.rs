//! The threshold that labelled predictions are best cut at.

use inkling_fragment::{read_drawn, read_probability, write_bytes};
use inkling_pipeline::{Context, Inputs, Usage, threshold_transfer};
use inkling_predict::{
    Bare, BareThreshold, Labelled, Threshold as Cut, score_all, threshold_for_bare,
};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::cli::Threshold;
use crate::commands::labelled_sheets::{LabelledSheet, one_each};

pub fn run(flags: &Threshold, context: &Context) -> anyhow::Result<Value> {
    let images = [
        &flags.predictions,
        &flags.labels,
        &flags.mask,
        &flags.bare,
        &flags.bare_mask,
    ];
    Inputs::of(images.into_iter().flatten()).check_file(&flags.out, "json")?;
    let (predictions, labels) = (&flags.predictions, &flags.labels);
    let sheets = LabelledSheet::read_all(predictions, labels, &flags.mask, &flags.reading)?;
    let sheets: Vec<Labelled> = sheets.iter().map(LabelledSheet::labelled).collect();
    let best = score_all(&sheets, Cut::HALF)?;
    context.say(format!(
        "F0.5 {:.4} at {:.3} ({:.4} at 0.5)",
        best.best_f05, best.best_threshold, best.f05
    ));
    let elsewhere = threshold_transfer(&sheets)?;
    for (path, [cut, f05, own]) in flags.predictions.iter().zip(&elsewhere) {
        context.say(format!(
            "{}: {f05:.4} at {cut:.3}, the best of the others; {own:.4} at its own best",
            path.display()
        ));
    }
    let mut figures = json!({
        "threshold": best.best_threshold,
        "level": best.best_level,
        "f05": best.best_f05,
        "f05_at_half": best.f05,
        "predictions": flags.predictions,
        "held_out": elsewhere,
    });
    if !flags.bare.is_empty() {
        let found = for_bare(flags, &sheets, context)?;
        figures["threshold"] = json!(found.threshold.probability());
        figures["level"] = json!(found.threshold.level());
        figures["high_threshold"] = json!(found.threshold.high().map(Cut::probability));
        figures["f05"] = json!(found.f05);
        figures["f05_without_bare"] = json!(best.best_f05);
        figures["bare_share"] = json!(found.bare_share);
        figures["bare_limit"] = json!(found.bare_limit);
        figures["bare"] = json!(flags.bare);
    }
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(&flags.out, text, context.force)?;
    Ok(figures)
}

/// The pair of thresholds that leaves hardly any ink on the bare sheets.
fn for_bare(
    flags: &Threshold,
    sheets: &[Labelled],
    context: &Context,
) -> anyhow::Result<BareThreshold> {
    one_each("--bare-mask", &flags.bare_mask, &flags.bare)?;
    if !(0.0..1.0).contains(&flags.bare_share) {
        return Err(Usage(format!(
            "--bare-share {}: expected a share from 0 to 1, such as 0.001",
            flags.bare_share
        ))
        .into());
    }
    let mut images: Vec<(Array2<u8>, Array2<bool>)> = Vec::new();
    for (image, mask) in flags.bare.iter().zip(&flags.bare_mask) {
        images.push((read_probability(image)?, read_drawn(mask)?));
    }
    let bare: Vec<Bare> = images
        .iter()
        .map(|(image, mask)| Bare { image, mask })
        .collect();
    let found = threshold_for_bare(sheets, &bare, flags.bare_share)?;
    let low = found.threshold.probability();
    let high = found.threshold.high().map_or(low, Cut::probability);
    context.say(format!(
        "with {:.4} % of the bare papyrus called ink, and at most {:.4} % of more of it: F0.5 {:.4} from {low:.3} \
         on, in regions that reach {high:.3} (precision {:.4}, recall {:.4})",
        100.0 * found.bare_share,
        100.0 * found.bare_limit,
        found.f05,
        found.precision,
        found.recall
    ));
    Ok(found)
}
