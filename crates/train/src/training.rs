use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_augment::Sample;
use inkling_model::{ModelSettings, Network};

use crate::loader::Loader;
use crate::optimizer::{NamedGradients, Optimizer};
use crate::run::{Epoch, Progress, Run};
use crate::{Error, Examples, TrainSettings, Validate};

/// Skipped steps in a row after which training stops.
const SKIPS_TOLERATED: u32 = 5;

/// Where training stands, for those who show it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Epoch, from 1.
    pub epoch: u32,
    /// All epochs.
    pub epochs: u32,
    /// Optimiser steps taken, over all epochs.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
}

/// Hears of progress.
pub trait Watch {
    /// After every optimiser step.
    fn step(&mut self, step: &Step);
    /// After every epoch.
    fn epoch(&mut self, epoch: &Epoch);
}

/// One training: a network, what it learns from, how, and where it is kept.
pub struct Training<'a> {
    /// The network's settings, written beside its weights.
    pub model: &'a ModelSettings,
    /// How to train.
    pub settings: &'a TrainSettings,
    /// What to learn from.
    pub examples: &'a Examples,
    /// The device; gradients are switched on here.
    pub device: &'a Device,
    /// Where the run is kept.
    pub run: &'a Run,
    /// Hash of settings and data; a checkpoint with another is refused.
    pub fingerprint: String,
    /// Further metadata for the weights files.
    pub metadata: BTreeMap<String, String>,
}

impl Training<'_> {
    /// Trains `network` (with its first weights) to the last epoch, going on from the run's
    /// checkpoint where there is one. Returns the epochs, old ones included.
    ///
    /// # Errors
    /// Bad settings, a checkpoint of other settings or data, unreadable data, losses that are no
    /// numbers, a full disk.
    pub fn train(
        &self,
        network: Network,
        validate: &mut dyn Validate,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Epoch>, Error> {
        self.settings.check()?;
        let mut optimizer = Optimizer::new(&self.settings.optimizer);
        let (network, progress) = self.run.restore(network, &mut optimizer, self.device)?;
        let mut progress = self.accept(progress)?;
        self.run.keep_epochs(progress.epochs)?;
        let mut network = network.train();
        while progress.epochs < self.settings.epochs {
            let (trained, epoch) =
                self.epoch(network, &mut optimizer, &mut progress, validate, watch)?;
            network = trained;
            self.run.record(&epoch)?;
            watch.epoch(&epoch);
        }
        self.run.epochs()
    }

    fn accept(&self, progress: Option<Progress>) -> Result<Progress, Error> {
        let fresh = Progress {
            fingerprint: self.fingerprint.clone(),
            ..Progress::default()
        };
        let progress = progress.unwrap_or(fresh);
        if progress.fingerprint == self.fingerprint {
            return Ok(progress);
        }
        Err(Error::Run {
            path: self.run.last_path(),
            found: "a checkpoint of other settings or other data".to_owned(),
            expected: "the settings and data that the run began with".to_owned(),
            mend: "restore them, or begin anew with --force".to_owned(),
        })
    }

    fn epoch(
        &self,
        network: Network,
        optimizer: &mut Optimizer,
        progress: &mut Progress,
        validate: &mut dyn Validate,
        watch: &mut dyn Watch,
    ) -> Result<(Network, Epoch), Error> {
        let began = Instant::now();
        let number = progress.epochs + 1;
        let mut tally = Tally::default();
        let network = self.pass(network, optimizer, progress, &mut tally, watch)?;
        let train_seconds = began.elapsed().as_secs_f64();

        let validated = Instant::now();
        let last = number == self.settings.epochs;
        let due = last || number.is_multiple_of(self.settings.validate_every);
        let plain = network.valid();
        let validation = match due {
            true => Some(validate.validate(&plain).map_err(Error::Validation)?),
            false => None,
        };
        let score = validation.as_ref().map(|validation| validation.f05);
        let better = score.is_some_and(|f05| progress.best.is_none_or(|(best, _)| f05 > best));
        if better {
            progress.best = score.map(|f05| (f05, number));
        }
        progress.epochs = number;
        self.run.checkpoint(&plain, self, optimizer, progress)?;
        if better {
            self.run.keep_as_best()?;
        }
        let epoch = Epoch {
            epoch: number,
            loss: tally.mean(),
            learning_rate: self.rate(progress.steps.saturating_sub(1)),
            skipped: tally.skipped,
            train_seconds,
            validation_seconds: validated.elapsed().as_secs_f64(),
            validation,
        };
        Ok((network, epoch))
    }

    /// One pass over an epoch's samples.
    fn pass(
        &self,
        mut network: Network,
        optimizer: &mut Optimizer,
        progress: &mut Progress,
        tally: &mut Tally,
        watch: &mut dyn Watch,
    ) -> Result<Network, Error> {
        let epoch = progress.epochs;
        let samples = self.samples();
        let per_step = self.settings.batch * self.settings.accumulate;
        std::thread::scope(|scope| {
            let threads = self.loader_threads();
            let ahead = per_step.div_ceil(threads) + 1;
            let mut loader = Loader::start(scope, self.examples, epoch, 0..samples, threads, ahead);
            for first in (0..samples).step_by(per_step) {
                let count = per_step.min(samples - first);
                self.device.seed(self.step_seed(progress.steps));
                let (gradients, loss) = self.gradients(&network, &mut loader, count)?;
                if tally.add(loss, progress.steps)? {
                    let rate = self.rate(progress.steps);
                    network = optimizer.step(network, self.clipped(gradients), rate);
                }
                progress.steps += 1;
                watch.step(&Step {
                    epoch: epoch + 1,
                    epochs: self.settings.epochs,
                    step: progress.steps,
                    steps: self.steps(),
                    loss: tally.mean(),
                });
            }
            Ok(network)
        })
    }

    /// The gradients of the mean loss over the next `count` samples, batch by batch.
    fn gradients(
        &self,
        network: &Network,
        loader: &mut Loader,
        count: usize,
    ) -> Result<(NamedGradients, f64), Error> {
        let device = self.device.clone().autodiff();
        let mut sum = NamedGradients::default();
        let mut mean = 0.0;
        let mut taken = 0;
        while taken < count {
            let size = self.settings.batch.min(count - taken);
            let samples: Vec<Sample> = (0..size)
                .filter_map(|_| loader.next_sample())
                .collect::<Result<_, _>>()?;
            let share = samples.len() as f64 / count as f64;
            let batch = Batch::new(&samples, &device);
            let logits = network.forward(batch.volume);
            let loss = self
                .settings
                .loss
                .forward(logits, batch.labels, batch.validity)
                * share;
            mean += f64::from(loss.clone().into_scalar::<f32>());
            sum.add(network, &loss.backward());
            taken += size;
        }
        Ok((sum, mean))
    }

    fn clipped(&self, mut gradients: NamedGradients) -> NamedGradients {
        let limit = self.settings.optimizer.clip_norm;
        if limit > 0.0 {
            let norm = gradients.norm();
            if norm > limit {
                // PyTorch's clip_grad_norm_ adds the same 1e-6.
                gradients.scale(limit / (norm + 1e-6));
            }
        }
        gradients
    }

    fn samples(&self) -> usize {
        let papyrus = self.examples.papyrus();
        self.settings.epoch_samples(papyrus, self.model.image_size)
    }

    fn steps(&self) -> u64 {
        let per_step = self.settings.batch * self.settings.accumulate;
        self.samples().div_ceil(per_step) as u64 * u64::from(self.settings.epochs)
    }

    fn rate(&self, step: u64) -> f64 {
        let factor = self.settings.schedule.factor(step, self.steps());
        self.settings.optimizer.learning_rate * factor
    }

    /// Dropout draws the same at the same step, however often the run was interrupted.
    fn step_seed(&self, step: u64) -> u64 {
        self.settings.seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn loader_threads(&self) -> usize {
        match self.settings.loaders {
            0 => {
                std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
            }
            threads => threads,
        }
    }
}

/// The mean of an epoch's losses.
#[derive(Default)]
struct Tally {
    sum: f64,
    count: u32,
    skipped: u32,
    skipped_in_a_row: u32,
}

impl Tally {
    /// Counts a step's loss and says whether the step may be taken.
    fn add(&mut self, loss: f64, step: u64) -> Result<bool, Error> {
        if loss.is_finite() {
            self.sum += loss;
            self.count += 1;
            self.skipped_in_a_row = 0;
            return Ok(true);
        }
        self.skipped += 1;
        self.skipped_in_a_row += 1;
        if self.skipped_in_a_row < SKIPS_TOLERATED {
            return Ok(false);
        }
        Err(Error::NotANumber {
            count: self.skipped_in_a_row,
            step,
        })
    }

    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

/// Samples stacked on the device.
struct Batch {
    volume: Tensor<4>,
    labels: Tensor<3>,
    validity: Tensor<3>,
}

impl Batch {
    fn new(samples: &[Sample], device: &Device) -> Self {
        let (depth, height, width) = samples[0].volume.dim();
        let map = |values: Vec<f32>| {
            let data = TensorData::new(values, [samples.len(), height, width]);
            Tensor::from_data(data, device)
        };
        let volume = samples
            .iter()
            .flat_map(|s| s.volume.iter().copied())
            .collect();
        let data = TensorData::new(volume, [samples.len(), depth, height, width]);
        Self {
            volume: Tensor::from_data(data, device),
            labels: map(samples
                .iter()
                .flat_map(|s| s.labels.iter().copied())
                .collect()),
            validity: map(samples
                .iter()
                .flat_map(|s| s.validity.iter().copied())
                .collect()),
        }
    }
}
