use rand_chacha::ChaCha8Rng;

use crate::place_maps::PlaceMaps;
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Mirrors rows: top to bottom.
pub struct VerticalFlip;

settings! {
    /// Settings of the flip top to bottom.
    pub struct VerticalFlipSettings {
        /// Mirrors rows: top to bottom.
        "vertical_flip" probability: f64 = 0.5,
    }
}

impl Transform for VerticalFlip {
    type Settings = VerticalFlipSettings;
    type Draw = bool;
    const GALLERY: &'static [Variant<bool>] = &[Variant::of_any("vertical flip")];

    fn draw(_settings: &VerticalFlipSettings, _side: usize, _random: &mut ChaCha8Rng) -> bool {
        true
    }

    fn describe(draw: &bool) -> Option<String> {
        draw.then(|| "flipped top to bottom".to_owned())
    }

    fn geometry(draw: &bool, maps: &mut PlaceMaps) {
        if *draw {
            maps.mirror(0);
        }
    }
}
