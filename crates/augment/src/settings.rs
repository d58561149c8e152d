use serde::{Deserialize, Serialize};

/// `[augment]` in a recipe: what training does to its samples. The defaults are the write-up's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Range of the crop's side, as a factor on the patch's.
    pub scale: [f64; 2],
    /// Range of the crop's height by its width.
    pub ratio: [f64; 2],
    /// The crop's depth is drawn from 1/limit to limit times the patch's; the test transform
    /// reads `limit` times the patch's.
    pub z_scale_limit: f64,
    /// Probability of a flip left to right.
    pub horizontal_flip: f64,
    /// Probability of a flip top to bottom.
    pub vertical_flip: f64,
    /// Probability of turning by 0, 90, 180 or 270 degrees.
    pub rotate90: f64,
    /// Probability of a change of brightness and contrast.
    pub brightness_contrast: f64,
    /// Largest change of brightness, as a share of the full range of intensities.
    pub brightness_limit: f64,
    /// Largest change of contrast, as a factor away from 1.
    pub contrast_limit: f64,
}

impl Default for AugmentSettings {
    fn default() -> Self {
        Self {
            scale: [0.5, 2.0],
            ratio: [0.9, 1.1],
            z_scale_limit: 1.33,
            horizontal_flip: 0.5,
            vertical_flip: 0.5,
            rotate90: 0.5,
            brightness_contrast: 0.5,
            brightness_limit: 0.1,
            contrast_limit: 0.1,
        }
    }
}

impl AugmentSettings {
    /// # Errors
    /// The first value out of its range, as (key, what it should be).
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let rising = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high.is_finite();
        if !rising(self.scale) {
            return Err(("scale", "a rising range above 0"));
        }
        if !rising(self.ratio) {
            return Err(("ratio", "a rising range above 0"));
        }
        if !(self.z_scale_limit >= 1.0 && self.z_scale_limit.is_finite()) {
            return Err(("z_scale_limit", "a number of at least 1"));
        }
        let probabilities = [
            ("horizontal_flip", self.horizontal_flip),
            ("vertical_flip", self.vertical_flip),
            ("rotate90", self.rotate90),
            ("brightness_contrast", self.brightness_contrast),
        ];
        match probabilities
            .into_iter()
            .find(|(_, p)| !(0.0..=1.0).contains(p))
        {
            Some((key, _)) => Err((key, "a probability from 0 to 1")),
            None => Ok(()),
        }
    }
}
