//! The registry of transforms, in the order in which they are drawn and applied, and what is made
//! of it: the settings of all, the draws of all, and all effects together.

use std::fmt;
use std::sync::LazyLock;

use ndarray::ArrayViewMut3;
use rand::RngExt as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::contrast_brightness::ContrastBrightness;
use crate::crop_box::draw_box;
use crate::crop_layers::CropLayers;
use crate::crop_settings::CropSettings;
use crate::crop_stage::CropStage;
use crate::degradation::Degradation;
use crate::dropout::Dropout;
use crate::error::Error;
use crate::grid_distortion::GridDistortion;
use crate::horizontal_flip::HorizontalFlip;
use crate::mixing::Mixing;
use crate::negative::Negative;
use crate::noise::Noise;
use crate::place_maps::PlaceMaps;
use crate::quarter_turns::QuarterTurns;
use crate::range_checks::{require, within};
use crate::registry::transforms;
use crate::rotation::Rotation;
use crate::sample::{SampleKey, SampleMut, Scratch, Source};
use crate::settings_group::{Probable as _, SettingsGroup, settings};
use crate::step::step;
use crate::tilt::Tilt;
use crate::tone::Tone;
use crate::transform::Transform;
use crate::vertical_flip::VerticalFlip;
use crate::weighted_rows::BlurRows;

transforms! {
    /// Rotation about the x axis, in degrees.
    tilt: Tilt,
    /// Rotation in the papyrus's plane, in degrees counter-clockwise.
    rotation: Rotation,
    /// Left to right.
    horizontal_flip: HorizontalFlip,
    /// Top to bottom.
    vertical_flip: VerticalFlip,
    /// Quarter turns counter-clockwise, 0 to 3.
    turns: QuarterTurns,
    /// Factor and offset on the intensities; the offset is a share of the full range.
    contrast_brightness: ContrastBrightness,
    /// Noise or blur.
    degradation: Degradation,
    /// Stretched cells of a grid.
    grid_distortion: GridDistortion,
    /// A hole in voxels and labels.
    dropout: Dropout,
    /// Noise or shuffled layers, without ink.
    negative: Negative,
}

/// A picture of one transform in the gallery.
pub(crate) struct TransformVariant {
    /// Its heading.
    pub name: &'static str,
    /// Lets the transform happen always, in settings that are to have the limits of others.
    pub switch_on: fn(&mut AugmentSettings, &AugmentSettings),
    /// Whether a draw is one that it is about.
    pub shows: Box<dyn Fn(&Params) -> bool>,
}

/// The keys of a transform, its probability first.
fn keys_of<T: Transform>() -> Vec<&'static str> {
    let mut keys = Vec::new();
    T::Settings::list_keys(&mut keys);
    keys
}

/// Whether a draw leaves a sample other than it is.
fn happens<T: Transform>(draw: &T::Draw) -> bool {
    *draw != T::Draw::default()
}

impl AugmentSettings {
    /// Crops of the patch's own size, upright and as they are: nothing is drawn but the place.
    pub fn none() -> Self {
        Self::default().at_rest()
    }

    /// The same limits, with nothing happening: each transform can be given its probability back.
    #[must_use]
    pub fn at_rest(self) -> Self {
        let mut settings = self.without_transforms();
        settings.crop = settings.crop.at_rest();
        settings.mixing = settings.mixing.at_rest();
        settings
    }

    /// Whether samples of `depth` layers of `image_size`² px can be made so.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self, image_size: usize, depth: usize) -> Result<(), Error> {
        self.crop.check(image_size, depth)?;
        self.check_transforms(image_size)?;
        self.mixing.check()
    }

    /// The keys of `[augment]` that nothing reads, each with the key that switches it off.
    pub fn unread(&self) -> Vec<[&'static str; 2]> {
        let mut unread = self.keys_of_idle_transforms();
        unread.extend(self.mixing.unread());
        unread
    }

    /// Draws the parameters of the sample at `key`, a patch of `depth` layers of `side` px.
    ///
    /// # Errors
    /// [`Error::Layers`] and [`Error::NoPlace`] when no crop fits.
    pub(crate) fn draw(
        &self,
        [depth, side]: [usize; 2],
        source: &Source,
        key: SampleKey,
    ) -> Result<Params, Error> {
        let random = &mut key.random();
        let there = source.volume.shape()[0];
        if source.z.end > there || source.z.len() < depth {
            return Err(Error::Layers {
                first: source.z.start,
                end: source.z.end,
                depth: there,
                needed: depth,
            });
        }
        let crop = &self.crop;
        let (slices, limit) = (crop.slices, crop.z_scale_limit);
        let CropLayers { layers, slices } =
            CropLayers::draw(slices, limit, depth, source.z.clone(), random);
        let [rows, columns] = draw_box(crop, side, source.mask, random)?;
        let crop = Params {
            slices,
            ..Params::crop(rows, columns, layers)
        };
        Ok(self.draw_transforms(crop, side, random))
    }
}

impl<'de> Deserialize<'de> for AugmentSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = AugmentSettings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the table [augment]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AugmentSettings, A::Error> {
        static KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
            let mut keys = Vec::new();
            AugmentSettings::list_keys(&mut keys);
            keys
        });
        let mut settings = AugmentSettings::default();
        while let Some(key) = map.next_key::<String>()? {
            if !settings.read_value(&key, &mut map)? {
                return Err(A::Error::unknown_field(&key, &KEYS));
            }
        }
        Ok(settings)
    }
}

/// In words: what happened to the crop, in order.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (height, width) = (self.rows.1, self.columns.1);
        write!(
            f,
            "{height} × {width} px from ({}, {})",
            self.rows.0, self.columns.0
        )?;
        let (first, count) = self.layers;
        match &self.slices {
            None => write!(f, ", layers {first} to {}", first + count - 1)?,
            Some(slices) => {
                let layers: Vec<_> = slices.iter().map(|z| (first + z).to_string()).collect();
                write!(f, ", layers {}", layers.join(", "))?;
            }
        }
        self.descriptions()
            .iter()
            .try_for_each(|description| write!(f, ", {description}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every group's keys lie in one table: each once, written and read again.
    #[test]
    fn settings_are_one_table() {
        let mut keys = Vec::new();
        AugmentSettings::list_keys(&mut keys);
        let mut settings = AugmentSettings::default();
        settings.tilt.probability = 0.25;
        settings.degradation.gaussian_blur.size = [5, 9];
        let written = serde_json::to_value(&settings).unwrap();
        let table = written.as_object().unwrap();
        assert_eq!(keys.len(), table.len());
        assert!(keys.iter().all(|key| table.contains_key(*key)), "{keys:?}");
        assert_eq!(written["tilt"], 0.25);
        let read: AugmentSettings = serde_json::from_value(written).unwrap();
        assert_eq!(read, settings);
        let unknown = serde_json::json!({ "tilt": 0.5, "tlit_limit": 3.0 });
        let error = serde_json::from_value::<AugmentSettings>(unknown).unwrap_err();
        assert!(error.to_string().contains("tlit_limit"), "{error}");
    }

    #[test]
    fn every_transform_alone_leaves_the_others_out() {
        let all = AugmentSettings::default();
        let names: Vec<&str> = variants().iter().map(|variant| variant.name).collect();
        assert!(names.contains(&"tilt") && names.contains(&"coarse dropout"));
        for variant in variants() {
            let mut settings = AugmentSettings::none();
            (variant.switch_on)(&mut settings, &all);
            let happening = AugmentSettings::none().unread().len() - settings.unread().len();
            let flips = ["horizontal flip", "vertical flip", "quarter turn"];
            assert_eq!(
                happening == 0,
                flips.contains(&variant.name),
                "{}",
                variant.name
            );
        }
    }

    #[test]
    fn numbers_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut AugmentSettings);
        let changes: [(&str, Change); 18] = [
            ("scale", |s| s.crop.scale = [0.5, 1e9]),
            ("scale", |s| s.crop.scale = [f64::NAN, 1.0]),
            ("scale", |s| {
                (s.crop.scale, s.crop.z_scale_limit) = ([16.0, 16.0], 16.0);
            }),
            ("ratio", |s| s.crop.ratio = [0.0, 1.0]),
            ("z_scale_limit", |s| s.crop.z_scale_limit = -1.33),
            ("z_scale_limit", |s| s.crop.z_scale_limit = f64::NAN),
            ("z_scale_limit", |s| s.crop.z_scale_limit = 1e9),
            ("tilt_limit", |s| s.tilt.limit = f64::NAN),
            ("rotate_limit", |s| s.rotation.limit = 1e9),
            ("noise_variance", |s| {
                s.degradation.noise.variance = [f64::NAN, f64::NAN];
            }),
            ("noise_variance", |s| {
                s.degradation.noise.variance = [-4.0, 1.0];
            }),
            ("noise_variance", |s| {
                s.degradation.noise.variance = [1.0, 1e300];
            }),
            ("gaussian_blur", |s| {
                s.degradation.gaussian_blur.size = [3, 1_000_000_001];
            }),
            ("motion_blur", |s| {
                s.degradation.motion_blur.size = [usize::MAX, usize::MAX];
            }),
            ("grid_steps", |s| s.grid_distortion.steps = 1_000_000_000),
            ("dropout_size", |s| s.dropout.size = [0.3, 1e9]),
            ("negative_shuffled", |s| s.negative.shuffled = 1.5),
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
