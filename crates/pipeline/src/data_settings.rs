//! `[data]`: which fragments are trained on, how they are read, and what is held out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use inkling_fragment::{LabelOptions, ReadOptions};
use serde::{Deserialize, Serialize};

use crate::Usage;

/// `[data]` in a recipe.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Fragment folders, or NAME=PATH; relative paths start at the recipe's own folder.
    pub fragments: Vec<PathBuf>,
    /// The folds: in each, the names of the fragments held out. Empty holds out each once.
    #[schemars(extend("default" = []))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<Vec<String>>,
    /// Fragments of papyrus that is known to have no ink, by their names: they need no labels, are trained on
    /// in every fold and never held out, and teach the network what bare papyrus is like.
    #[schemars(extend("default" = []))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bare: Vec<String>,
    /// What is held out: whole fragments, or the validation masks of all fragments that have one
    /// (a single fold). Masks by default where there is one fragment and it has such a mask, else
    /// fragments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<ValidationBy>,
    /// Pixels around held-out papyrus that are not trained on, where a validation mask or a part of the
    /// same scan is held out; a patch (`model.image_size`) by default. Patches are trained on whose
    /// middle lies further away: with less than a patch they may show held-out papyrus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<usize>,
    /// Which fragments belong to which scroll, for `inkling folds`: their names by the scroll's.
    #[schemars(extend("default" = {}))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scrolls: BTreeMap<String, Vec<String>>,
    /// Folder of depth maps (one folder per fragment's id in it), applied on the fly; `""` takes back that of an earlier
    /// recipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps: Option<PathBuf>,
    /// First layer and end (exclusive) of those that training and prediction read. A band of files
    /// that begins at another number than 0 or 1 keeps its numbers.
    pub layers: [usize; 2],
    /// Which fragments' layers are taken in reverse order, as for sheets scanned from their other
    /// side: true for all, or their names.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "Flip::is_none")]
    pub flip: Flip,
    /// Level of OME-Zarr volumes, 0 the finest.
    #[schemars(extend("default" = 0))]
    #[serde(skip_serializing_if = "is_zero")]
    pub level: usize,
    /// How 16-bit voxels are read.
    #[schemars(extend("default" = "auto"))]
    #[serde(skip_serializing_if = "is_auto")]
    pub voxels: VoxelReading,
    /// The value that is ink in label images; by default all that is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_ink: Option<u16>,
    /// Ink is dark on a light ground in label images.
    #[schemars(extend("default" = false))]
    #[serde(skip_serializing_if = "is_false")]
    pub invert_labels: bool,
}

/// `data.flip`: the fragments whose layers are taken in reverse order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Flip {
    /// All fragments or none.
    All(bool),
    /// The fragments of these names.
    Named(Vec<String>),
}

impl Flip {
    fn is_none(&self) -> bool {
        match self {
            Self::All(all) => !all,
            Self::Named(names) => names.is_empty(),
        }
    }
}

/// How 16-bit voxels are read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VoxelReading {
    /// As 8 or 12 bits where their largest value says so, else as they are.
    #[default]
    Auto,
    /// All 16 bits as they stand.
    AsIs,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_auto(voxels: &VoxelReading) -> bool {
    *voxels == VoxelReading::Auto
}

/// What a fold holds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationBy {
    /// Whole fragments, one or several a fold.
    Fragments,
    /// What lies within validation masks, of all fragments at once.
    Masks,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            fragments: Vec::new(),
            folds: Vec::new(),
            bare: Vec::new(),
            validation: None,
            margin: None,
            scrolls: BTreeMap::new(),
            maps: None,
            layers: [20, 44],
            flip: Flip::All(false),
            level: 0,
            voxels: VoxelReading::Auto,
            labels_ink: None,
            invert_labels: false,
        }
    }
}

/// Most layers of a scan; 16-bit numbers count them with room to spare.
const MOST_LAYERS: usize = 65_536;

impl DataSettings {
    /// How its fragments are read.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            level: self.level,
            flip: self.flip == Flip::All(true),
            voxels_as_is: self.voxels == VoxelReading::AsIs,
            labels: LabelOptions {
                ink: self.labels_ink,
                invert: self.invert_labels,
            },
        }
    }

    /// Refuses values out of their range, and maps beside reversed layers.
    pub(crate) fn check(&self) -> Result<(), Usage> {
        if let (false, Some(maps)) = (self.flip.is_none(), &self.maps) {
            return Err(Usage(format!(
                "data.flip: found data.maps = {}, maps that say themselves whether they were fitted in \
                 reverse order; expected one of the two. hint: remove data.flip, or make the maps with \
                 `inkling align --flip`",
                maps.display()
            )));
        }
        let [first, end] = self.layers;
        match first < end && end <= MOST_LAYERS {
            true => Ok(()),
            false => Err(Usage(format!(
                "data.layers: found [{first}, {end}]; expected the first layer and the one after the \
                 last, rising, up to {MOST_LAYERS}. hint: change them in [data]"
            ))),
        }
    }
}
