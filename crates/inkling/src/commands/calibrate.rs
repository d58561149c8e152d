//! Fits a correction of probabilities.

use inkling_fragment::{
    ResultFolder, ResultKind, read_drawn, read_labels, read_probability, write_bytes,
};
use inkling_pipeline::{Context, FittedCalibration, Inputs, Usage};
use inkling_predict::{Labelled, Scaling};
use serde_json::Value;

use crate::cli::{Calibrate, ScalingName};

pub fn run(flags: &Calibrate, context: &Context) -> anyhow::Result<Value> {
    let images = flags.predictions.iter();
    Inputs::of(images.chain(&flags.labels).chain(&flags.mask)).check_apart(&flags.out)?;
    let count = flags.predictions.len();
    for (name, given) in [("--labels", &flags.labels), ("--mask", &flags.mask)] {
        if given.len() != count {
            let found = given.len();
            return Err(Usage(format!(
                "{name}: found {found} images; expected one for each of the {count} predictions, in their \
                 order"
            ))
            .into());
        }
    }
    let results = ResultFolder::shared(&flags.out, ResultKind::Audit);
    for name in ["calibration.json", "calibration.html"] {
        results.check(name, context.force)?;
    }
    let mut read = Vec::new();
    for index in 0..count {
        let labels = read_labels(&flags.labels[index], &[], flags.reading.options())?;
        let mask = read_drawn(&flags.mask[index])?;
        read.push((read_probability(&flags.predictions[index])?, labels, mask));
    }
    let mut sheets: Vec<(String, Labelled)> = Vec::new();
    for (path, (image, labels, mask)) in flags.predictions.iter().zip(&read) {
        let sheet = Labelled {
            image,
            labels,
            mask,
        };
        sheets.push((path.display().to_string(), sheet));
    }
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
    if count == 1 {
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
