//! Scores predictions.

use std::path::Path;

use inkling_fragment::read_gray;
use inkling_pipeline::{Context, parse_threshold};
use inkling_predict::{
    BlockCounts, Intervals, Labelled, Score as Figures, Sparsification, Threshold, score_all,
    score_regions,
};
use serde_json::{Value, json};

use crate::cli::Score;
use crate::commands::compare::{say_blocks, say_figures};
use crate::commands::labelled_sheets::{LabelledSheet, one_each};

pub fn run(flags: &Score, context: &Context) -> anyhow::Result<Value> {
    let (predictions, labels) = (&flags.predictions, &flags.labels);
    let sheets = LabelledSheet::read_all(predictions, labels, &flags.mask, &flags.reading)?;
    if !flags.uncertainty.is_empty() {
        one_each("--uncertainty", &flags.uncertainty, predictions)?;
    }
    let sweep = flags.threshold == "sweep";
    let (threshold, said) = match sweep {
        true => (Threshold::HALF, "0.5"),
        false => (parse_threshold(&flags.threshold)?, flags.threshold.as_str()),
    };
    let scoring = Scoring {
        flags,
        threshold,
        said,
        sweep,
        context,
    };
    let mut blocks = Vec::new();
    let mut each = Vec::new();
    for (index, sheet) in sheets.iter().enumerate() {
        let several = sheets.len() > 1;
        if several {
            context.say(format!("{}:", sheet.name));
        }
        let uncertainty = flags.uncertainty.get(index).map(|path| &**path);
        let (mut figures, counts) = scoring.sheet(sheet.labelled(), uncertainty)?;
        if several {
            figures["prediction"] = json!(sheet.name);
        }
        blocks.extend(counts);
        each.push(figures);
    }
    if each.len() == 1 {
        return Ok(each.swap_remove(0));
    }
    context.say(format!("all {} sheets as one:", each.len()));
    let all: Vec<Labelled> = sheets.iter().map(LabelledSheet::labelled).collect();
    let mut together = scoring.summary(&score_all(&all, threshold)?)?;
    together["metrics"] = scoring.metrics(&blocks)?;
    Ok(json!({ "sheets": each, "together": together }))
}

/// How sheets are scored.
struct Scoring<'a> {
    flags: &'a Score,
    threshold: Threshold,
    /// The threshold as it was asked for.
    said: &'a str,
    /// Whether the scores at all thresholds are printed.
    sweep: bool,
    context: &'a Context<'a>,
}

impl Scoring<'_> {
    /// A sheet's figures, and the blocks that their intervals are drawn by.
    fn sheet(
        &self,
        sheet: Labelled,
        uncertainty: Option<&Path>,
    ) -> anyhow::Result<(Value, Vec<BlockCounts>)> {
        let mut figures = self.summary(&score_all(&[sheet], self.threshold)?)?;
        let blocks = BlockCounts::of_blocks(sheet, self.threshold, self.flags.block as usize)?;
        figures["metrics"] = self.metrics(&blocks)?;
        if let Some(path) = uncertainty {
            figures["sparsification"] = self.sparsification(sheet, path)?;
        }
        if let Some(side) = self.flags.regions {
            figures["regions"] = self.regions(sheet, side as usize)?;
        }
        Ok((figures, blocks))
    }

    fn summary(&self, score: &Figures) -> anyhow::Result<Value> {
        self.context.say(format!(
            "F0.5 {:.4} at {} (precision {:.4}, recall {:.4})",
            score.f05, self.said, score.precision, score.recall
        ));
        self.context.say(format!(
            "best F0.5 {:.4} at {:.3}, average precision {:.4}, Brier {:.4}",
            score.best_f05, score.best_threshold, score.average_precision, score.brier
        ));
        let mut figures = serde_json::to_value(score)?;
        if self.sweep {
            for [threshold, precision, recall, f05] in &score.sweep {
                self.context.say(format!(
                    "{threshold:.3}  {precision:.4}  {recall:.4}  {f05:.4}"
                ));
            }
            figures["sweep"] = serde_json::to_value(&score.sweep)?;
        }
        Ok(figures)
    }

    fn metrics(&self, blocks: &[BlockCounts]) -> anyhow::Result<Value> {
        let metrics = Intervals::of_metrics(blocks, 0);
        say_blocks(blocks.len(), self.flags.block as usize, self.context);
        let title = format!("metrics at {}", self.said);
        say_figures(&title, &metrics, self.context);
        Ok(serde_json::to_value(&metrics)?)
    }

    fn sparsification(&self, sheet: Labelled, path: &Path) -> anyhow::Result<Value> {
        let uncertainty = read_gray(path)?;
        let found = Sparsification::of(sheet.image, &uncertainty, sheet.labels, sheet.mask)?;
        self.context.say(match &found {
            Some(found) => format!(
                "sparsification: area {:.3} (chance 1, oracle {:.3}); without the most uncertain half the Brier \
                 score is {:.3} of what it was",
                found.area,
                found.oracle_area,
                found.curve[found.curve.len() / 2]
            ),
            None => "sparsification: the map has no errors".to_owned(),
        });
        Ok(serde_json::to_value(&found)?)
    }

    fn regions(&self, sheet: Labelled, side: usize) -> anyhow::Result<Value> {
        let block = self.flags.block as usize;
        let regions = score_regions(sheet, self.threshold, side, block)?;
        for region in &regions {
            let f05 = match (region.f05, region.metrics.get("f05")) {
                (None, _) => "no ink".to_owned(),
                (Some(f05), None) => format!("F0.5 {f05:.4}"),
                (Some(_), Some(f05)) => format!("F0.5 {f05}"),
            };
            self.context
                .say(format!("({}, {}): {f05}", region.y, region.x));
        }
        Ok(serde_json::to_value(&regions)?)
    }
}
