use inkling_fragment::read_gray;
use inkling_predict::{Labelled, score_regions};
use serde_json::Value;

use super::Context;
use crate::cli::Score;
use crate::failure::Usage;

pub fn run(flags: &Score, context: &Context) -> anyhow::Result<Value> {
    let image = read_gray(&flags.prediction)?;
    let labels = read_gray(&flags.labels)?.mapv(|value| value > 127);
    let mask = read_gray(&flags.mask)?.mapv(|value| value > 0);
    let sweep = flags.threshold == "sweep";
    let threshold = match sweep {
        true => 0.5,
        false => probability(&flags.threshold)?,
    };
    let score = inkling_predict::score(&image, &labels, &mask, threshold)?;
    let console = context.console;
    console.say(format!(
        "F0.5 {:.4} at {threshold} (precision {:.4}, recall {:.4})",
        score.f05, score.precision, score.recall
    ));
    console.say(format!(
        "best F0.5 {:.4} at {:.3}, average precision {:.4}, Brier {:.4}",
        score.best_f05, score.best_threshold, score.average_precision, score.brier
    ));
    let mut figures = serde_json::to_value(&score)?;
    if sweep {
        for [threshold, precision, recall, f05] in &score.sweep {
            console.say(format!(
                "{threshold:.3}  {precision:.4}  {recall:.4}  {f05:.4}"
            ));
        }
        figures["sweep"] = serde_json::to_value(&score.sweep)?;
    }
    if let Some(side) = flags.regions {
        let sheet = Labelled {
            image: &image,
            labels: &labels,
            mask: &mask,
        };
        let regions = score_regions(sheet, threshold, side as usize)?;
        for region in &regions {
            let f05 = region
                .f05
                .map_or("no ink".to_owned(), |f05| format!("F0.5 {f05:.4}"));
            console.say(format!("({}, {}): {f05}", region.y, region.x));
        }
        figures["regions"] = serde_json::to_value(&regions)?;
    }
    Ok(figures)
}

fn probability(text: &str) -> Result<f64, Usage> {
    let value = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| {
        Usage(format!(
            "--threshold {text}: expected a probability from 0 to 1, or sweep"
        ))
    })
}
