//! Judges a network on all of a fold's held-out papyrus together.

use inkling_model::Network;
use inkling_predict::{HeldOut, Threshold, score};
use inkling_train::{Validate, Validation};
use ndarray::Array2;

/// The held-out fragments. Their pixels count alike, as if they were one sheet.
pub struct Validator {
    sheets: Vec<(String, HeldOut)>,
    painted: Vec<Array2<u8>>,
}

impl Validator {
    /// Judges on `sheets`, each under its name.
    pub fn new(sheets: Vec<(String, HeldOut)>) -> Self {
        let painted = Vec::new();
        Self { sheets, painted }
    }
}

impl Validate for Validator {
    fn validate(
        &mut self,
        network: &Network,
    ) -> Result<Validation, Box<dyn std::error::Error + Send + Sync>> {
        let (mut levels, mut ink) = (Vec::new(), Vec::new());
        self.painted.clear();
        for (_, sheet) in &self.sheets {
            let image = sheet.paint(network)?;
            for ((&papyrus, &level), &label) in sheet.mask.iter().zip(&image).zip(&sheet.labels) {
                if papyrus {
                    levels.push(level);
                    ink.push(label);
                }
            }
            self.painted.push(image);
        }
        let size = (1, levels.len());
        let papyrus = Array2::from_elem(size, true);
        let levels = Array2::from_shape_vec(size, levels)?;
        let ink = Array2::from_shape_vec(size, ink)?;
        let score = score(&levels, &ink, &papyrus, Threshold::HALF)?;
        Ok(Validation {
            f05: score.f05,
            best_f05: score.best_f05,
            best_threshold: score.best_threshold,
            average_precision: score.average_precision,
        })
    }

    fn pictures(&self) -> Vec<(&str, &Array2<u8>)> {
        let names = self.sheets.iter().map(|(name, _)| name.as_str());
        names.zip(&self.painted).collect()
    }
}
