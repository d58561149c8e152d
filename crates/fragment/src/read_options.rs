use serde::{Deserialize, Serialize};

use crate::LabelOptions;

/// How a fragment is read where its files leave something open; what a user decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The level of an OME-Zarr volume, 0 the finest. Side images of the finest level's size are
    /// thinned to the level's.
    pub level: usize,
    /// The last layer comes first, for a sheet that was scanned from its other side.
    pub flip: bool,
    /// Takes 16-bit voxels as they are, although their largest value speaks of 8 or 12 bits.
    pub voxels_as_is: bool,
    /// What is ink in label images.
    pub labels: LabelOptions,
}
