//! Trains one fold of a recipe: some fragments are trained on, the others validated on.

use std::path::Path;

use burn::tensor::Device;
use inkling_augment::{TestTransform, TrainTransform};
use inkling_fragment::{Fragment, Volume};
use inkling_model::Network;
use inkling_model::weights::parameter_count;
use inkling_predict::{HeldOut, Validator};
use inkling_train::{Epoch, Error, Run, Training, TrainingFragment, TrainingSet};
use serde_json::Value;

use crate::first_weights::{first_network, recorded_first_weights};
use crate::fold::Fold;
use crate::fold_areas::FoldAreas;
use crate::margin::near_held_out;
use crate::memory::{Budget, PROGRAM};
use crate::quotas::quota_shares;
use crate::run_fingerprint::run_fingerprint;
use crate::sheet_warnings::Intensities;
use crate::supervision::{labels, training_fragment, validation_mask};
use crate::training_areas::TrainingAreas;
use crate::training_intensities::training_intensities;
use crate::training_monitor::TrainingMonitor;
use crate::weights_metadata::WeightsMetadata;
use crate::{Context, Recipe, Usage, depth_maps};

/// Whether and how a training goes on from a checkpoint, and what it may hold in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResumeOptions {
    /// Resumes from the last checkpoint, where there is one.
    pub resume: bool,
    /// Resumes although the data are not those of the checkpoint.
    pub allow_changed_data: bool,
    /// Bytes that the training may hold; three quarters of the machine's by default.
    pub memory: Option<usize>,
}

/// Trains `fold` of `recipe` into the run `out`, and returns its epochs. A run that is finished
/// already is returned as it is, if it may be resumed.
///
/// # Errors
/// Those of reading the fragments, of the recipe's weights, of the device, of training, and of
/// writing the run; an existing run that is neither to be resumed nor replaced.
pub fn train(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
    out: &Path,
    options: ResumeOptions,
    context: &Context,
) -> anyhow::Result<Vec<Epoch>> {
    FoldTraining {
        recipe,
        fragments,
        fold,
        options,
        context,
    }
    .train(out)
}

struct FoldTraining<'a> {
    recipe: &'a Recipe,
    fragments: &'a [Fragment],
    fold: &'a Fold,
    options: ResumeOptions,
    context: &'a Context<'a>,
}

/// What a training begins with.
struct Start {
    device: Device,
    network: Network,
    training_set: TrainingSet,
    validator: Validator,
    /// What the first weights were, for those who use the last.
    first_weights: Option<Value>,
    /// Percentiles of the training fragments' voxels.
    intensities: Vec<Intensities>,
    trained_on: TrainingAreas,
}

/// Bytes for each weight while training: itself, its gradient, and the optimiser's two moments.
const PER_WEIGHT: usize = 4 * 4;
/// Bytes for each pixel of a fragment: mask and labels, and of a held-out one its probabilities, their
/// levels and the sums that they are blended in.
const PER_PIXEL: usize = 2 + 12;

impl FoldTraining<'_> {
    fn train(&self, out: &Path) -> anyhow::Result<Vec<Epoch>> {
        let (recipe, ranks) = (self.recipe, self.context.ranks);
        let changed = self.options.allow_changed_data;
        let run = ranks.sync_result(self.open_run(out))?;
        let fingerprint = run_fingerprint(recipe, self.fragments, self.fold, self.context.version);
        let fingerprint = ranks.sync_result(fingerprint)?;
        if ranks.sync_result(run.is_finished(&fingerprint, changed, recipe.train.epochs))? {
            return Ok(run.epochs()?);
        }
        let resumed = self.options.resume && run.resume_path().exists();
        let mut start = ranks.sync_result(self.start(resumed))?;
        let first_weights = match resumed {
            true => recorded_first_weights(&run),
            false => start.first_weights,
        };
        let metadata = WeightsMetadata::of_training(
            recipe,
            self.fragments,
            start.intensities,
            start.trained_on,
        );
        let training = Training {
            model: &recipe.model,
            settings: &recipe.train,
            training_set: &start.training_set,
            device: &start.device,
            run: &run,
            fingerprint,
            allow_changed_data: changed,
            ranks,
            metadata: metadata.to_entries(first_weights)?,
        };
        let mut monitor = TrainingMonitor::new(recipe, &run, self.options.memory, self.context);
        Ok(training.train(start.network, &mut start.validator, &mut monitor)?)
    }

    /// The run `out`, locked by the first rank; the others only look.
    fn open_run(&self, out: &Path) -> anyhow::Result<Run> {
        match self.context.ranks.is_first() {
            true => Ok(Run::open(out, self.options.resume, self.context.force)?),
            false => Ok(Run::view(out)),
        }
    }

    fn start(&self, resumed: bool) -> anyhow::Result<Start> {
        let (recipe, fold) = (self.recipe, self.fold);
        let device = self.context.open_device()?;
        self.check_ranks()?;
        let (network, first_weights) = first_network(recipe, resumed, self.context)?;
        let mut budget = Budget::new(self.options.memory);
        self.reserve(&mut budget, &network)?;
        let intensities = training_intensities(recipe, self.fragments, fold)?;
        let (mut training, mut held_out) = (Vec::new(), Vec::new());
        for (index, fragment) in self.fragments.iter().enumerate() {
            if fold.trains_on(index) {
                training.push(self.training_fragment(index, &mut budget)?);
            }
            if fold.holds_out(index) && self.context.ranks.is_first() {
                let sheet = self.held_out_fragment(fragment, &mut budget)?;
                held_out.push((fragment.id().to_owned(), sheet));
            }
        }
        let (size, depth) = (recipe.model.image_size, recipe.model.depth);
        let transform = TrainTransform::new(recipe.augment.clone(), size, depth)?;
        Ok(Start {
            device,
            network,
            training_set: self.training_set(training, transform)?,
            validator: Validator::new(held_out),
            first_weights,
            intensities,
            trained_on: TrainingAreas::of_training(recipe, self.fragments, fold)?,
        })
    }

    /// The samples of `training`, drawn by papyrus or by `train.quotas`.
    fn training_set(
        &self,
        training: Vec<TrainingFragment>,
        transform: TrainTransform,
    ) -> anyhow::Result<TrainingSet> {
        let all: Vec<&str> = self.fragments.iter().map(Fragment::id).collect();
        let indices = (0..all.len()).filter(|&index| self.fold.trains_on(index));
        let names: Vec<&str> = indices.map(|index| all[index]).collect();
        let set = TrainingSet::new(training, transform, self.recipe.train.seed)?;
        Ok(
            match quota_shares(self.recipe, &all, &names, set.papyrus())? {
                Some(shares) => set.with_shares(shares),
                None => set,
            },
        )
    }

    /// Refuses several ranks on a device that trains on one only.
    fn check_ranks(&self) -> anyhow::Result<()> {
        let (device, ranks) = (self.context.device()?, self.context.ranks.size());
        match ranks == 1 || device.trains_over_ranks() {
            true => Ok(()),
            false => Err(Usage(format!(
                "--device {device}: found a device that trains on one rank only; expected flex or \
                 libtorch for {ranks} ranks. hint: choose one of them, or leave mpirun out"
            ))
            .into()),
        }
    }

    /// Takes from `budget` what a training cannot do without, which voxels may not fill.
    fn reserve(&self, budget: &mut Budget, network: &Network) -> anyhow::Result<()> {
        let recipe = self.recipe;
        budget.require(PROGRAM, "the program")?;
        if self.context.device()?.is_processor() {
            let weights = parameter_count(network) * PER_WEIGHT;
            budget.require(weights, "the weights and the optimiser")?;
        }
        let sizes = self.fragments.iter().map(|f| f.height() * f.width());
        let pixels: usize = sizes.sum();
        budget.require(pixels * PER_PIXEL, "masks, labels and predictions")?;
        let (size, depth) = (recipe.model.image_size, recipe.model.depth);
        // Voxels, labels and validity; as samples, as the next batch's samples, as tensors.
        let sample = 4 * (depth + 2) * size * size;
        let batch = sample.saturating_mul(3 * recipe.train.batch);
        budget.require(batch, &format!("a batch of {} samples", recipe.train.batch))?;
        Ok(())
    }

    /// The recipe's layers of `fragment`, aligned if the recipe names maps, in memory if `budget` has
    /// room; and their range in the volume.
    fn voxels(
        &self,
        fragment: &Fragment,
        budget: &mut Budget,
    ) -> anyhow::Result<(Box<dyn Volume>, std::ops::Range<usize>)> {
        let volume = depth_maps::aligned(fragment, self.recipe.data.maps.as_deref())?;
        let [first, end] = self.recipe.data.layers;
        depth_maps::load_if_small(volume, first..end, fragment.id(), budget, self.context)
    }

    fn training_fragment(
        &self,
        index: usize,
        budget: &mut Budget,
    ) -> anyhow::Result<TrainingFragment> {
        let fragment = &self.fragments[index];
        let margin = self.recipe.margin();
        let near = near_held_out(self.fold, self.fragments, index, margin)?;
        if near.is_some() {
            self.say_margin(index, margin)?;
        }
        let (volume, layers) = self.voxels(fragment, budget)?;
        let labels = labels(fragment)?;
        training_fragment(fragment, volume, layers, labels, near.as_ref())
    }

    /// Says how much of a fragment is left out for the margin.
    ///
    /// # Errors
    /// [`Usage`] where nothing is left to train on.
    fn say_margin(&self, index: usize, margin: usize) -> anyhow::Result<()> {
        let id = self.fragments[index].id();
        let areas = FoldAreas::of(self.fold, self.fragments, index, margin)?;
        let [training, left_out, ..] = areas.counts();
        if training == 0 {
            return Err(Usage(format!(
                "data.margin: found no papyrus of fragment {id} further than {margin} px from what fold {} \
                 holds out; expected some to train on. hint: set a smaller data.margin, hold out \
                 less, or leave the fragment out",
                self.fold.name
            ))
            .into());
        }
        let share = 100.0 * left_out as f64 / (training + left_out) as f64;
        self.context.say(format!(
            "{id}: {left_out} px ({share:.1} %) within {margin} px of held-out papyrus are not trained on"
        ));
        let patch = self.recipe.model.image_size;
        if margin < patch {
            tracing::warn!(
                "data.margin: {margin} px are less than a patch, {patch} px, so that patches which are \
                 trained on may show held-out papyrus of fragment {id}"
            );
        }
        Ok(())
    }

    fn held_out_fragment(
        &self,
        fragment: &Fragment,
        budget: &mut Budget,
    ) -> anyhow::Result<HeldOut> {
        let (mask, labels) = (validation_mask(fragment)?, labels(fragment)?);
        let mut pixels = labels.iter().zip(&mask);
        if !pixels.any(|(&ink, &counts)| ink && counts) {
            return Err(Error::Labels {
                fragment: fragment.path().display().to_string(),
                found: "a held-out fragment without ink where it is validated",
                hint: "check that inklabels.png marks ink in white, and the masks; or hold out \
                       another fragment",
            }
            .into());
        }
        let (volume, z) = self.voxels(fragment, budget)?;
        let (model, limit) = (&self.recipe.model, self.recipe.augment.crop.z_scale_limit);
        Ok(HeldOut {
            volume,
            mask,
            labels,
            transform: TestTransform::new(model.image_size, model.depth, limit, z)?,
            image_size: model.image_size,
            device: self.context.open_device()?,
            settings: self.recipe.predict.clone(),
        })
    }
}
