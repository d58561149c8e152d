//! The models that a prediction is made with.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use inkling_augment::TestTransform;
use inkling_model::{Approach, Checkpoint};
use inkling_predict::{Channels, Error, Member, ModelSpec, PredictSettings, Predictor};
use serde_json::{Value, json};

use crate::centred_layers::centred_layers;
use crate::model_file::open_model;
use crate::pooled_layers::pooled_depth;
use crate::weights_metadata::{Input, WeightsMetadata, input_text};
use crate::{Context, Usage, is_of_model};

/// Networks of the same input, and how it is read.
pub struct Ensemble {
    described: Vec<Value>,
    planned: Vec<ModelSpec>,
    members: Vec<Member>,
    patch: [usize; 2],
    metadata: WeightsMetadata,
    approach: Approach,
    /// Published networks, which read the layers in the middle.
    centred: bool,
    overrides: Vec<String>,
    device: Device,
}

impl Ensemble {
    /// Loads weights files, the best weights of runs, or published checkpoints, whose settings those of
    /// the `overrides` replace that are of `[model]`; `weights` are all alike when empty.
    pub fn load(
        paths: &[PathBuf],
        weights: &[f64],
        overrides: &[String],
        context: &Context,
    ) -> anyhow::Result<Self> {
        check_weights(weights, paths.len())?;
        let device = context.open_device()?;
        let mut checkpoints: Vec<(PathBuf, Checkpoint)> = Vec::new();
        for path in paths {
            let (file, weights) = open_model(path, overrides, context)?;
            let checkpoint = weights.load(&device)?;
            if let Some((_, first)) = checkpoints.first() {
                check_same_input(&file, &checkpoint, first)?;
            }
            checkpoints.push((file, checkpoint));
        }
        let (file, first) = &checkpoints[0];
        let patch = [first.settings.image_size, first.settings.depth];
        let mut metadata = WeightsMetadata::read(file, first)?;
        for (file, checkpoint) in &checkpoints[1..] {
            let other = WeightsMetadata::read(file, checkpoint)?;
            metadata.trained_on.add(&other.trained_on);
        }
        let mut ensemble = Self {
            described: Vec::new(),
            planned: Vec::new(),
            members: Vec::new(),
            patch,
            metadata,
            approach: first.settings.approach,
            centred: first.published.is_some(),
            overrides: match first.published {
                Some(_) => overrides
                    .iter()
                    .filter(|entry| is_of_model(entry))
                    .cloned()
                    .collect(),
                None => Vec::new(),
            },
            device,
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
            "recognised": checkpoint.published.map(|published| published.description),
            "input": self.metadata.input,
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
        let [first, end] = self.metadata.input.layers;
        let (found, expected) = (layers[1] - layers[0], end - first);
        if found != expected {
            return Err(Usage(format!(
                "--layers {}..{}: found {found} layers; expected {expected}, as the model was trained \
                 on ({first}..{end}). hint: give as many",
                layers[0], layers[1]
            )));
        }
        self.centred = false;
        self.set_layers(layers);
        Ok(())
    }

    /// Whether the models are published checkpoints.
    pub fn is_published(&self) -> bool {
        self.centred
    }

    /// The settings that replaced those of published checkpoints, as `model.KEY=VALUE`.
    pub fn overrides(&self) -> &[String] {
        &self.overrides
    }

    /// What kind of network the first model is.
    pub fn approach(&self) -> Approach {
        self.approach
    }

    /// Reads means of `count` layers each in place of layers.
    pub fn pool_layers(&mut self, count: usize) {
        self.metadata.input.z_pool = Some(count);
        for described in &mut self.described {
            described["input"]["z_pool"] = json!(count);
        }
    }

    /// Reads the layers in the middle of a fragment of `found` layers, if the models are published ones
    /// that are meant to.
    pub fn centre_layers(&mut self, found: usize) {
        if self.centred {
            let found = pooled_depth(found, self.metadata.input.z_pool.unwrap_or(1));
            self.set_layers(centred_layers(self.approach, found, self.patch[1]));
        }
    }

    /// Reads the layers `layers[0]..layers[1]`, as many as the models take.
    pub fn set_layers(&mut self, layers: [usize; 2]) {
        self.metadata.input.layers = layers;
        for described in &mut self.described {
            described["input"]["layers"] = json!(layers);
        }
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
        &self.metadata.input
    }

    /// What the first model's weights file says: how it was trained and is meant to predict.
    pub fn metadata(&self) -> &WeightsMetadata {
        &self.metadata
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
        let [first, end] = self.metadata.input.layers;
        let limit = self.metadata.input.z_scale_limit;
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

/// Refuses a model that takes other patches, or reads them otherwise, than the first.
fn check_same_input(path: &Path, odd: &Checkpoint, first: &Checkpoint) -> Result<(), Error> {
    let patch = |checkpoint: &Checkpoint| {
        let (settings, input) = (&checkpoint.settings, input_text(checkpoint));
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
