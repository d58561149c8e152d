use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::place_maps::PlaceMaps;
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Turns by 0, 90, 180 or 270 degrees, each as likely: albumentations' `RandomRotate90`.
pub struct QuarterTurns;

settings! {
    /// Settings of the turns by right angles.
    pub struct QuarterTurnsSettings {
        /// A turn by 0, 90, 180 or 270 degrees.
        "rotate90" probability: f64 = 0.5,
    }
}

impl Transform for QuarterTurns {
    type Settings = QuarterTurnsSettings;
    /// Quarter turns counter-clockwise, 0 to 3.
    type Draw = u8;
    const GALLERY: &'static [Variant<u8>] = &[Variant::of("quarter turn", |turns| *turns > 0)];

    fn draw(_settings: &QuarterTurnsSettings, _side: usize, random: &mut ChaCha8Rng) -> u8 {
        random.random_range(0..4)
    }

    fn describe(turns: &u8) -> Option<String> {
        (*turns > 0).then(|| format!("turned by {}°", 90 * u32::from(*turns)))
    }

    fn geometry(turns: &u8, maps: &mut PlaceMaps) {
        maps.turn(*turns);
    }
}
