//! Scores predictions.

use inkling_fragment::{read_drawn, read_gray, read_labels, read_probability};
use inkling_pipeline::{Context, parse_threshold};
use inkling_predict::{BlockCounts, Intervals, Labelled, Sparsification, Threshold, score_regions};
use serde_json::Value;

use crate::cli::Score;
use crate::commands::compare::{say_blocks, say_figures};

pub fn run(flags: &Score, context: &Context) -> anyhow::Result<Value> {
    let image = read_probability(&flags.prediction)?;
    let labels = read_labels(&flags.labels, &[], flags.reading.options())?;
    let mask = read_drawn(&flags.mask)?;
    let sweep = flags.threshold == "sweep";
    let (threshold, said) = match sweep {
        true => (Threshold::HALF, "0.5"),
        false => (parse_threshold(&flags.threshold)?, flags.threshold.as_str()),
    };
    let score = inkling_predict::score(&image, &labels, &mask, threshold)?;
    context.say(format!(
        "F0.5 {:.4} at {said} (precision {:.4}, recall {:.4})",
        score.f05, score.precision, score.recall
    ));
    context.say(format!(
        "best F0.5 {:.4} at {:.3}, average precision {:.4}, Brier {:.4}",
        score.best_f05, score.best_threshold, score.average_precision, score.brier
    ));
    let mut figures = serde_json::to_value(&score)?;
    if sweep {
        for [threshold, precision, recall, f05] in &score.sweep {
            context.say(format!(
                "{threshold:.3}  {precision:.4}  {recall:.4}  {f05:.4}"
            ));
        }
        figures["sweep"] = serde_json::to_value(&score.sweep)?;
    }
    let sheet = Labelled {
        image: &image,
        labels: &labels,
        mask: &mask,
    };
    let blocks = BlockCounts::of_blocks(sheet, threshold, flags.block as usize)?;
    let metrics = Intervals::of_metrics(&blocks, threshold, 0);
    say_blocks(blocks.len(), flags.block as usize, context);
    say_figures(&format!("metrics at {said}"), &metrics, context);
    figures["metrics"] = serde_json::to_value(&metrics)?;
    if let Some(path) = &flags.uncertainty {
        let found = Sparsification::of(&image, &read_gray(path)?, &labels, &mask)?;
        context.say(match &found {
            Some(found) => format!(
                "sparsification: area {:.3} (chance 1, oracle {:.3}); without the most uncertain half the Brier \
                 score is {:.3} of what it was",
                found.area,
                found.oracle_area,
                found.curve[found.curve.len() / 2]
            ),
            None => "sparsification: the map has no errors".to_owned(),
        });
        figures["sparsification"] = serde_json::to_value(&found)?;
    }
    if let Some(side) = flags.regions {
        let regions = score_regions(sheet, threshold, side as usize)?;
        for region in &regions {
            let f05 = region
                .f05
                .map_or("no ink".to_owned(), |f05| format!("F0.5 {f05:.4}"));
            context.say(format!("({}, {}): {f05}", region.y, region.x));
        }
        figures["regions"] = serde_json::to_value(&regions)?;
    }
    Ok(figures)
}
