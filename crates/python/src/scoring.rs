//! Scores of predictions, and the best threshold.

use inkling_pipeline::threshold_transfer;
use inkling_predict::{Bare, Labelled, Threshold, score_all, threshold_for_bare};
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

/// A threshold as it is given from Python.
#[derive(FromPyObject)]
pub enum GivenThreshold {
    /// One probability.
    One(f64),
    /// The first and the second of a hysteresis threshold.
    Two(f64, f64),
}

impl GivenThreshold {
    fn checked(&self) -> PyResult<Threshold> {
        let (found, said) = match *self {
            Self::One(one) => (Threshold::new(one), format!("{one}")),
            Self::Two(low, high) => (
                Threshold::new(low)
                    .zip(Threshold::new(high))
                    .and_then(|(low, high)| low.with_high(high)),
                format!("({low}, {high})"),
            ),
        };
        found.ok_or_else(|| {
            input(format!(
                "threshold: found {said}; expected a probability, 0 to 1, or two of which the second is no lower"
            ))
        })
    }
}

/// Scores a prediction against labels over its papyrus, as the competition does.
///
/// Args:
///     prediction: Probability of ink (y, x): floats from 0 to 1, which are rounded to 256 levels, or uint8.
///     labels: Where there is ink, bool (y, x).
///     mask: Where there is papyrus, bool (y, x); everywhere by default.
///     threshold: From which probability on a pixel is ink; or (low, high), and a region of pixels from low on
///         is ink where it reaches high.
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
#[pyo3(signature = (prediction, labels, mask=None, *, threshold=GivenThreshold::One(0.5)), text_signature = "(prediction, labels, mask=None, *, threshold=0.5)")]
pub fn score<'py>(
    py: Python<'py>,
    prediction: &Bound<'py, PyAny>,
    labels: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threshold: GivenThreshold,
) -> PyResult<Bound<'py, PyAny>> {
    let sheet = Sheet::new(prediction, labels, mask)?;
    let cut = threshold.checked()?;
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
///     bare: Probabilities (y, x) of papyrus that is known to have no ink, for each such sheet. A pair of
///         thresholds is then found, as `score` takes it: the one with the best F0.5 among those that leave
///         hardly any ink on these.
///     bare_masks: Where there is papyrus, bool (y, x), for each of them; everywhere by default.
///     bare_share: Largest share of such papyrus that may be called ink, with a confidence of 95 %.
///
/// Returns:
///     dict: "threshold" and its "level" of 0 to 255, "f05" there and "f05_at_half", and "held_out": for each
///     sheet the best threshold of the others, its F0.5 there, and its F0.5 at its own best. With `bare` also
///     "high_threshold", "bare_share": how much of the bare papyrus is still called ink, and "bare_limit": how
///     much of more of it will be at most.
///
/// Raises:
///     InputError: As `score`; for other numbers of labels or masks than predictions; for bare papyrus that no
///         threshold clears.
#[pyfunction]
#[pyo3(signature = (predictions, labels, masks=None, *, bare=vec![], bare_masks=None, bare_share=0.001), text_signature = "(predictions, labels, masks=None, *, bare=(), bare_masks=None, bare_share=0.001)")]
pub fn threshold<'py>(
    py: Python<'py>,
    predictions: Vec<Bound<'py, PyAny>>,
    labels: Vec<Bound<'py, PyAny>>,
    masks: Option<Vec<Bound<'py, PyAny>>>,
    bare: Vec<Bound<'py, PyAny>>,
    bare_masks: Option<Vec<Bound<'py, PyAny>>>,
    bare_share: f64,
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
    let bare = bare_sheets(&bare, bare_masks.as_deref(), bare_share)?;
    let figures = work::long(py, |_| {
        let sheets: Vec<Labelled> = sheets.iter().map(Sheet::labelled).collect();
        let best = score_all(&sheets, Threshold::HALF)?;
        let mut figures = json!({
            "threshold": best.best_threshold,
            "level": best.best_level,
            "f05": best.best_f05,
            "f05_at_half": best.f05,
            "held_out": threshold_transfer(&sheets)?,
        });
        if !bare.is_empty() {
            let bare: Vec<Bare> = bare
                .iter()
                .map(|(image, mask)| Bare { image, mask })
                .collect();
            let found = threshold_for_bare(&sheets, &bare, bare_share)?;
            let high = found.threshold.high().unwrap_or(found.threshold);
            figures["threshold"] = json!(found.threshold.probability());
            figures["level"] = json!(found.threshold.level());
            figures["high_threshold"] = json!(high.probability());
            figures["f05"] = json!(found.f05);
            figures["bare_share"] = json!(found.bare_share);
            figures["bare_limit"] = json!(found.bare_limit);
        }
        Ok(figures)
    })?;
    to_python(py, &figures)
}

/// The images and masks of bare sheets.
fn bare_sheets(
    bare: &[Bound<PyAny>],
    masks: Option<&[Bound<PyAny>]>,
    share: f64,
) -> PyResult<Vec<(Array2<u8>, Array2<bool>)>> {
    if !(0.0..1.0).contains(&share) {
        return Err(input(format!(
            "bare_share: found {share}; expected a share from 0 to 1, such as 0.001"
        )));
    }
    if masks.is_some_and(|masks| masks.len() != bare.len()) {
        return Err(input(format!(
            "bare_masks: found {}; expected one for each of the {} bare sheets",
            masks.map_or(0, <[_]>::len),
            bare.len()
        )));
    }
    let mut sheets = Vec::new();
    for (index, image) in bare.iter().enumerate() {
        let image = Given::new("bare", image, "(y, x)")?.levels()?;
        let mask = match masks {
            Some(masks) => mask_of("bare_masks", &masks[index], [image.nrows(), image.ncols()])?,
            None => Array2::from_elem(image.dim(), true),
        };
        sheets.push((image, mask));
    }
    Ok(sheets)
}
