use crate::crop_layers::Slices;
use crate::error::Error;
use crate::range_checks::{require, rising};
use crate::settings_group::settings;

settings! {
    /// How crops are drawn: which box of the fragment becomes a patch.
    pub struct CropSettings {
        /// Range of the crop's side, as a factor on the patch's.
        "scale" scale: [f64; 2] = [0.5, 2.0],
        /// Range of the crop's height by its width.
        "ratio" ratio: [f64; 2] = [0.9, 1.1],
        /// The crop's depth is drawn from 1/limit to limit times the patch's; the test transform
        /// reads `limit` times the patch's.
        "z_scale_limit" z_scale_limit: f64 = 1.33,
        /// Lets crops reach beyond the fragment, where voxels are 0 and nothing is papyrus.
        "pad" pad: bool = false,
        /// How a patch gets its layers.
        "slices" slices: Slices = Slices::Crop,
    }
}

/// Most times that a crop may be larger than a patch.
const LARGEST_CROP: f64 = 16.0;

/// Most bytes of 16-bit voxels in a crop.
const LARGEST_CROP_BYTES: f64 = (1_u64 << 32) as f64;

impl CropSettings {
    /// Crops of the patch's own size.
    #[must_use]
    pub(crate) fn at_rest(self) -> Self {
        Self {
            scale: [1.0, 1.0],
            ratio: [1.0, 1.0],
            z_scale_limit: 1.0,
            slices: Slices::Crop,
            ..self
        }
    }

    /// Whether crops for patches of `depth` layers of `side`² px can be made so; the largest is held
    /// in memory.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub(crate) fn check(&self, side: usize, depth: usize) -> Result<(), Error> {
        for (key, range) in [("scale", self.scale), ("ratio", self.ratio)] {
            let holds = rising(range, 0.0) && range[1] <= LARGEST_CROP;
            require(key, range, holds, "a rising range above 0, up to 16")?;
        }
        require_z_scale(self.z_scale_limit)?;
        let side = side as f64 * self.scale[1];
        let bytes = 2.0 * side * side * depth as f64 * self.z_scale_limit;
        require(
            "scale",
            self.scale,
            bytes <= LARGEST_CROP_BYTES,
            "crops of at most 4 GiB: a smaller scale, z_scale_limit or patch",
        )
    }
}

/// Whether crops may be up to `limit` times as deep as a patch.
///
/// # Errors
/// [`Error::Setting`] unless crops may be so many times as deep as a patch.
pub(crate) fn require_z_scale(limit: f64) -> Result<(), Error> {
    let holds = (1.0..=LARGEST_CROP).contains(&limit);
    require("z_scale_limit", limit, holds, "1 to 16")
}
