use inkling_model::Precision;
use serde::{Deserialize, Serialize};

use crate::tta::rotations;
use crate::{BlendWindow, Error, InferenceRules, Pass, Tta};

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
    pub average: AverageSpace,
    /// Precision of convolutions and linear layers.
    pub precision: Precision,
    /// By whose rules tiles are laid, weighted and turned into grey levels.
    pub rules: InferenceRules,
    /// The weights of a tile's pixels where tiles overlap; the rules' own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blend: Option<BlendWindow>,
}

/// What is averaged over passes, tiles and models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AverageSpace {
    /// Probabilities, as the reference solution has it.
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
            average: AverageSpace::Probabilities,
            precision: Precision::F32,
            rules: InferenceRules::Reference,
            blend: None,
        }
    }
}

/// Shortest distance between tiles, as a share of their side.
const SMALLEST_STEP: f64 = 1.0 / 32.0;
/// Most tiles in work at once.
const MOST_AT_ONCE: usize = 65_536;
/// Most passes at free angles.
const MOST_ROTATIONS: usize = 360;

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
        if !(SMALLEST_STEP..=1.0).contains(&self.step) {
            let expected = "a share from 1/32, where every pixel is seen 1,024 times, to 1";
            return wrong("step", self.step.to_string(), expected);
        }
        if !(1..=MOST_AT_ONCE).contains(&self.batch) {
            let expected = "1 to 65,536 tiles, more than any device holds";
            return wrong("batch", self.batch.to_string(), expected);
        }
        if self.rotations > MOST_ROTATIONS {
            let expected = "at most 360, one for each degree";
            return wrong("rotations", self.rotations.to_string(), expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut PredictSettings);
        let changes: [(&str, Change); 7] = [
            ("step", |s| s.step = f64::NAN),
            ("step", |s| s.step = 1e-9),
            ("step", |s| s.step = -0.5),
            ("step", |s| s.step = 1.5),
            ("batch", |s| s.batch = 0),
            ("batch", |s| s.batch = 1_000_000_000),
            ("rotations", |s| s.rotations = usize::MAX),
        ];
        for (key, change) in changes {
            let mut settings = PredictSettings::default();
            change(&mut settings);
            let message = settings.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("predict.{key}: found")),
                "{message}"
            );
        }
        PredictSettings::default().check().unwrap();
    }
}
