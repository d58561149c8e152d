//! Predictions with the labels and masks that belong to them, as `score` and `calibrate` take them.

use std::path::{Path, PathBuf};

use inkling_fragment::{read_drawn, read_labels, read_probability};
use inkling_pipeline::Usage;
use inkling_predict::Labelled;
use ndarray::Array2;

use crate::cli::LabelReading;

/// A prediction with what is known of its sheet, all (y, x).
pub struct LabelledSheet {
    /// The prediction's path.
    pub name: String,
    image: Array2<u8>,
    labels: Array2<bool>,
    mask: Array2<bool>,
}

impl LabelledSheet {
    /// Reads predictions with their labels and masks, each in the same order.
    ///
    /// # Errors
    /// [`Usage`] where their numbers differ; those of reading.
    pub fn read_all(
        predictions: &[PathBuf],
        labels: &[PathBuf],
        masks: &[PathBuf],
        reading: &LabelReading,
    ) -> anyhow::Result<Vec<Self>> {
        one_each("--labels", labels, predictions)?;
        one_each("--mask", masks, predictions)?;
        let sheets = predictions.iter().zip(labels).zip(masks);
        sheets
            .map(|((prediction, labels), mask)| Self::read(prediction, labels, mask, reading))
            .collect()
    }

    fn read(
        prediction: &Path,
        labels: &Path,
        mask: &Path,
        reading: &LabelReading,
    ) -> anyhow::Result<Self> {
        let labels = read_labels(labels, &[], reading.options())?;
        let mask = read_drawn(mask)?;
        Ok(Self {
            name: prediction.display().to_string(),
            image: read_probability(prediction)?,
            labels,
            mask,
        })
    }

    /// What is compared.
    pub fn labelled(&self) -> Labelled<'_> {
        Labelled {
            image: &self.image,
            labels: &self.labels,
            mask: &self.mask,
        }
    }
}

/// Whether there is one of `given` for each prediction.
///
/// # Errors
/// [`Usage`] where there is not.
pub fn one_each(flag: &str, given: &[PathBuf], predictions: &[PathBuf]) -> Result<(), Usage> {
    let (found, count) = (given.len(), predictions.len());
    match found == count {
        true => Ok(()),
        false => Err(Usage(format!(
            "{flag}: found {found} images; expected one for each of the {count} predictions, in their order"
        ))),
    }
}
