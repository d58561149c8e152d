//! Everything that an experiment depends on, as settings.

use std::path::{Path, PathBuf};

use inkling_align::AlignSettings;
use inkling_augment::AugmentSettings;
use inkling_fragment::split_name;
use inkling_model::{HubFile, ModelSettings, Pretrained};
use inkling_predict::PredictSettings;
use inkling_train::TrainSettings;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use crate::data_settings::DataSettings;

/// Everything that an experiment depends on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// `[data]`: fragments, how they are read, and folds.
    pub data: DataSettings,
    /// `[align]`: how depth maps are fitted.
    pub align: AlignSettings,
    /// `[model]`: encoder, decoder, patch, and first weights.
    pub model: ModelSettings,
    /// `[augment]`: transforms and mixings of training samples.
    pub augment: AugmentSettings,
    /// `[train]`: optimiser, schedule, loss, epochs.
    pub train: TrainSettings,
    /// `[predict]`: tiles, test-time augmentation, precision.
    pub predict: PredictSettings,
}

/// Whether weights are named by their place on the hub.
pub(crate) fn is_on_hub(source: &str) -> bool {
    HubFile::parse("model.weights =", source).is_some()
}

impl Recipe {
    /// The JSON Schema of recipes, for editors and for the reference of settings. Draft 7 is what
    /// TOML editors know.
    pub fn schema() -> schemars::Schema {
        let generator = SchemaSettings::draft07().into_generator();
        generator.into_root_schema_for::<Self>()
    }

    /// Refuses values out of their range before anything is read, allocated or written.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.data.check()?;
        self.align.check()?;
        self.model.check()?;
        let (size, depth) = (self.model.image_size, self.model.depth);
        self.augment.check(size, depth)?;
        self.train.check()?;
        self.predict.check()?;
        Ok(())
    }

    /// Pixels around held-out papyrus that are not trained on: `data.margin`, a patch by default.
    pub fn margin(&self) -> usize {
        self.data.margin.unwrap_or(self.model.image_size)
    }

    /// The files and folders that it names.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs = self.data.fragments.clone();
        inputs.extend(self.data.maps.clone());
        if let Pretrained::Source(source) = &self.model.pretrained {
            inputs.push(PathBuf::from(source));
        }
        let weights = self.model.weights.as_ref();
        inputs.extend(
            weights
                .filter(|source| !is_on_hub(source))
                .map(PathBuf::from),
        );
        inputs
    }

    /// The recipe with every path from the root on, so that it can be used from anywhere.
    ///
    /// # Errors
    /// Where the working directory is gone.
    pub fn with_absolute_paths(mut self) -> anyhow::Result<Self> {
        for path in &mut self.data.fragments {
            let (name, own) = split_name(path);
            let whole = inkling_fragment::absolute(own)?;
            *path = match name {
                Some(name) => PathBuf::from(format!("{name}={}", whole.display())),
                None => whole,
            };
        }
        if let Some(maps) = &mut self.data.maps {
            *maps = std::path::absolute(&maps)?;
        }
        if let Pretrained::Source(source) = &mut self.model.pretrained
            && Path::new(source).exists()
        {
            *source = std::path::absolute(&source)?.to_string_lossy().into_owned();
        }
        if let Some(weights) = &mut self.model.weights
            && !is_on_hub(weights)
        {
            *weights = std::path::absolute(&weights)?
                .to_string_lossy()
                .into_owned();
        }
        Ok(self)
    }
}
