//! The models that a prediction is made with.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use inkling_align::AlignSettings;
use inkling_augment::TestTransform;
use inkling_fragment::{Fragment, write_gray};
use inkling_model::{Checkpoint, load};
use inkling_pipeline::Usage;
use inkling_predict::{
    Channels, Error, Member, ModelSpec, PredictSettings, Prediction, Predictor, to_image,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::fold::{ALIGN_KEY, DEPTHS_KEY, INPUT_KEY, INTENSITIES_KEY, Input, PREDICT_KEY};
use super::sheet_warnings::Intensities;
use super::{Context, maps};

/// A weights file, or that of a run's best weights.
pub fn weights_file(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join("best.safetensors"),
        false => path.to_owned(),
    }
}

/// Networks of the same input, and how it is read.
pub struct Ensemble {
    described: Vec<Value>,
    planned: Vec<ModelSpec>,
    members: Vec<Member>,
    patch: [usize; 2],
    input: Input,
    own: OwnSettings,
    device: Device,
}

/// What the first model's recipe says of prediction and alignment; the defaults for files of
/// earlier versions.
#[derive(Clone, Debug, Default)]
pub struct OwnSettings {
    /// `[predict]`.
    pub predict: PredictSettings,
    /// `[align]`.
    pub align: AlignSettings,
    /// The numbers of layers of the sheets that it was trained on.
    pub depths: Vec<usize>,
    /// How bright their papyrus was.
    pub intensities: Vec<Intensities>,
}

impl OwnSettings {
    fn of(file: &Path, checkpoint: &Checkpoint) -> Result<Self, Usage> {
        Ok(Self {
            predict: metadata(file, checkpoint, PREDICT_KEY)?,
            align: metadata(file, checkpoint, ALIGN_KEY)?,
            depths: metadata(file, checkpoint, DEPTHS_KEY)?,
            intensities: metadata(file, checkpoint, INTENSITIES_KEY)?,
        })
    }
}

/// What a weights file says under `key`, as JSON; the default where it says nothing.
fn metadata<T: Default + DeserializeOwned>(
    file: &Path,
    checkpoint: &Checkpoint,
    key: &str,
) -> Result<T, Usage> {
    let Some(text) = checkpoint.metadata.get(key) else {
        return Ok(T::default());
    };
    serde_json::from_str(text).map_err(|error| {
        Usage(format!(
            "{}: found metadata {key} that cannot be read ({error}); expected what `inkling train` \
             wrote. hint: train with this version, or give another file",
            file.display()
        ))
    })
}

impl Ensemble {
    /// Loads weights files, or the best weights of runs; `weights` are all alike when empty.
    pub fn load(paths: &[PathBuf], weights: &[f64], device: &Device) -> anyhow::Result<Self> {
        check_weights(weights, paths.len())?;
        let mut checkpoints: Vec<(PathBuf, Checkpoint)> = Vec::new();
        for path in paths {
            let file = weights_file(path);
            let checkpoint = load(&file, device)?;
            if let Some((_, first)) = checkpoints.first() {
                agree(&file, &checkpoint, first)?;
            }
            checkpoints.push((file, checkpoint));
        }
        let (file, first) = &checkpoints[0];
        let patch = [first.settings.image_size, first.settings.depth];
        let input = input_of(file, first)?;
        let own = OwnSettings::of(file, first)?;
        let mut ensemble = Self {
            described: Vec::new(),
            planned: Vec::new(),
            members: Vec::new(),
            patch,
            input,
            own,
            device: device.clone(),
        };
        for (index, (file, checkpoint)) in checkpoints.into_iter().enumerate() {
            let weight = weights.get(index).copied().unwrap_or(1.0);
            ensemble.add(&file, checkpoint, weight);
        }
        Ok(ensemble)
    }

    fn add(&mut self, file: &Path, checkpoint: Checkpoint, weight: f64) {
        self.described.push(json!({
            "file": file,
            "sha256": checkpoint.sha256,
            "weight": weight,
            "model": checkpoint.settings,
            "input": self.input,
        }));
        self.planned.push(ModelSpec {
            sha256: checkpoint.sha256,
            weight,
        });
        self.members.push(Member {
            network: checkpoint.network,
            weight,
        });
    }

    /// Reads the layers `layers[0]..layers[1]` instead of those that the models were trained on.
    ///
    /// # Errors
    /// [`Usage`] for another number of them than the models take.
    pub fn read_layers(&mut self, layers: [usize; 2]) -> Result<(), Usage> {
        let [first, end] = self.input.layers;
        let (found, expected) = (layers[1] - layers[0], end - first);
        if found != expected {
            return Err(Usage(format!(
                "--layers {}..{}: found {found} layers; expected {expected}, as the model was trained \
                 on ({first}..{end}). hint: give as many",
                layers[0], layers[1]
            )));
        }
        self.input.layers = layers;
        Ok(())
    }

    /// Every model, for people.
    pub fn describe(&self) -> &[Value] {
        &self.described
    }

    /// Every model, for a plan.
    pub fn planned(&self) -> &[ModelSpec] {
        &self.planned
    }

    /// How voxels are read.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What the first model's own recipe says.
    pub fn own_settings(&self) -> &OwnSettings {
        &self.own
    }

    /// Side of a patch, in pixels.
    pub fn image_size(&self) -> usize {
        self.patch[0]
    }

    /// Bytes of a patch of 32-bit numbers.
    pub fn patch_bytes(&self) -> usize {
        let [side, depth] = self.patch;
        4 * side * side * depth
    }

    /// Whether tiles go through the networks one by one, a few at a time.
    pub fn is_on_processor(&self) -> bool {
        self.device == Device::flex()
    }

    /// All models, to predict with.
    pub fn predictor<'a>(
        &'a self,
        settings: &'a PredictSettings,
        channels: Channels,
    ) -> anyhow::Result<Predictor<'a>> {
        let [image_size, depth] = self.patch;
        let [first, end] = self.input.layers;
        let limit = self.input.z_scale_limit;
        Ok(Predictor {
            members: &self.members,
            device: &self.device,
            transform: TestTransform::new(image_size, depth, limit, first..end)?,
            image_size,
            settings,
            channels,
        })
    }
}

fn check_weights(weights: &[f64], models: usize) -> Result<(), Usage> {
    if !weights.is_empty() && weights.len() != models {
        let found = weights.len();
        return Err(Usage(format!(
            "--weights: found {found}; expected one for each of the {models} models. hint: give \
             as many as --model, or none"
        )));
    }
    match weights.iter().find(|w| !(1e-6..=1e6).contains(*w)) {
        Some(wrong) => Err(Usage(format!(
            "--weights: found {wrong}; expected numbers from 0.000001 to 1,000,000, since only their \
             ratios count. hint: leave models out that are to count for nothing"
        ))),
        None => Ok(()),
    }
}

fn input_of(file: &Path, checkpoint: &Checkpoint) -> Result<Input, Usage> {
    let text = checkpoint
        .metadata
        .get(INPUT_KEY)
        .map_or("", String::as_str);
    serde_json::from_str(text).map_err(|_| {
        Usage(format!(
            "{}: found weights that do not say which layers they read; expected a file that \
             `inkling train` wrote. hint: train with this version",
            file.display()
        ))
    })
}

fn agree(path: &Path, odd: &Checkpoint, first: &Checkpoint) -> Result<(), Error> {
    let patch = |checkpoint: &Checkpoint| {
        let settings = &checkpoint.settings;
        let input = checkpoint
            .metadata
            .get(INPUT_KEY)
            .map_or("", String::as_str);
        format!(
            "{} layers of {} px, {input}",
            settings.depth, settings.image_size
        )
    };
    if patch(odd) == patch(first) {
        return Ok(());
    }
    Err(Error::Disagreement {
        path: path.to_owned(),
        found: patch(odd),
        expected: patch(first),
    })
}

/// Predicts `fragment` (through the maps in `maps`) at once and writes `<id>.png` to `path`.
pub fn paint(
    fragment: &Fragment,
    maps: Option<&Path>,
    ensemble: &Ensemble,
    settings: &PredictSettings,
    path: &Path,
    context: &Context,
) -> anyhow::Result<Prediction> {
    let began = std::time::Instant::now();
    let predictor = ensemble.predictor(settings, Channels::default())?;
    let volume = maps::aligned(fragment, maps)?;
    let mask = fragment.mask()?;
    let task = context.console.task(&format!("predict {}", fragment.id()));
    let prediction = predictor.predict(volume.as_ref(), &mask, &|done, all| task.at(done, all))?;
    drop(task);
    let image = to_image(&prediction.probability);
    write_gray(path, image.view(), true)?;
    let seconds = began.elapsed().as_secs_f64();
    context.console.say(format!(
        "{}: {} tiles, {seconds:.1} s",
        path.display(),
        prediction.tiles
    ));
    Ok(prediction)
}
