use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::place_maps::PlaceMaps;
use crate::range_checks::{require, within};
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Rotation in the papyrus's plane, mirrored at the crop's border: albumentations' `Rotate`.
pub struct Rotation;

settings! {
    /// Settings of the rotation in the papyrus's plane.
    pub struct RotationSettings {
        /// Rotation in the papyrus's plane, mirrored at the crop's border.
        "rotate" probability: f64 = 0.5,
        /// Its largest angle, in degrees.
        "rotate_limit" limit: f64 = 45.0,
    }
}

impl Transform for Rotation {
    type Settings = RotationSettings;
    /// Degrees counter-clockwise.
    type Draw = Option<f64>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[Variant::of_any("rotation")];
    const BEFORE_RESIZE: bool = true;

    fn check(settings: &RotationSettings, _side: usize) -> Result<(), Error> {
        let limit = settings.limit;
        require("rotate_limit", limit, within(limit, 180.0), "0 to 180")
    }

    fn draw(settings: &RotationSettings, _side: usize, random: &mut ChaCha8Rng) -> Option<f64> {
        Some(random.random_range(-settings.limit..=settings.limit))
    }

    fn describe(draw: &Option<f64>) -> Option<String> {
        draw.map(|degrees| format!("rotated by {degrees:.1}°"))
    }

    fn geometry(draw: &Option<f64>, maps: &mut PlaceMaps) {
        if let Some(degrees) = *draw {
            maps.rotate(degrees);
        }
    }
}
