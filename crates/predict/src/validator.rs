//! Validates a network on all of a fold's held-out fragments together.

use inkling_model::Network;
use inkling_train::{Validate, Validation};
use ndarray::Array2;

use crate::{HeldOut, Labelled, Threshold, score_all};

/// The held-out fragments of a fold. All their validated pixels count alike, as if they were one
/// sheet.
pub struct Validator {
    sheets: Vec<(String, HeldOut)>,
    predicted: Vec<Array2<u8>>,
}

impl Validator {
    /// Validates on `sheets`, each under its name.
    pub fn new(sheets: Vec<(String, HeldOut)>) -> Self {
        let predicted = Vec::new();
        Self { sheets, predicted }
    }
}

impl Validate for Validator {
    fn validate(
        &mut self,
        network: &Network,
    ) -> Result<Validation, Box<dyn std::error::Error + Send + Sync>> {
        self.predicted.clear();
        for (_, sheet) in &self.sheets {
            self.predicted.push(sheet.predict(network)?);
        }
        let sheets = self.sheets.iter().zip(&self.predicted);
        let sheets: Vec<Labelled> = sheets
            .map(|((_, sheet), image)| Labelled {
                image,
                labels: &sheet.labels,
                mask: &sheet.mask,
            })
            .collect();
        let score = score_all(&sheets, Threshold::HALF)?;
        Ok(Validation {
            f05: score.f05,
            best_f05: score.best_f05,
            best_threshold: score.best_threshold,
            average_precision: score.average_precision,
        })
    }

    fn pictures(&self) -> Vec<(&str, &Array2<u8>)> {
        let names = self.sheets.iter().map(|(name, _)| name.as_str());
        names.zip(&self.predicted).collect()
    }
}
