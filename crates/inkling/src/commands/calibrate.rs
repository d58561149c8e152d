//! Fits a correction of probabilities.

use inkling_fragment::{ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{Context, FittedCalibration, Inputs};
use inkling_predict::{Labelled, Scaling};
use serde_json::Value;

use crate::cli::{Calibrate, ScalingName};
use crate::commands::labelled_sheets::LabelledSheet;

pub fn run(flags: &Calibrate, context: &Context) -> anyhow::Result<Value> {
    let images = flags.predictions.iter();
    Inputs::of(images.chain(&flags.labels).chain(&flags.mask)).check_apart(&flags.out)?;
    let results = ResultFolder::shared(&flags.out, ResultKind::Audit);
    for name in ["calibration.json", "calibration.html"] {
        results.check(name, context.force)?;
    }
    let (labels, masks) = (&flags.labels, &flags.mask);
    let read = LabelledSheet::read_all(&flags.predictions, labels, masks, &flags.reading)?;
    let named = read.iter();
    let sheets: Vec<(String, Labelled)> = named
        .map(|sheet| (sheet.name.clone(), sheet.labelled()))
        .collect();
    let scaling = match flags.scaling {
        ScalingName::Platt => Scaling::Platt,
        ScalingName::Temperature => Scaling::Temperature,
    };
    let fitted = FittedCalibration::fit(&sheets, scaling)?;
    context.say(format!(
        "logits × {:.4} + {:.4}; calibration error {:.4} before, {:.4} after",
        fitted.calibration.slope,
        fitted.calibration.offset,
        fitted.calibration_error_before,
        fitted.calibration_error_after
    ));
    if sheets.len() == 1 {
        context.say(
            "one sheet: the error after is of the sheet that was fitted to, and says little of others. hint: \
             give predictions of several held-out sheets",
        );
    }
    let figures = serde_json::to_value(&fitted)?;
    let text = serde_json::to_string_pretty(&figures)?;
    let path = results.claim("calibration.json", context.force)?;
    write_bytes(&path, text, true)?;
    write_bytes(
        results.claim("calibration.html", context.force)?,
        fitted.page().render(),
        true,
    )?;
    context.say(format!("{}", path.display()));
    Ok(figures)
}
