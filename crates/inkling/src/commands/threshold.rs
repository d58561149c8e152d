//! The threshold that labelled predictions are best cut at.

use inkling_fragment::{read_drawn, read_labels, read_probability, write_bytes};
use inkling_pipeline::{Context, Inputs, Usage, threshold_transfer};
use inkling_predict::{Labelled, Threshold as Cut, score_all};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::cli::Threshold;

pub fn run(flags: &Threshold, context: &Context) -> anyhow::Result<Value> {
    let images = flags
        .predictions
        .iter()
        .chain(&flags.labels)
        .chain(&flags.mask);
    Inputs::of(images).check_apart(&flags.out)?;
    let count = flags.predictions.len();
    for (name, given) in [("--labels", &flags.labels), ("--mask", &flags.mask)] {
        if given.len() != count {
            let found = given.len();
            return Err(Usage(format!(
                "{name}: found {found} images; expected one for each of the {count} predictions, \
                 in their order"
            ))
            .into());
        }
    }
    let mut sheets = Vec::new();
    for index in 0..count {
        let labels = read_labels(&flags.labels[index], &[], flags.reading.options())?;
        let mask = read_drawn(&flags.mask[index])?;
        sheets.push((read_probability(&flags.predictions[index])?, labels, mask));
    }
    let sheets: Vec<Labelled> = sheets.iter().map(labelled).collect();
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
    let figures = json!({
        "threshold": best.best_threshold,
        "level": best.best_level,
        "f05": best.best_f05,
        "f05_at_half": best.f05,
        "predictions": flags.predictions,
        "held_out": elsewhere,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(&flags.out, text, context.force)?;
    Ok(figures)
}

fn labelled((image, labels, mask): &(Array2<u8>, Array2<bool>, Array2<bool>)) -> Labelled<'_> {
    Labelled {
        image,
        labels,
        mask,
    }
}
