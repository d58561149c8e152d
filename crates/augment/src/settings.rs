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

    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub(crate) fn check(&self, image_size: usize) -> Result<(), Error> {
        self.check_probabilities()?;
        self.check_geometry(image_size)?;
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
        let z = self.z_scale_limit;
        let holds = (1.0..=LARGEST_CROP).contains(&z);
        require("z_scale_limit", z, holds, "1 to 16")?;
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

    fn check_intensities(&self) -> Result<(), Error> {
        let limits = [
            ("brightness_limit", self.brightness_limit),
            ("contrast_limit", self.contrast_limit),
        ];
        for (key, limit) in limits {
            require(key, limit, within(limit, 1.0), "0 to 1")?;
        }
        let noise = self.noise_variance;
        let holds = rising(noise, -1.0) && noise[0] >= 0.0;
        require("noise_variance", noise, holds, "a rising range from 0")?;
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

fn rising([low, high]: [f64; 2], above: f64) -> bool {
    above < low && low <= high && high.is_finite()
}

fn within(value: f64, limit: f64) -> bool {
    (0.0..=limit).contains(&value)
}

fn kernel([low, high]: [usize; 2]) -> bool {
    3 <= low && low <= high && high <= 255
}
