use rand_chacha::ChaCha8Rng;

use crate::place_maps::PlaceMaps;
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Mirrors columns: left to right.
pub struct HorizontalFlip;

settings! {
    /// Settings of the flip left to right.
    pub struct HorizontalFlipSettings {
        /// Mirrors columns: left to right.
        "horizontal_flip" probability: f64 = 0.5,
    }
}

impl Transform for HorizontalFlip {
    type Settings = HorizontalFlipSettings;
    type Draw = bool;
    const GALLERY: &'static [Variant<bool>] = &[Variant::of_any("horizontal flip")];

    fn draw(_settings: &HorizontalFlipSettings, _side: usize, _random: &mut ChaCha8Rng) -> bool {
        true
    }

    fn describe(draw: &bool) -> Option<String> {
        draw.then(|| "flipped left to right".to_owned())
    }

    fn geometry(draw: &bool, maps: &mut PlaceMaps) {
        if *draw {
            maps.mirror(1);
        }
    }
}
