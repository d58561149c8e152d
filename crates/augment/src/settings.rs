use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Mixing, MixingKind, Slices};

/// `[augment]` in a recipe: what training does to its samples. The defaults are the write-up's.
///
/// A transform's own name is its probability; 0 leaves it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Range of the crop's side, as a factor on the patch's.
    pub scale: [f64; 2],
    /// Range of the crop's height by its width.
    pub ratio: [f64; 2],
    /// The crop's depth is drawn from 1/limit to limit times the patch's; the test transform
    /// reads `limit` times the patch's.
    pub z_scale_limit: f64,
    /// Lets crops reach beyond the fragment, where voxels are 0 and nothing is papyrus.
    pub pad: bool,
    /// How a patch gets its layers.
    pub slices: Slices,
    /// Rotation about the x axis.
    pub tilt: f64,
    /// Its largest angle, in degrees.
    pub tilt_limit: f64,
    /// Rotation in the papyrus's plane, mirrored at the crop's border.
    pub rotate: f64,
    /// Its largest angle, in degrees.
    pub rotate_limit: f64,
    /// Left to right.
    pub horizontal_flip: f64,
    /// Top to bottom.
    pub vertical_flip: f64,
    /// A turn by 0, 90, 180 or 270 degrees.
    pub rotate90: f64,
    /// A change of brightness and contrast.
    pub brightness_contrast: f64,
    /// Largest change of brightness, as a share of the full range of intensities.
    pub brightness_limit: f64,
    /// Largest change of contrast, as a factor away from 1.
    pub contrast_limit: f64,
    /// One of Gaussian noise, Gaussian blur and motion blur.
    pub spoil: f64,
    /// Range of the noise's variance.
    pub noise_variance: [f64; 2],
    /// In what grey levels the variance is meant.
    pub noise_range: NoiseRange,
    /// Range of the Gaussian kernel's side, in pixels; even ones are made odd.
    pub gaussian_blur: [usize; 2],
    /// Range of the motion kernel's side, in pixels, from an odd one in steps of two.
    pub motion_blur: [usize; 2],
    /// A grid with stretched cells.
    pub grid_distortion: f64,
    /// Cells along each side of the grid.
    pub grid_steps: usize,
    /// Largest change of a cell's side, as a factor away from 1.
    pub grid_limit: f64,
    /// A hole in voxels and labels.
    pub coarse_dropout: f64,
    /// Range of the hole's sides, as a share of the patch's. albumentations 1.3 takes its `max_height`
    /// as the smallest height too when no other is given, so the write-up's holes are all alike.
    pub dropout_size: [f64; 2],
    /// Applies the transforms one after another, each rounding to 16 bits, instead of sampling the
    /// volume once.
    pub exact: bool,
    /// Mixing of two samples.
    pub mixing: Mixing,
}

/// In what grey levels a noise's variance is meant. albumentations gives it for images of 8 bits and
/// adds the same to those of 16, where a variance of 10 to 50 is a deviation of 3 to 7 grey levels
/// of 65536: nothing to be seen. Meant for 8 bits it is 1.2 to 2.8 % of the full range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoiseRange {
    /// Variance in 8-bit grey levels: the noise is as strong as in an image of 8 bits.
    #[serde(rename = "8-bit")]
    EightBit,
    /// Variance in 16-bit grey levels, as the reference had it.
    #[serde(rename = "16-bit")]
    SixteenBit,
}

impl NoiseRange {
    /// Grey levels of 16 bits in one of these.
    pub(crate) fn unit(self) -> f64 {
        match self {
            Self::EightBit => 257.0,
            Self::SixteenBit => 1.0,
        }
    }
}

impl Default for AugmentSettings {
    fn default() -> Self {
        Self {
            scale: [0.5, 2.0],
            ratio: [0.9, 1.1],
            z_scale_limit: 1.33,
            pad: false,
            slices: Slices::Crop,
            tilt: 0.0,
            tilt_limit: 3.0,
            rotate: 0.5,
            rotate_limit: 45.0,
            horizontal_flip: 0.5,
            vertical_flip: 0.5,
            rotate90: 0.5,
            brightness_contrast: 0.5,
            brightness_limit: 0.1,
            contrast_limit: 0.1,
            spoil: 0.4,
            noise_variance: [10.0, 50.0],
            noise_range: NoiseRange::SixteenBit,
            gaussian_blur: [3, 7],
            motion_blur: [3, 7],
            grid_distortion: 0.5,
            grid_steps: 5,
            grid_limit: 0.3,
            coarse_dropout: 0.5,
            dropout_size: [0.3, 0.3],
            exact: false,
            mixing: Mixing::default(),
        }
    }
}

impl AugmentSettings {
    /// Crops of the patch's own size, upright and as they are: nothing is drawn but the place.
    pub fn none() -> Self {
        Self::default().at_rest()
    }

    /// The same limits, with nothing happening: each transform can be given its probability back.
    #[must_use]
    pub fn at_rest(self) -> Self {
        Self {
            scale: [1.0, 1.0],
            ratio: [1.0, 1.0],
            z_scale_limit: 1.0,
            slices: Slices::Crop,
            tilt: 0.0,
            rotate: 0.0,
            horizontal_flip: 0.0,
            vertical_flip: 0.0,
            rotate90: 0.0,
            brightness_contrast: 0.0,
            spoil: 0.0,
            grid_distortion: 0.0,
            coarse_dropout: 0.0,
            mixing: Mixing {
                kind: MixingKind::None,
                ..self.mixing
            },
            ..self
        }
    }

    /// Whether samples of `depth` layers of `image_size`² px can be made so.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self, image_size: usize, depth: usize) -> Result<(), Error> {
        self.check_probabilities()?;
        self.check_geometry(image_size)?;
        self.check_crop(image_size, depth)?;
        self.check_intensities()?;
        let size = self.dropout_size;
        let holds = rising(size, 0.0) && size[1] <= 1.0;
        require(
            "dropout_size",
            size,
            holds,
            "a rising range above 0, up to 1",
        )?;
        self.mixing.check()
    }

    fn check_probabilities(&self) -> Result<(), Error> {
        let probabilities = [
            ("tilt", self.tilt),
            ("rotate", self.rotate),
            ("horizontal_flip", self.horizontal_flip),
            ("vertical_flip", self.vertical_flip),
            ("rotate90", self.rotate90),
            ("brightness_contrast", self.brightness_contrast),
            ("spoil", self.spoil),
            ("grid_distortion", self.grid_distortion),
            ("coarse_dropout", self.coarse_dropout),
        ];
        probabilities
            .into_iter()
            .try_for_each(|(key, p)| require(key, p, within(p, 1.0), "a probability from 0 to 1"))
    }

    fn check_geometry(&self, image_size: usize) -> Result<(), Error> {
        for (key, range) in [("scale", self.scale), ("ratio", self.ratio)] {
            let holds = rising(range, 0.0) && range[1] <= LARGEST_CROP;
            require(key, range, holds, "a rising range above 0, up to 16")?;
        }
        require_z_scale(self.z_scale_limit)?;
        let tilt = self.tilt_limit;
        require("tilt_limit", tilt, within(tilt, 90.0), "0 to 90")?;
        let rotate = self.rotate_limit;
        require("rotate_limit", rotate, within(rotate, 180.0), "0 to 180")?;
        let steps = self.grid_steps;
        let holds = (1..=image_size).contains(&steps);
        require(
            "grid_steps",
            steps,
            holds,
            "at least 1 and at most the patch's side",
        )?;
        let grid = self.grid_limit;
        require("grid_limit", grid, within(grid, 1.0), "0 to 1")
    }

    /// The largest crop is held in memory.
    fn check_crop(&self, image_size: usize, depth: usize) -> Result<(), Error> {
        let side = image_size as f64 * self.scale[1];
        let bytes = 2.0 * side * side * depth as f64 * self.z_scale_limit;
        require(
            "scale",
            self.scale,
            bytes <= LARGEST_CROP_BYTES,
            "crops of at most 4 GiB: a smaller scale, z_scale_limit or patch",
        )
    }

    fn check_intensities(&self) -> Result<(), Error> {
        let limits = [
            ("brightness_limit", self.brightness_limit),
            ("contrast_limit", self.contrast_limit),
        ];
        for (key, limit) in limits {
            require(key, limit, within(limit, 1.0), "0 to 1")?;
        }
        let noise = self.noise_variance;
        let holds = rising(noise, -1.0) && noise[0] >= 0.0 && noise[1] <= LARGEST_VARIANCE;
        let expected = "a rising range from 0 to 65536², the square of the full range";
        require("noise_variance", noise, holds, expected)?;
        let blur = self.gaussian_blur;
        let expected = "a rising range of sides from 3 to 255, the last odd";
        let holds = kernel(blur) && blur[1] % 2 == 1;
        require("gaussian_blur", blur, holds, expected)?;
        let blur = self.motion_blur;
        let expected = "a rising range of sides from 3 to 255, the first odd";
        let holds = kernel(blur) && blur[0] % 2 == 1;
        require("motion_blur", blur, holds, expected)
    }
}

/// Most times that a crop may be larger than a patch.
const LARGEST_CROP: f64 = 16.0;

/// Most bytes of 16-bit voxels in a crop.
const LARGEST_CROP_BYTES: f64 = (1_u64 << 32) as f64;
/// Largest variance of noise.
const LARGEST_VARIANCE: f64 = 65_536.0 * 65_536.0;

/// # Errors
/// [`Error::Setting`] unless the value `holds`.
pub(crate) fn require(
    key: &'static str,
    value: impl Debug,
    holds: bool,
    expected: &'static str,
) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Setting {
            key,
            found: format!("{value:?}"),
            expected,
        }),
    }
}

/// # Errors
/// [`Error::Setting`] unless crops may be so many times as deep as a patch.
pub(crate) fn require_z_scale(limit: f64) -> Result<(), Error> {
    let holds = (1.0..=LARGEST_CROP).contains(&limit);
    require("z_scale_limit", limit, holds, "1 to 16")
}

fn rising([low, high]: [f64; 2], above: f64) -> bool {
    above < low && low <= high && high.is_finite()
}

fn within(value: f64, limit: f64) -> bool {
    (0.0..=limit).contains(&value)
}

fn kernel([low, high]: [usize; 2]) -> bool {
    3 <= low && low <= high && high <= 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut AugmentSettings);
        let changes: [(&str, Change); 17] = [
            ("scale", |s| s.scale = [0.5, 1e9]),
            ("scale", |s| s.scale = [f64::NAN, 1.0]),
            ("scale", |s| {
                (s.scale, s.z_scale_limit) = ([16.0, 16.0], 16.0);
            }),
            ("ratio", |s| s.ratio = [0.0, 1.0]),
            ("z_scale_limit", |s| s.z_scale_limit = -1.33),
            ("z_scale_limit", |s| s.z_scale_limit = f64::NAN),
            ("z_scale_limit", |s| s.z_scale_limit = 1e9),
            ("tilt_limit", |s| s.tilt_limit = f64::NAN),
            ("rotate_limit", |s| s.rotate_limit = 1e9),
            ("noise_variance", |s| {
                s.noise_variance = [f64::NAN, f64::NAN];
            }),
            ("noise_variance", |s| s.noise_variance = [-4.0, 1.0]),
            ("noise_variance", |s| s.noise_variance = [1.0, 1e300]),
            ("gaussian_blur", |s| s.gaussian_blur = [3, 1_000_000_001]),
            ("motion_blur", |s| s.motion_blur = [usize::MAX, usize::MAX]),
            ("grid_steps", |s| s.grid_steps = 1_000_000_000),
            ("dropout_size", |s| s.dropout_size = [0.3, 1e9]),
            ("mixing.alpha", |s| s.mixing.alpha = 1e-300),
        ];
        for (key, change) in changes {
            let mut settings = AugmentSettings::default();
            change(&mut settings);
            let message = settings.check(384, 18).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("augment.{key}: found")),
                "{message}"
            );
        }
        AugmentSettings::default().check(384, 18).unwrap();
    }
}
