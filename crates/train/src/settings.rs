use std::collections::BTreeMap;

use inkling_model::{Precision, Recompute};
use serde::{Deserialize, Serialize};

use crate::{Error, Freeze, Loss, Metric, OptimizerSettings, Schedule};

/// `[train]` in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Seed of everything random: first weights, order, transforms, dropout.
    pub seed: u64,
    /// Epochs to train; see `samples_per_epoch` for how long one is.
    pub epochs: u32,
    /// Samples in one pass through the network, of all ranks together.
    pub batch: usize,
    /// Passes through the network per optimiser step.
    pub accumulate: usize,
    /// Samples per epoch; 0 takes as many as patches cover the training papyrus once.
    pub samples_per_epoch: usize,
    /// The share of the samples that each scroll or fragment gets, by its name, as { "Paris4" = 0.3, "1667" = 0.7 };
    /// within a scroll (`data.scrolls`) by papyrus. All that is trained on has a share, or none has:
    /// then fragments are drawn by their papyrus.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, f64>,
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
    /// device has it ("int8" is for predictions). Weights and optimiser stay in 32 bits; with "f16" losses are scaled.
    pub precision: Precision,
    /// How many of the threads may prepare samples at once; 0 takes all but one.
    pub loaders: usize,
    /// What is not trained, and until when.
    pub freeze: Vec<Freeze>,
    /// Gradient checkpointing: what a forward pass keeps of the encoder for the backward pass: "nothing" is computed again (the
    /// fastest), or the insides of "stages" or of "blocks" are (the least memory).
    pub checkpoint_gradients: Recompute,
    /// The rule that moves the weights: learning rate, decay, moments, gradient clipping.
    pub optimizer: OptimizerSettings,
    /// The learning rate over all steps: warm-up, then decay.
    pub schedule: Schedule,
    /// The loss that is minimised: a weighted sum of terms.
    pub loss: Loss,
}

impl Default for TrainSettings {
    /// The recipe of the 13th-place solution.
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 64,
            batch: 3,
            accumulate: 3,
            samples_per_epoch: 0,
            quotas: BTreeMap::new(),
            validate_every: 1,
            best: vec![Metric::F05],
            keep: 1,
            ema: 0.0,
            precision: Precision::F32,
            loaders: 0,
            freeze: Vec::new(),
            checkpoint_gradients: Recompute::Nothing,
            optimizer: OptimizerSettings::default(),
            schedule: Schedule::default(),
            loss: Loss::default(),
        }
    }
}

const MOST_EPOCHS: &str = "1 to 1,000,000, which no training reaches";
const MOST_PASSED: &str = "1 to 65,536, more samples than any device holds or a step gains from";
const MOST_SAMPLES: &str = "0 to 10,000,000, since an epoch's samples are listed in memory";
const MOST_KEPT: &str = "1 to 9,999, since the kept files are numbered by four digits";
const MOST_LOADERS: &str = "0 to 1,024, the most threads that --threads gives";

fn is_share(share: f64) -> bool {
    share > 0.0 && share.is_finite()
}

impl TrainSettings {
    /// # Errors
    /// [`Error::Setting`] naming the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let counts = [
            ("epochs", self.epochs as usize, 1..=1_000_000, MOST_EPOCHS),
            ("batch", self.batch, 1..=65_536, MOST_PASSED),
            ("accumulate", self.accumulate, 1..=65_536, MOST_PASSED),
            (
                "samples_per_epoch",
                self.samples_per_epoch,
                0..=10_000_000,
                MOST_SAMPLES,
            ),
            (
                "validate_every",
                self.validate_every as usize,
                1..=1_000_000,
                MOST_EPOCHS,
            ),
            ("keep", self.keep, 1..=9_999, MOST_KEPT),
            ("loaders", self.loaders, 0..=1_024, MOST_LOADERS),
        ];
        for (key, value, range, expected) in counts {
            if !range.contains(&value) {
                return Err(Error::setting(key, value, expected));
            }
        }
        if let Some((name, share)) = self.quotas.iter().find(|(_, share)| !is_share(**share)) {
            let found = format!("{name} = {share}");
            return Err(Error::setting("quotas", found, "shares above 0"));
        }
        if self.best.is_empty() {
            return Err(Error::setting("best", "[]", "at least one figure"));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting("ema", self.ema, "a number in [0, 1)"));
        }
        if self.precision == Precision::Int8 {
            let expected =
                "\"f32\", \"bf16\" or \"f16\": int8 has no gradients, and is for predictions";
            return Err(Error::setting("precision", "\"int8\"", expected));
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
    fn counts_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut TrainSettings);
        let changes: [(&str, Change); 11] = [
            ("epochs", |s| s.epochs = 1_000_000_000),
            ("epochs", |s| s.epochs = 0),
            ("batch", |s| s.batch = 1_000_000_000),
            ("accumulate", |s| s.accumulate = usize::MAX),
            ("samples_per_epoch", |s| s.samples_per_epoch = 1_000_000_000),
            ("validate_every", |s| s.validate_every = u32::MAX),
            ("keep", |s| s.keep = 1_000_000_000),
            ("loaders", |s| s.loaders = 1_000_000_000),
            ("ema", |s| s.ema = f64::NAN),
            ("precision", |s| s.precision = Precision::Int8),
            ("optimizer.epsilon", |s| s.optimizer.epsilon = f64::INFINITY),
        ];
        for (key, change) in changes {
            let mut settings = TrainSettings::default();
            change(&mut settings);
            let message = settings.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("train.{key}: found")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let mut settings = TrainSettings::default();
        settings.optimizer.learning_rate = f64::NAN;
        let message = settings.check().unwrap_err().to_string();
        assert!(message.contains("learning_rate"), "{message}");
    }
}
