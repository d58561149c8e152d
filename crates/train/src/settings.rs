use inkling_model::Precision;
use serde::{Deserialize, Serialize};

use crate::{Error, Loss, Metric, OptimizerSettings, Schedule};

/// `[train]` in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Everything random follows from it.
    pub seed: u64,
    /// Passes; see `samples_per_epoch`.
    pub epochs: u32,
    /// Samples in one pass through the network, of all ranks together.
    pub batch: usize,
    /// Passes through the network per optimiser step.
    pub accumulate: usize,
    /// Samples per epoch; 0 takes as many as patches cover the training papyrus once.
    pub samples_per_epoch: usize,
    /// Validates after every so many epochs (and after the last).
    pub validate_every: u32,
    /// The figures of validation by which the best weights are kept; the first one's are
    /// `best.safetensors`.
    pub best: Vec<Metric>,
    /// How many best epochs are kept by each figure; from 2 on as `epoch-NNNN.safetensors`.
    pub keep: usize,
    /// Decay of an exponential moving average of the weights, which then is what is validated
    /// and kept; 0 keeps none.
    pub ema: f64,
    /// How exactly convolutions and linear layers multiply: "f32", "bf16" or "f16", where the
    /// device has it. Weights and optimiser stay in 32 bits; with "f16" losses are scaled.
    pub precision: Precision,
    /// Threads that prepare samples; 0 takes all but one.
    pub loaders: usize,
    /// The optimiser's constants.
    pub optimizer: OptimizerSettings,
    /// The learning rate's course.
    pub schedule: Schedule,
    /// What is minimised.
    pub loss: Loss,
}

impl Default for TrainSettings {
    /// The write-up's recipe.
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 64,
            batch: 3,
            accumulate: 3,
            samples_per_epoch: 0,
            validate_every: 1,
            best: vec![Metric::F05],
            keep: 1,
            ema: 0.0,
            precision: Precision::F32,
            loaders: 0,
            optimizer: OptimizerSettings::default(),
            schedule: Schedule::default(),
            loss: Loss::default(),
        }
    }
}

impl TrainSettings {
    /// # Errors
    /// [`Error::Setting`] naming the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let at_least_one = [
            ("epochs", self.epochs as usize),
            ("batch", self.batch),
            ("accumulate", self.accumulate),
            ("validate_every", self.validate_every as usize),
            ("keep", self.keep),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                return Err(Error::setting(key, value, "at least 1"));
            }
        }
        if self.best.is_empty() {
            return Err(Error::setting("best", "[]", "at least one figure"));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting("ema", self.ema, "a number in [0, 1)"));
        }
        self.optimizer.check()?;
        self.schedule.check()?;
        self.loss.check()
    }

    /// How many samples make an epoch over `papyrus` pixels of training papyrus with square
    /// patches of `image_size` px.
    pub fn epoch_samples(&self, papyrus: &[usize], image_size: usize) -> usize {
        if self.samples_per_epoch > 0 {
            return self.samples_per_epoch;
        }
        let patch = image_size * image_size;
        papyrus.iter().map(|pixels| pixels.div_ceil(patch)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_covers_every_fragment_once() {
        let settings = TrainSettings::default();
        assert_eq!(settings.epoch_samples(&[100, 101], 10), 1 + 2);
        let fixed = TrainSettings {
            samples_per_epoch: 7,
            ..settings
        };
        assert_eq!(fixed.epoch_samples(&[100, 101], 10), 7);
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let mut settings = TrainSettings::default();
        settings.optimizer.learning_rate = f64::NAN;
        let message = settings.check().unwrap_err().to_string();
        assert!(message.contains("learning_rate"), "{message}");
    }
}
