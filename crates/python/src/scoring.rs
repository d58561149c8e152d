//! Scores of predictions, and the best threshold.

use inkling_pipeline::threshold_transfer;
use inkling_predict::{Labelled, Threshold, score_all};
use ndarray::Array2;
use pyo3::prelude::*;
use serde_json::json;

use crate::arrays::{Given, mask_of};
use crate::errors::{exception, input};
use crate::json::to_python;
use crate::work;

/// A prediction beside what is known.
struct Sheet {
    image: Array2<u8>,
    labels: Array2<bool>,
    mask: Array2<bool>,
}

impl Sheet {
    fn new(
        prediction: &Bound<PyAny>,
        labels: &Bound<PyAny>,
        mask: Option<&Bound<PyAny>>,
    ) -> PyResult<Self> {
        let image = Given::new("prediction", prediction, "(y, x)")?.levels()?;
        let size = [image.nrows(), image.ncols()];
        let labels = mask_of("labels", labels, size)?;
        let mask = match mask.filter(|mask| !mask.is_none()) {
            Some(mask) => mask_of("mask", mask, size)?,
            None => Array2::from_elem(image.dim(), true),
        };
        Ok(Self {
            image,
            labels,
            mask,
        })
    }

    fn labelled(&self) -> Labelled<'_> {
        Labelled {
            image: &self.image,
            labels: &self.labels,
            mask: &self.mask,
        }
    }
}

/// Scores a prediction against labels over its papyrus, as the competition does.
///
/// Args:
///     prediction: Probability of ink (y, x): floats from 0 to 1, which are rounded to 256 levels, or uint8.
///     labels: Where there is ink, bool (y, x).
///     mask: Where there is papyrus, bool (y, x); everywhere by default.
///     threshold: From which probability on a pixel is ink.
///
/// Returns:
///     dict: "f05", "precision" and "recall" at the threshold, "best_f05" and "best_threshold",
///     "average_precision", "brier", "calibration_error", "reliability", and "sweep": threshold, precision,
///     recall and F0.5 from the highest threshold to the lowest.
///
/// Raises:
///     InputError: For probabilities out of 0 to 1 or NaN, arrays of other sizes, labels without ink.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> ink = numpy.array([[True, False], [True, False]])
///     >>> inkling.score(ink * 0.9, ink)["f05"]
///     1.0
#[pyfunction]
#[pyo3(signature = (prediction, labels, mask=None, *, threshold=0.5))]
pub fn score<'py>(
    py: Python<'py>,
    prediction: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threshold: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let sheet = Sheet::new(prediction, labels, mask)?;
    let cut = Threshold::new(threshold).ok_or_else(|| {
        input(format!(
            "threshold: found {threshold}; expected a probability, 0 to 1"
        ))
    })?;
    let score = work::long(py, |_| Ok(score_all(&[sheet.labelled()], cut)?))?;
    let mut figures = serde_json::to_value(&score).map_err(|error| exception(&error.into()))?;
    figures["sweep"] = json!(score.sweep);
    to_python(py, &figures)
}

/// Finds the threshold with the best F0.5 over labelled predictions, which count as one sheet.
///
/// Args:
///     predictions: Probabilities of ink, one (y, x) for each sheet: floats from 0 to 1, or uint8.
///     labels: Where there is ink, bool (y, x), for each sheet.
///     masks: Where there is papyrus, bool (y, x), for each sheet; everywhere by default.
///
/// Returns:
///     dict: "threshold" and its "level" of 0 to 255, "f05" there and "f05_at_half", and "held_out": for each
///     sheet the best threshold of the others, its F0.5 there, and its F0.5 at its own best.
///
/// Raises:
///     InputError: As `score`; for other numbers of labels or masks than predictions.
#[pyfunction]
#[pyo3(signature = (predictions, labels, masks=None))]
pub fn threshold<'py>(
    py: Python<'py>,
    predictions: Vec<Bound<'py, PyAny>>,
    labels: Vec<Bound<'py, PyAny>>,
    masks: Option<Vec<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyAny>> {
    let count = predictions.len();
    let given = [Some(labels.len()), masks.as_ref().map(Vec::len)];
    if count == 0 || given.into_iter().flatten().any(|given| given != count) {
        return Err(input(format!(
            "predictions: found {count}, with {} labels; expected lists of one length, in one order. hint: \
             wrap single arrays, as in threshold([prediction], [labels])",
            labels.len()
        )));
    }
    let mut sheets = Vec::new();
    for (index, (prediction, labels)) in predictions.iter().zip(&labels).enumerate() {
        let mask = masks.as_ref().map(|masks| &masks[index]);
        sheets.push(Sheet::new(prediction, labels, mask)?);
    }
    let figures = work::long(py, |_| {
        let sheets: Vec<Labelled> = sheets.iter().map(Sheet::labelled).collect();
        let best = score_all(&sheets, Threshold::HALF)?;
        Ok(json!({
            "threshold": best.best_threshold,
            "level": best.best_level,
            "f05": best.best_f05,
            "f05_at_half": best.f05,
            "held_out": threshold_transfer(&sheets)?,
        }))
    })?;
    to_python(py, &figures)
}
