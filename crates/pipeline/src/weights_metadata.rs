//! What a weights file says besides its tensors: how its input is read, and what it was trained on.

use std::collections::BTreeMap;
use std::path::Path;

use inkling_align::AlignSettings;
use inkling_fragment::Fragment;
use inkling_model::{Checkpoint, ModelSettings, Published, Tensors};
use inkling_predict::{PredictSettings, Tta};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sheet_warnings::Intensities;
use crate::training_areas::TrainingAreas;
use crate::{Recipe, Usage};

const INPUT: &str = "inkling.input";
const PREDICT: &str = "inkling.predict";
const ALIGN: &str = "inkling.align";
const DEPTHS: &str = "inkling.depths";
const INTENSITIES: &str = "inkling.intensities";
const TRAINED_ON: &str = "inkling.trained_on";
/// Its name in files of earlier versions.
const TRAINED_ON_BEFORE: &str = "inkling.learnt_from";
const FIRST_WEIGHTS: &str = "inkling.first_weights";

/// How a network's input is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Input {
    /// First layer and end (exclusive).
    pub layers: [usize; 2],
    /// The test transform reads this many times the patch's depth.
    pub z_scale_limit: f64,
    /// Whether depth maps were applied.
    pub aligned: bool,
    /// How many layers of the volume become one, their mean, before `layers` are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z_pool: Option<usize>,
}

/// The metadata of a weights file, each under a key of its own, as JSON.
#[derive(Clone, Debug)]
pub struct WeightsMetadata {
    /// `inkling.input`: which layers are read, and how.
    pub input: Input,
    /// `inkling.predict`: the recipe's `[predict]`.
    pub predict: PredictSettings,
    /// `inkling.align`: the recipe's `[align]`.
    pub align: AlignSettings,
    /// `inkling.depths`: the numbers of layers of all fragments of the recipe, each once.
    pub depths: Vec<usize>,
    /// `inkling.intensities`: percentiles of the voxels of each training fragment.
    pub intensities: Vec<Intensities>,
    /// `inkling.trained_on`: the papyrus that the network was trained on, as far as it is known.
    pub trained_on: TrainingAreas,
}

impl WeightsMetadata {
    /// That of a training of `recipe`, of whose training fragments the percentiles are `intensities`,
    /// and whose training areas are `trained_on`.
    pub fn of_training(
        recipe: &Recipe,
        fragments: &[Fragment],
        intensities: Vec<Intensities>,
        trained_on: TrainingAreas,
    ) -> Self {
        let mut depths: Vec<usize> = fragments.iter().map(Fragment::depth).collect();
        depths.sort_unstable();
        depths.dedup();
        Self {
            input: Input {
                layers: recipe.data.layers,
                z_scale_limit: recipe.augment.crop.z_scale_limit,
                aligned: recipe.data.maps.is_some(),
                z_pool: None,
            },
            predict: recipe.predict.clone(),
            align: recipe.align.clone(),
            depths,
            intensities,
            trained_on,
        }
    }

    /// That of the weights file `file`; what files of earlier versions do not say has its default.
    ///
    /// # Errors
    /// [`Usage`] for a file that does not say how its input is read, or with other values than
    /// training writes.
    pub fn read(file: &Path, checkpoint: &Checkpoint) -> Result<Self, Usage> {
        if let Some(published) = &checkpoint.published {
            return Ok(Self::of_published(published, &checkpoint.settings));
        }
        Ok(Self {
            input: input(file, checkpoint)?,
            predict: entry(file, checkpoint, PREDICT)?,
            align: entry(file, checkpoint, ALIGN)?,
            depths: entry(file, checkpoint, DEPTHS)?,
            intensities: entry(file, checkpoint, INTENSITIES)?,
            trained_on: match checkpoint.metadata.contains_key(TRAINED_ON_BEFORE) {
                true => entry(file, checkpoint, TRAINED_ON_BEFORE)?,
                false => entry(file, checkpoint, TRAINED_ON)?,
            },
        })
    }

    /// That of a published checkpoint: as many layers as the network takes, from the first on until the
    /// fragment is known, tiles as far apart as its publishers have them, no test-time augmentation.
    fn of_published(published: &Published, model: &ModelSettings) -> Self {
        Self {
            input: Input {
                layers: [0, model.depth],
                z_scale_limit: 1.0,
                aligned: false,
                z_pool: None,
            },
            predict: PredictSettings {
                tta: Tta::None,
                step: published.stride as f64 / published.settings.image_size as f64,
                ..PredictSettings::default()
            },
            align: AlignSettings::default(),
            depths: Vec::new(),
            intensities: Vec::new(),
            trained_on: TrainingAreas::default(),
        }
    }

    /// Keys and values for a weights file, with what its training began with.
    ///
    /// # Errors
    /// Numbers that JSON does not have.
    pub fn to_entries(
        &self,
        first_weights: Option<Value>,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let entries = [
            (INPUT, serde_json::to_string(&self.input)?),
            (PREDICT, serde_json::to_string(&self.predict)?),
            (ALIGN, serde_json::to_string(&self.align)?),
            (DEPTHS, serde_json::to_string(&self.depths)?),
            (INTENSITIES, serde_json::to_string(&self.intensities)?),
            (TRAINED_ON, serde_json::to_string(&self.trained_on)?),
        ];
        let first = first_weights.map(|first| (FIRST_WEIGHTS, first.to_string()));
        let entries = entries.into_iter().chain(first);
        Ok(entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect())
    }
}

/// What a weights file says that its training began with.
pub fn first_weights(tensors: &Tensors) -> Option<Value> {
    serde_json::from_str(tensors.metadata().get(FIRST_WEIGHTS)?).ok()
}

/// How the input is read, as the file says it: two files whose texts differ read differently.
pub fn input_text(checkpoint: &Checkpoint) -> &str {
    checkpoint.metadata.get(INPUT).map_or("", String::as_str)
}

fn input(file: &Path, checkpoint: &Checkpoint) -> Result<Input, Usage> {
    serde_json::from_str(input_text(checkpoint)).map_err(|_| {
        Usage(format!(
            "{}: found weights that do not say which layers they read; expected a file that \
             `inkling train` wrote. hint: train with this version",
            file.display()
        ))
    })
}

fn entry<T: Default + DeserializeOwned>(
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
