use inkling_model::Precision;
use serde::{Deserialize, Serialize};

use crate::tta::rotations;
use crate::{Error, Pass, Tta};

/// `[predict]` in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PredictSettings {
    /// Test-time augmentation.
    pub tta: Tta,
    /// Further passes at free angles, averaged where they see the tile.
    pub rotations: usize,
    /// Distance between tiles, as a share of their side.
    pub step: f64,
    /// Tiles that go through the network at once.
    pub batch: usize,
    /// What is averaged over passes and models.
    pub average: Average,
    /// How exactly networks multiply.
    pub precision: Precision,
}

/// What is averaged over passes, tiles and models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Average {
    /// Probabilities, as the write-up has it.
    Probabilities,
    /// Logits within a tile's passes; tiles and models are averaged as probabilities.
    Logits,
}

impl Default for PredictSettings {
    fn default() -> Self {
        Self {
            tta: Tta::Full,
            rotations: 0,
            step: 0.5,
            batch: 4,
            average: Average::Probabilities,
            precision: Precision::F32,
        }
    }
}

impl PredictSettings {
    /// All passes, those of `tta` first.
    pub fn passes(&self) -> Vec<Pass> {
        let mut passes = self.tta.passes();
        passes.extend(rotations(self.rotations));
        passes
    }

    /// Pixels between tiles of `side` px.
    pub fn step_of(&self, side: usize) -> usize {
        ((side as f64 * self.step).round() as usize).clamp(1, side)
    }

    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected| {
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        if !(self.step > 0.0 && self.step <= 1.0) {
            return wrong("step", self.step.to_string(), "a share above 0, at most 1");
        }
        if self.batch == 0 {
            return wrong("batch", "0".to_owned(), "at least 1");
        }
        Ok(())
    }
}
