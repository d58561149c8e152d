//! Trains one fold of a recipe: some fragments to learn from, one held out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use burn::tensor::Device;
use inkling_augment::{TestTransform, TrainTransform};
use inkling_fragment::{Fragment, Volume, write_bytes};
use inkling_model::weights::parameter_count;
use inkling_model::{
    Hub, Network, Pretrained, Tensors, file_sha256, load_encoder, load_weights, revision_of,
};
use inkling_pipeline::{Recipe, Usage};
use inkling_predict::HeldOut;
use inkling_train::{Epoch, Error, Run, Step, Training, TrainingFragment, TrainingSet, Watch};
use ndarray::Array2;
use serde_json::{Value, json};

use super::ensemble::weights_file;
use super::memory::{Budget, PROGRAM};
use super::report::write_run_report;
use super::run_fingerprint::identity;
use super::sheet_warnings::{Intensities, warn_of_other_intensities};
use super::train::best_epoch;
use super::validator::Validator;
use super::{Context, maps};
use crate::allocator::peak;
use crate::console::Task;

/// The metadata key under which a weights file says how its input is read.
pub const INPUT_KEY: &str = "inkling.input";

/// The metadata key of the recipe's `[predict]`.
pub const PREDICT_KEY: &str = "inkling.predict";

/// The metadata key of the recipe's `[align]`.
pub const ALIGN_KEY: &str = "inkling.align";

/// The metadata key of the numbers of layers of the sheets that were learnt from.
pub const DEPTHS_KEY: &str = "inkling.depths";

/// The metadata key of how bright the papyrus was that was learnt from, sheet by sheet.
pub const INTENSITIES_KEY: &str = "inkling.intensities";

/// The metadata key under which a weights file says what its training began with.
const FIRST_WEIGHTS_KEY: &str = "inkling.first_weights";

/// How a network's input is read; kept beside its weights.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Input {
    /// First layer and the one after the last.
    pub layers: [usize; 2],
    /// The test transform reads this many times the patch's depth.
    pub z_scale_limit: f64,
    /// Whether depth maps were applied.
    pub aligned: bool,
}

/// One fold: which fragments are held out, by their places in the recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The held-out fragments' names, joined by `+`; `validation` for the fold of all validation
    /// masks.
    pub name: String,
    /// Their places in `data.fragments`.
    pub held_out: Vec<usize>,
    /// Whether only their validation masks are held out, and what lies outside is learnt from.
    pub by_masks: bool,
}

impl Fold {
    /// Whether the fragment at a place in `data.fragments` is learnt from.
    pub fn learns_from(&self, index: usize) -> bool {
        self.by_masks || !self.holds_out(index)
    }

    /// Whether the fragment at a place in `data.fragments` is validated on.
    pub fn holds_out(&self, index: usize) -> bool {
        self.held_out.contains(&index)
    }
}

/// How a run takes up what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResumeOptions {
    /// Goes on from the last checkpoint.
    pub resume: bool,
    /// Goes on with other data than the checkpoint's.
    pub allow_changed_data: bool,
    /// Bytes that the training may hold; three quarters of the machine's by default.
    pub memory: Option<usize>,
}

/// Trains with a fold's fragments kept back, into the run `out`.
pub fn train(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
    out: &Path,
    resuming: ResumeOptions,
    context: &Context,
) -> anyhow::Result<Vec<Epoch>> {
    let ranks = context.ranks;
    let run = ranks.sync_result(open_run(out, resuming, context))?;
    let identity = ranks.sync_result(identity(recipe, fragments, fold))?;
    let epochs = recipe.train.epochs;
    if ranks.sync_result(run.is_finished(&identity, resuming.allow_changed_data, epochs))? {
        return Ok(run.epochs()?);
    }
    let resumed = resuming.resume && run.resume_path().exists();
    let Start {
        device,
        network,
        training_set,
        mut validator,
        first_weights,
        intensities,
    } = ranks.sync_result(start(recipe, fragments, fold, resumed, resuming, context))?;
    let first_weights = match resumed {
        true => recorded_first_weights(&run),
        false => first_weights,
    };
    let input = Input {
        layers: recipe.data.layers,
        z_scale_limit: recipe.augment.z_scale_limit,
        aligned: recipe.data.maps.is_some(),
    };
    let training = Training {
        model: &recipe.model,
        settings: &recipe.train,
        training_set: &training_set,
        device: &device,
        run: &run,
        identity,
        allow_changed_data: resuming.allow_changed_data,
        ranks,
        metadata: metadata(recipe, &input, fragments, &intensities, first_weights)?,
    };
    let name = out
        .file_name()
        .map_or_else(|| "train".into(), |name| name.to_string_lossy());
    let mut bar = Bar {
        task: context.console.task(&name),
        epoch: context.console.bar(&format!("{name} epoch")),
        context,
        name: name.into_owned(),
        run: &run,
        recipe,
        limit: resuming.memory,
        best: best_epoch(&run.epochs().unwrap_or_default(), recipe.train.best[0])
            .map_or(0.0, |(_, best)| recipe.train.best[0].of(best)),
    };
    Ok(training.train(network, &mut validator, &mut bar)?)
}

/// The run `out`, taken by the first rank; the others only look.
fn open_run(out: &Path, resuming: ResumeOptions, context: &Context) -> anyhow::Result<Run> {
    match context.ranks.is_first() {
        true => Ok(Run::open(out, resuming.resume, context.force)?),
        false => Ok(Run::view(out)),
    }
}

/// What a training begins with.
struct Start {
    device: Device,
    network: Network,
    training_set: TrainingSet,
    validator: Validator,
    /// What the first weights were, for those who use the last.
    first_weights: Option<Value>,
    /// How bright the papyrus is that is learnt from.
    intensities: Vec<Intensities>,
}

/// The metadata of a run's weights files: how their input is read, how they are meant to predict
/// and to be aligned for, and what they began with.
fn metadata(
    recipe: &Recipe,
    input: &Input,
    fragments: &[Fragment],
    intensities: &[Intensities],
    first_weights: Option<Value>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut depths: Vec<usize> = fragments.iter().map(Fragment::depth).collect();
    depths.sort_unstable();
    depths.dedup();
    let mut metadata = BTreeMap::from([
        (INPUT_KEY.to_owned(), serde_json::to_string(input)?),
        (
            PREDICT_KEY.to_owned(),
            serde_json::to_string(&recipe.predict)?,
        ),
        (ALIGN_KEY.to_owned(), serde_json::to_string(&recipe.align)?),
        (DEPTHS_KEY.to_owned(), serde_json::to_string(&depths)?),
        (
            INTENSITIES_KEY.to_owned(),
            serde_json::to_string(intensities)?,
        ),
    ]);
    if let Some(first) = first_weights {
        metadata.insert(FIRST_WEIGHTS_KEY.to_owned(), first.to_string());
    }
    Ok(metadata)
}

fn start(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
    resumed: bool,
    resuming: ResumeOptions,
    context: &Context,
) -> anyhow::Result<Start> {
    let device = context.open_device()?;
    if context.ranks.size() > 1 && !context.device()?.trains_over_ranks() {
        return Err(Usage(format!(
            "--device {}: found a device that trains on one rank only; expected flex or libtorch \
             for {} ranks. hint: choose one of them, or leave mpirun out",
            context.device()?,
            context.ranks.size()
        ))
        .into());
    }
    let (network, first_weights) = first_network(recipe, resumed, context)?;
    let mut budget = Budget::new(resuming.memory);
    reserve(&mut budget, recipe, &network, fragments, context)?;
    let intensities = intensities(recipe, fragments, fold)?;
    let (mut learnt_from, mut held_out) = (Vec::new(), Vec::new());
    for (index, fragment) in fragments.iter().enumerate() {
        if fold.learns_from(index) {
            learnt_from.push(training_fragment(recipe, fragment, &mut budget, context)?);
        }
        if fold.holds_out(index) && context.ranks.is_first() {
            let sheet = held_out_fragment(recipe, fragment, &mut budget, context)?;
            held_out.push((fragment.id().to_owned(), sheet));
        }
    }
    let (size, depth) = (recipe.model.image_size, recipe.model.depth);
    let transform = TrainTransform::new(recipe.augment.clone(), size, depth)?;
    Ok(Start {
        device,
        network,
        training_set: TrainingSet::new(learnt_from, transform, recipe.train.seed)?,
        validator: Validator::new(held_out),
        first_weights,
        intensities,
    })
}

/// How bright the papyrus is that is learnt from; says it of a sheet that differs from the others.
fn intensities(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
) -> anyhow::Result<Vec<Intensities>> {
    let layers = recipe.data.layers[0]..recipe.data.layers[1];
    let mut sheets = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let volume = maps::aligned(fragment, recipe.data.maps.as_deref())?;
        if layers.end > volume.shape()[0] {
            // What reads them says it better.
            continue;
        }
        let found = Intensities::of(volume.as_ref(), &layers, &fragment.mask()?)?;
        sheets.extend(found.map(|found| (index, found)));
    }
    let learnt_from = |without: usize| -> Vec<Intensities> {
        let others = sheets
            .iter()
            .filter(|(index, _)| *index != without && fold.learns_from(*index));
        others.map(|(_, found)| *found).collect()
    };
    for &(index, found) in &sheets {
        warn_of_other_intensities(&fragments[index], found, &learnt_from(index));
    }
    Ok(learnt_from(fragments.len()))
}

/// Bytes for each weight while training: itself, its gradient, and the optimiser's two moments.
const PER_WEIGHT: usize = 4 * 4;
/// Bytes for each pixel of a fragment: mask and labels, and of a held-out one its probabilities, their
/// levels and the sums that they are blended in.
const PER_PIXEL: usize = 2 + 12;

/// Takes from `budget` what a training cannot do without, which voxels may not fill.
fn reserve(
    budget: &mut Budget,
    recipe: &Recipe,
    network: &Network,
    fragments: &[Fragment],
    context: &Context,
) -> anyhow::Result<()> {
    budget.require(PROGRAM, "the program")?;
    if context.device()?.is_processor() {
        let weights = parameter_count(network) * PER_WEIGHT;
        budget.require(weights, "the weights and the optimiser")?;
    }
    let pixels: usize = fragments.iter().map(|f| f.height() * f.width()).sum();
    budget.require(pixels * PER_PIXEL, "masks, labels and predictions")?;
    let (size, depth) = (recipe.model.image_size, recipe.model.depth);
    // Voxels, labels and validity; as samples, as the next batch's samples, as tensors.
    let sample = 4 * (depth + 2) * size * size;
    let batch = sample.saturating_mul(3 * recipe.train.batch);
    budget.require(batch, &format!("a batch of {} samples", recipe.train.batch))?;
    Ok(())
}

/// The network with its first weights, and what those were: a whole network's (`model.weights`), an
/// encoder's (`model.pretrained`), or random ones. A run that is resumed has its own.
fn first_network(
    recipe: &Recipe,
    resumed: bool,
    context: &Context,
) -> anyhow::Result<(Network, Option<Value>)> {
    let device = context.open_device()?.autodiff();
    let network = recipe.model.init(&device, recipe.train.seed)?;
    if resumed {
        return Ok((network, None));
    }
    if let Some(source) = &recipe.model.weights {
        let path = weights_file(Path::new(source));
        let network = load_weights(network, &path, Tensors::read(&path)?)?;
        let sha256 = file_sha256(&path)?;
        context.console.say(format!(
            "{}: all weights loaded, SHA-256 {sha256}",
            path.display()
        ));
        return Ok((
            network,
            Some(json!({ "weights": source, "sha256": sha256 })),
        ));
    }
    let Pretrained::Source(source) = &recipe.model.pretrained else {
        return Ok((network, None));
    };
    let task = context.console.task("weights");
    let path = Hub::from_env().find(source, |done, total| task.at(done, total))?;
    drop(task);
    let (network, report) = load_encoder(network, &path)?;
    let unused = counted("tensors unused", &report.unused);
    let adapted = counted("brought to another shape", &report.adapted);
    let (sha256, revision) = (file_sha256(&path)?, revision_of(&path));
    let of_hub = revision
        .as_ref()
        .map_or_else(String::new, |revision| format!(", revision {revision}"));
    context.console.say(format!(
        "{source}: all of the encoder found; {unused}; {adapted}; SHA-256 {sha256}{of_hub}"
    ));
    let first = json!({ "pretrained": source, "sha256": sha256, "revision": revision });
    Ok((network, Some(first)))
}

/// What the run's own weights say that it began with.
fn recorded_first_weights(run: &Run) -> Option<Value> {
    let tensors = Tensors::read(&run.last_path()).ok()?;
    serde_json::from_str(tensors.metadata().get(FIRST_WEIGHTS_KEY)?).ok()
}

/// How many tensors, and the names of the first.
fn counted(what: &str, names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => format!("0 {what}"),
        count @ 1..=5 => format!("{count} {what} ({shown})"),
        count => format!("{count} {what} ({shown}, …)"),
    }
}

fn training_fragment(
    recipe: &Recipe,
    fragment: &Fragment,
    budget: &mut Budget,
    context: &Context,
) -> anyhow::Result<TrainingFragment> {
    let volume = maps::aligned(fragment, recipe.data.maps.as_deref())?;
    let layers = recipe.data.layers[0]..recipe.data.layers[1];
    let (volume, layers) = maps::kept(volume, layers, fragment.id(), budget, context)?;
    training_sheet(fragment, volume, layers, labels(fragment)?)
}

/// `fragment` as training sees it: without what its masks keep from it.
pub fn training_sheet(
    fragment: &Fragment,
    volume: Box<dyn Volume>,
    layers: Range<usize>,
    labels: Array2<bool>,
) -> anyhow::Result<TrainingFragment> {
    let supervision = supervision(fragment)?;
    Ok(TrainingFragment::new(
        fragment.path().display().to_string(),
        volume,
        layers,
        fragment.mask()?,
        labels,
        supervision,
    ))
}

fn held_out_fragment(
    recipe: &Recipe,
    fragment: &Fragment,
    budget: &mut Budget,
    context: &Context,
) -> anyhow::Result<HeldOut> {
    let (mask, labels) = (validated(fragment)?, labels(fragment)?);
    if !labels
        .iter()
        .zip(&mask)
        .any(|(&ink, &counts)| ink && counts)
    {
        return Err(Error::Labels {
            fragment: fragment.path().display().to_string(),
            found: "a held-out fragment without ink where it is validated",
            hint: "check that inklabels.png marks ink in white, and the masks; or hold out another \
                   fragment",
        }
        .into());
    }
    let layers = recipe.data.layers[0]..recipe.data.layers[1];
    let volume = maps::aligned(fragment, recipe.data.maps.as_deref())?;
    let (volume, z) = maps::kept(volume, layers, fragment.id(), budget, context)?;
    let (size, depth) = (recipe.model.image_size, recipe.model.depth);
    Ok(HeldOut {
        volume,
        mask,
        labels,
        transform: TestTransform::new(size, depth, recipe.augment.z_scale_limit, z)?,
        image_size: size,
        device: context.open_device()?,
        settings: recipe.predict.clone(),
    })
}

/// Where labels count for training: within the supervision mask and outside the validation mask;
/// `None` for a fragment that has neither.
fn supervision(fragment: &Fragment) -> anyhow::Result<Option<Array2<bool>>> {
    let kept = fragment.validation_mask()?;
    let trusted = match (fragment.supervision_mask()?, &kept) {
        (Some(trusted), _) => trusted,
        (None, Some(kept)) => Array2::from_elem(kept.dim(), true),
        (None, None) => return Ok(None),
    };
    Ok(Some(match kept {
        Some(kept) => {
            let mut counts = trusted;
            counts.zip_mut_with(&kept, |counts, &kept| *counts &= !kept);
            counts
        }
        None => trusted,
    }))
}

/// Where a held-out fragment is validated: papyrus within its validation mask; without one, papyrus
/// whose labels can be trusted.
fn validated(fragment: &Fragment) -> anyhow::Result<Array2<bool>> {
    let mut mask = fragment.mask()?;
    let counts = match fragment.validation_mask()? {
        Some(kept) => Some(kept),
        None => fragment.supervision_mask()?,
    };
    if let Some(counts) = counts {
        mask.zip_mut_with(&counts, |mask, &counts| *mask &= counts);
    }
    Ok(mask)
}

fn labels(fragment: &Fragment) -> anyhow::Result<Array2<bool>> {
    let labels = fragment.ink_labels()?;
    Ok(labels.ok_or_else(|| Error::Labels {
        fragment: fragment.path().display().to_string(),
        found: "no inklabels.png",
        hint: "add the labels, or leave the fragment out",
    })?)
}

fn keep_settings(recipe: &Recipe, run: &Run) -> anyhow::Result<()> {
    let path = run.claim("settings.toml")?;
    let text = recipe.clone().with_absolute_paths()?.to_toml()?;
    Ok(write_bytes(path, text, true)?)
}

/// Shows loss, F0.5 and the time left.
struct Bar<'a> {
    task: Task,
    epoch: Task,
    context: &'a Context<'a>,
    name: String,
    run: &'a Run,
    recipe: &'a Recipe,
    /// Bytes asked for, until the first step has shown what it takes.
    limit: Option<usize>,
    best: f64,
}

impl Bar<'_> {
    /// Says it when the first step took more memory than was asked for.
    fn compare_memory(&mut self) {
        if let Some(limit) = self.limit.take()
            && PROGRAM + peak() > limit
        {
            tracing::warn!(
                "--memory: the first step took {} MiB, and {} were given; a smaller train.batch, or \
                 train.checkpoint_gradients = \"blocks\", takes less",
                (PROGRAM + peak()) >> 20,
                limit >> 20
            );
        }
    }
}

impl Watch for Bar<'_> {
    fn started(&mut self) -> Result<(), Error> {
        if !self.context.ranks.is_first() {
            return Ok(());
        }
        keep_settings(self.recipe, self.run).map_err(|error| Error::Run {
            path: self.run.folder().to_owned(),
            found: format!("{error:#}"),
            expected: "a place for the run's settings".to_owned(),
            hint: "check the disk and the permissions".to_owned(),
        })
    }

    fn step(&mut self, step: &Step) {
        self.compare_memory();
        self.task.note(format!(
            "epoch {}/{} loss {:.4} best {} {:.3}",
            step.epoch,
            step.epochs,
            step.loss,
            self.recipe.train.best[0].title(),
            self.best
        ));
        self.task.at(step.step, step.steps);
        self.epoch.at(step.epoch_step, step.epoch_steps);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        if self.context.ranks.is_first()
            && let Err(error) =
                write_run_report(self.run.folder(), epoch.epoch < self.recipe.train.epochs)
        {
            tracing::warn!("{}: no report: {error:#}", self.run.folder().display());
        }
        let Some(validation) = &epoch.validation else {
            return;
        };
        self.best = self.best.max(self.recipe.train.best[0].of(validation));
        self.context.console.say(format!(
            "{} epoch {}: loss {:.4}, F0.5 {:.4} (best {:.4} at {:.3}), {:.0} s",
            self.name,
            epoch.epoch,
            epoch.loss,
            validation.f05,
            validation.best_f05,
            validation.best_threshold,
            epoch.train_seconds + epoch.validation_seconds
        ));
    }

    fn warn(&mut self, text: &str) {
        tracing::warn!("{text}");
    }
}
