//! The threshold that labelled predictions are best cut at.

use std::path::Path;

use inkling_fragment::{read_drawn, read_labels, read_probability, read_text, write_bytes};
use inkling_pipeline::Usage;
use inkling_predict::{Labelled, Threshold as Cut, score_all};
use ndarray::Array2;
use serde_json::{Value, json};

use super::Context;
use super::apart::Inputs;
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
    context.console.say(format!(
        "F0.5 {:.4} at {:.3} ({:.4} at 0.5)",
        best.best_f05, best.best_threshold, best.f05
    ));
    let elsewhere = elsewhere(&sheets)?;
    for (path, [cut, f05, own]) in flags.predictions.iter().zip(&elsewhere) {
        context.console.say(format!(
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

/// For each sheet: the best threshold of the others, its F0.5 there, and its F0.5 at its own best.
/// It tells what a threshold found here is worth elsewhere.
fn elsewhere(sheets: &[Labelled]) -> anyhow::Result<Vec<[f64; 3]>> {
    if sheets.len() < 2 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (index, sheet) in sheets.iter().enumerate() {
        let mut others = sheets.to_vec();
        others.remove(index);
        let cut = score_all(&others, Cut::HALF)?.best_level;
        let cut = Cut::at_level(cut);
        let own = score_all(&[*sheet], cut)?;
        found.push([cut.probability(), own.f05, own.best_f05]);
    }
    Ok(found)
}

/// Most bytes of what `threshold` writes: thousands of predictions' names.
const LONGEST_FILE: u64 = 1 << 20;

/// A probability, or the one in a file that `threshold` wrote.
pub fn threshold(text: &str) -> anyhow::Result<Cut> {
    let number = match text.parse::<f64>() {
        Ok(number) => number,
        Err(_) if Path::new(text).exists() => {
            let file = read_text(Path::new(text), LONGEST_FILE)?;
            let figures: Value = serde_json::from_str(&file).unwrap_or_default();
            figures["threshold"].as_f64().unwrap_or(f64::NAN)
        }
        Err(_) => f64::NAN,
    };
    Cut::new(number).ok_or_else(|| {
        Usage(format!(
            "--threshold {text}: expected a probability from 0 to 1, or a file that `inkling \
             threshold` wrote"
        ))
        .into()
    })
}
