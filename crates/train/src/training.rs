use std::collections::BTreeMap;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_augment::Sample;
use inkling_fragment::{Shrink, catch_panic};
use inkling_model::{ModelSettings, Network, save, seed_generator};

use crate::batch::Batch;
use crate::checkpoint::State;
use crate::epoch_stats::EpochStats;
use crate::events::Events;
use crate::freeze;
use crate::gradient_sum::sum_over_ranks;
use crate::loader::Loader;
use crate::loss_scale::LossScale;
use crate::model_ema::ModelEma;
use crate::optimizer::{NamedGradients, Optimizer};
use crate::run::{Epoch, Run};
use crate::running_stats_backup::RunningStatsBackup;
use crate::sample_preview::SamplePreview;
use crate::weight_sum::weight_sum;
use crate::{
    Error, Progress, Ranks, RunFingerprint, TrainSettings, TrainingSet, Validate, Validation,
};

/// Longest side of a validation image in TensorBoard, in pixels.
const LARGEST_PICTURE: usize = 768;

/// Where training stands, for those who show it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The epoch that is under way, from 1.
    pub epoch: u32,
    /// Epochs of the whole run.
    pub epochs: u32,
    /// Optimiser steps taken, over all epochs.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub steps: u64,
    /// Optimiser steps taken in this epoch.
    pub epoch_step: u64,
    /// Optimiser steps of this epoch.
    pub epoch_steps: u64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
}

/// Called back as training goes on, in the manner of Keras and Lightning.
pub trait Callback {
    /// Once it is known that training can start: an old run that this one replaces is gone.
    ///
    /// # Errors
    /// Whatever stands in the way; training ends.
    fn started(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// After every optimiser step.
    fn step(&mut self, step: &Step);
    /// After every epoch, validated and written to disk.
    fn epoch(&mut self, epoch: &Epoch);
    /// A warning, such as a loss that is NaN.
    fn warn(&mut self, text: &str);
}

/// One training: a network, what it trains on, how, and where it is kept.
pub struct Training<'a> {
    /// The network's settings, written beside its weights.
    pub model: &'a ModelSettings,
    /// Loss, optimiser, schedule, batch and epochs: `[train]` of a recipe.
    pub settings: &'a TrainSettings,
    /// The training set.
    pub training_set: &'a TrainingSet,
    /// The device; gradients are switched on here.
    pub device: &'a Device,
    /// Where the run is kept.
    pub run: &'a Run,
    /// What the run is made of; a checkpoint made of something else is refused.
    pub fingerprint: RunFingerprint,
    /// Goes on with data other than the checkpoint's.
    pub allow_changed_data: bool,
    /// The processes that train together; all call [`Training::train`] alike.
    pub ranks: &'a Ranks,
    /// Further metadata for the weights files.
    pub metadata: BTreeMap<String, String>,
}

impl Training<'_> {
    /// Trains `network` (with its first weights) to the last epoch, resuming from the run's
    /// checkpoint where there is one. Returns the epochs, old ones included.
    ///
    /// # Errors
    /// Bad settings, a checkpoint of other settings or data, unreadable data, losses that are NaN or
    /// infinite, a full disk.
    pub fn train(
        &self,
        network: Network,
        validate: &mut dyn Validate,
        callback: &mut dyn Callback,
    ) -> Result<Vec<Epoch>, Error> {
        let state = self.ranks.sync_result(self.begin(network, callback))?;
        let state = self.replace_old_run(state)?;
        let begun = callback.started().and_then(|()| self.resume_from(state));
        let (mut state, mut events) = self.ranks.sync_result(begun)?;
        self.agree_on_start(&state)?;
        while state.progress.epochs < self.settings.epochs {
            let number = state.progress.epochs + 1;
            let epoch = catch_panic(|| self.epoch(state, validate, callback, &mut events));
            let (next, epoch) = epoch.unwrap_or_else(|panic| {
                let what = format!("epoch {number}");
                Err(Error::Fault { what, panic })
            })?;
            state = next;
            callback.epoch(&epoch);
        }
        self.run.epochs()
    }

    /// Removes the run that this one replaces, if there is one, once a first step has shown that
    /// samples, network and device are sound. The step leaves no trace in `state`.
    fn replace_old_run(&self, mut state: State) -> Result<State, Error> {
        let replaces = self.ranks.is_first() && self.run.replaces_another();
        if !self.ranks.any(replaces) {
            return Ok(state);
        }
        state.network = freeze::freeze(state.network.train(), &self.settings.freeze, 1);
        let statistics = RunningStatsBackup::of(&state.network);
        self.first_step(&state)?;
        state.network = statistics.restore_statistics(state.network);
        self.ranks.sync_result(self.run.begin_anew())?;
        Ok(state)
    }

    /// Gradients of the first step's samples, which nobody uses.
    fn first_step(&self, state: &State) -> Result<(), Error> {
        let samples = self.samples();
        let count = samples.min(self.settings.batch * self.settings.accumulate);
        let seed = self.step_seed(0);
        seed_generator(seed);
        rayon::in_place_scope(|scope| {
            let own = self.own_samples(count);
            let mut loader = Loader::start(scope, self.training_set, 0, &own, 0, 1);
            let scale = state.progress.loss_scale.factor();
            let mut stats = EpochStats::default();
            self.gradients(&state.network, &mut loader, count, scale, seed, &mut stats)?;
            Ok(())
        })
    }

    /// Brings the run's folder to where `state` stands, and opens its events (on the first rank).
    fn resume_from(&self, mut state: State) -> Result<(State, Option<Events>), Error> {
        state.network = state.network.train();
        if !self.ranks.is_first() {
            return Ok((state, None));
        }
        self.run.keep_epochs(state.progress.epochs)?;
        self.run.keep_weights(&state.progress.ranking.epochs())?;
        let first = state.progress.steps + 1;
        let events = Events::create(self.run, first)?;
        Ok((state, Some(events)))
    }

    /// All ranks must begin with the same weights, settings and data.
    fn agree_on_start(&self, state: &State) -> Result<(), Error> {
        if self.ranks.size() == 1 {
            return Ok(());
        }
        let progress = serde_json::to_string(&state.progress).expect("progress is plain data");
        let RunFingerprint { settings, data, .. } = &self.fingerprint;
        let weights = weight_sum(&state.network);
        match (self.ranks).all_equal(&format!("{settings}{data:?}{progress}{weights:?}")) {
            true => Ok(()),
            false => Err(Error::Ranks {
                found: "not the same settings, data, first weights and checkpoint on all"
                    .to_owned(),
                expected: "one training",
                hint: "give one command to all, with files that all of them see, and --out in a \
                       folder that they share",
            }),
        }
    }

    /// The first state, or the checkpoint's.
    fn begin(&self, network: Network, callback: &mut dyn Callback) -> Result<State, Error> {
        self.settings.check()?;
        if !self.settings.precision.is_on(self.device) {
            return Err(Error::Setting {
                key: "precision",
                found: format!("{}, which --device lacks", self.settings.precision.name()),
                expected: "\"f32\", or 16 bits on a device that computes in them",
            });
        }
        if self.settings.batch < self.ranks.size() {
            return Err(Error::setting(
                "batch",
                self.settings.batch,
                "a sample for each rank, a batch being that of all ranks together",
            ));
        }
        let ema = self.settings.ema;
        freeze::check(&network, &self.settings.freeze, self.settings.epochs)?;
        let state = State {
            optimizer: Optimizer::of(&network, &self.settings.optimizer),
            network,
            average: (ema > 0.0).then(|| ModelEma::new(ema)),
            progress: Progress {
                loss_scale: LossScale::new(self.settings.precision),
                ..Progress::default()
            },
        };
        let Some((found, tensors)) = self.run.found()? else {
            return Ok(state);
        };
        let path = self.run.resume_path();
        self.fingerprint
            .accept(&found.fingerprint, self.allow_changed_data, &path)?;
        if found.fingerprint.version != self.fingerprint.version {
            callback.warn(&format!(
                "{}: the run began with inkling {}; this is {}, and results may differ",
                path.display(),
                found.fingerprint.version,
                self.fingerprint.version
            ));
        }
        self.run
            .restore(state, found.progress, tensors, self.device)
    }

    fn epoch(
        &self,
        state: State,
        validate: &mut dyn Validate,
        callback: &mut dyn Callback,
        events: &mut Option<Events>,
    ) -> Result<(State, Epoch), Error> {
        let began = Instant::now();
        let number = state.progress.epochs + 1;
        let mut stats = EpochStats::default();
        let network = freeze::freeze(state.network, &self.settings.freeze, number);
        let state = State { network, ..state };
        let mut state = self.pass(state, &mut stats, callback, events)?;
        let train_seconds = began.elapsed().as_secs_f64();

        let closed = self.close(&mut state, number, &stats, train_seconds, validate, events);
        let epoch = self.ranks.sync_result(closed)?;
        Ok((state, epoch))
    }

    /// Ends epoch `number`: the first rank validates it and writes it to disk.
    fn close(
        &self,
        state: &mut State,
        number: u32,
        stats: &EpochStats,
        train_seconds: f64,
        validate: &mut dyn Validate,
        events: &mut Option<Events>,
    ) -> Result<Epoch, Error> {
        let validated = Instant::now();
        let last = number == self.settings.epochs;
        let due = last || number.is_multiple_of(self.settings.validate_every);
        let due = due && self.ranks.is_first();
        let plain = state.network.valid();
        let evaluated = match &state.average {
            Some(average) => average.applied(plain),
            None => plain,
        };
        let validation = match due {
            true => Some(validate.validate(&evaluated).map_err(Error::Validation)?),
            false => None,
        };
        let epoch = Epoch {
            epoch: number,
            loss: stats.mean(),
            learning_rate: self.rate(state.progress.steps.saturating_sub(1)),
            skipped: stats.skipped(),
            train_seconds,
            validation_seconds: validated.elapsed().as_secs_f64(),
            validation,
        };
        if let Some(events) = events {
            self.show(&epoch, stats, validate, state.progress.steps, events)?;
            self.keep(state, &evaluated, &epoch)?;
        }
        state.progress.epochs = number;
        Ok(epoch)
    }

    /// An epoch's metrics and images for TensorBoard. Everything is logged by optimiser steps, so that
    /// what a killed process logged of steps that are made again can be dropped.
    fn show(
        &self,
        epoch: &Epoch,
        stats: &EpochStats,
        validate: &dyn Validate,
        step: u64,
        events: &mut Events,
    ) -> Result<(), Error> {
        events.scalar("epoch/number", step, f64::from(epoch.epoch))?;
        events.scalar("epoch/loss", step, epoch.loss)?;
        events.scalar("epoch/skipped steps", step, f64::from(epoch.skipped))?;
        events.scalar("epoch/seconds", step, epoch.train_seconds)?;
        if let Some(preview) = stats.preview() {
            preview.show(events, step)?;
        }
        let Some(validation) = &epoch.validation else {
            return Ok(());
        };
        events.scalar("validation/F0.5", step, validation.f05)?;
        events.scalar("validation/best F0.5", step, validation.best_f05)?;
        events.scalar("validation/best threshold", step, validation.best_threshold)?;
        let precision = validation.average_precision;
        events.scalar("validation/average precision", step, precision)?;
        for (name, picture) in validate.pictures() {
            let size = [picture.nrows(), picture.ncols()];
            let picture = Shrink::to(size, LARGEST_PICTURE).means(picture);
            events.picture(&format!("validation/{name}"), step, &picture)?;
        }
        Ok(())
    }

    /// Puts an epoch on the disk. Its checkpoint comes last: a crash before it makes the epoch
    /// anew, with the same outcome.
    fn keep(&self, state: &mut State, evaluated: &Network, epoch: &Epoch) -> Result<(), Error> {
        let last = self.run.claim("last.safetensors")?;
        save(&last, evaluated, self.model, &self.metadata, true)?;
        if let Some(validation) = &epoch.validation {
            self.keep_best(state, epoch.epoch, validation)?;
        }
        state.progress.epochs = epoch.epoch;
        self.run.record(epoch)?;
        self.run.checkpoint(state, &self.fingerprint)?;
        self.run.keep_weights(&state.progress.ranking.epochs())
    }

    fn keep_best(
        &self,
        state: &mut State,
        epoch: u32,
        validation: &Validation,
    ) -> Result<(), Error> {
        let (metrics, keep) = (&self.settings.best, self.settings.keep);
        let ranking = &mut state.progress.ranking;
        let first = ranking.enter(metrics, keep, epoch, validation);
        if keep > 1 && ranking.epochs().contains(&epoch) {
            self.run.copy_last(&self.run.epoch_path(epoch))?;
        }
        for metric in first {
            let path = match metric == metrics[0] {
                true => self.run.best_path(),
                false => self.run.best_by_path(metric),
            };
            self.run.copy_last(&path)?;
        }
        Ok(())
    }

    /// One pass over an epoch's samples.
    fn pass(
        &self,
        mut state: State,
        stats: &mut EpochStats,
        callback: &mut dyn Callback,
        events: &mut Option<Events>,
    ) -> Result<State, Error> {
        let epoch = state.progress.epochs;
        let samples = self.samples();
        let per_step = self.settings.batch * self.settings.accumulate;
        rayon::in_place_scope(|scope| {
            let makers = self.makers();
            // No more than the next batch, beside what is in work.
            let ahead = self.settings.batch + makers;
            let own = self.own_samples(samples);
            let mut loader = Loader::start(scope, self.training_set, epoch, &own, makers, ahead);
            for first in (0..samples).step_by(per_step) {
                let count = per_step.min(samples - first);
                state = self.step(state, &mut loader, count, stats, events)?;
                callback.step(&Step {
                    epoch: epoch + 1,
                    epochs: self.settings.epochs,
                    step: state.progress.steps,
                    steps: self.steps(),
                    epoch_step: (first / per_step + 1) as u64,
                    epoch_steps: samples.div_ceil(per_step) as u64,
                    loss: stats.mean(),
                });
            }
            Ok(state)
        })
    }

    /// One optimiser step on the next `count` samples; none where loss or gradients are no
    /// numbers.
    fn step(
        &self,
        mut state: State,
        loader: &mut Loader,
        count: usize,
        stats: &mut EpochStats,
        events: &mut Option<Events>,
    ) -> Result<State, Error> {
        let step = state.progress.steps;
        state.progress.steps += 1;
        let seed = self.step_seed(step);
        seed_generator(seed);
        let statistics = RunningStatsBackup::of(&state.network);
        let scale = state.progress.loss_scale.factor();
        let (mut gradients, loss) =
            self.gradients(&state.network, loader, count, scale, seed, stats)?;
        let norm = gradients.norm();
        let finite = loss.is_finite() && norm.is_finite();
        let shrunk = state.progress.loss_scale.update(finite);
        if !finite {
            state.network = statistics.restore_statistics(state.network);
            match shrunk && loss.is_finite() {
                true => stats.skip_overflow(),
                false => stats.skip(step, &mut state.progress.skipped_in_a_row)?,
            }
            return Ok(state);
        }
        stats.add(loss);
        state.progress.skipped_in_a_row = 0;
        gradients.clip(norm, self.settings.optimizer.clip_norm);
        let rate = self.rate(step);
        let logged = events.as_mut().map_or(Ok(()), |events| {
            events.scalar("train/loss", step + 1, loss)?;
            events.scalar("train/learning rate", step + 1, rate)?;
            events.scalar("train/gradient norm", step + 1, norm)
        });
        self.ranks.sync_result(logged)?;
        state.network = state.optimizer.step(state.network, gradients, rate);
        if let Some(average) = &mut state.average {
            average.update(&state.network);
        }
        Ok(state)
    }

    /// The gradients of the mean loss over the next `count` samples of all ranks, batch by batch,
    /// each rank passing its share of every batch; and that loss. On the way back the loss is
    /// `scale` times as large.
    fn gradients(
        &self,
        network: &Network,
        loader: &mut Loader,
        count: usize,
        scale: f32,
        seed: u64,
        stats: &mut EpochStats,
    ) -> Result<(NamedGradients, f64), Error> {
        let mut sum = NamedGradients::default();
        let mut mean = 0.0;
        let mut taken = 0;
        while taken < count {
            let size = self.settings.batch.min(count - taken);
            let own = self.ranks.share(size).len();
            let samples: Vec<Sample> = self.ranks.sync_result(self.take(loader, own))?;
            let weight = f64::from(scale) * own as f64 / count as f64;
            mean += self.propagate(
                network,
                &samples,
                weight,
                seed ^ taken as u64,
                &mut sum,
                stats,
            ) / f64::from(scale);
            samples
                .into_iter()
                .for_each(|spent| loader.give_back(spent));
            taken += size;
        }
        let mean = sum_over_ranks(self.ranks, &mut sum, mean);
        sum.divide(scale);
        Ok((sum, mean))
    }

    /// The next `count` samples.
    fn take(&self, loader: &mut Loader, count: usize) -> Result<Vec<Sample>, Error> {
        let samples = std::iter::from_fn(|| loader.next_sample()).take(count);
        let samples = samples.collect::<Result<Vec<_>, _>>()?;
        match samples.len() == count {
            true => Ok(samples),
            false => Err(Error::Short {
                found: samples.len(),
                expected: count,
            }),
        }
    }

    /// One pass forward and back: adds to `sum` the gradients of the mean loss over `samples` times
    /// `weight`, and gives that number. A rank that has none passes an empty patch along with the
    /// others, whose norms sum over all ranks.
    fn propagate(
        &self,
        network: &Network,
        samples: &[Sample],
        weight: f64,
        seed: u64,
        sum: &mut NamedGradients,
        stats: &mut EpochStats,
    ) -> f64 {
        let device = self.device.clone().autodiff();
        self.ranks.count_in_statistics(!samples.is_empty());
        let batch = (!samples.is_empty()).then(|| Batch::new(samples, &device));
        let (volume, truth) = match batch {
            Some(batch) => {
                let truth = (batch.labels, batch.validity, batch.supervision);
                (batch.volume, Some(truth))
            }
            None => {
                let (depth, side) = (self.model.depth, self.model.image_size);
                (Tensor::zeros([1, depth, side, side], &device), None)
            }
        };
        let loss = |logits: Tensor<3>| match truth {
            Some((labels, validity, supervision)) => {
                let loss = &self.settings.loss;
                loss.forward(logits, labels, validity, supervision) * weight
            }
            None => logits.sum() * 0.0,
        };
        let passed = self.settings.precision.within(|| {
            network.backpropagate(
                volume,
                self.settings.checkpoint_gradients,
                Some(seed),
                loss,
                |network, gradients| sum.add(network, gradients),
            )
        });
        if let Some(first) = samples.first() {
            stats.preview_once(|| SamplePreview::new(first, &passed.logits));
        }
        f64::from(passed.loss.into_scalar::<f32>())
    }

    /// The places of this rank's samples among an epoch's `samples`.
    fn own_samples(&self, samples: usize) -> Vec<usize> {
        let per_step = self.settings.batch * self.settings.accumulate;
        let mut own = Vec::new();
        for step in (0..samples).step_by(per_step) {
            let end = samples.min(step + per_step);
            for batch in (step..end).step_by(self.settings.batch) {
                let size = self.settings.batch.min(end - batch);
                own.extend(self.ranks.share(size).map(|place| batch + place));
            }
        }
        own
    }

    fn samples(&self) -> usize {
        let papyrus = self.training_set.papyrus();
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

    /// Dropout draws the same at the same step, however often the run was interrupted, and
    /// another on each rank.
    fn step_seed(&self, step: u64) -> u64 {
        let rank = self.ranks.rank() as u64;
        self.settings.seed
            ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ rank.wrapping_mul(0xD1B5_4A32_D192_ED03)
    }

    /// Threads that may make samples at once; none beside a lone thread, which makes each sample when
    /// it is wanted.
    fn makers(&self) -> usize {
        match (rayon::current_num_threads(), self.settings.loaders) {
            (1, _) => 0,
            (threads, 0) => threads - 1,
            (threads, loaders) => loaders.min(threads),
        }
    }
}
