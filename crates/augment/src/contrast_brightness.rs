use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::range_checks::{require, within};
use crate::settings_group::settings;
use crate::tone::Tone;
use crate::transform::{Transform, Variant};

/// A change of contrast and brightness: albumentations' `RandomBrightnessContrast`, relative to
/// the full range.
pub struct ContrastBrightness;

settings! {
    /// Settings of the change of contrast and brightness.
    pub struct ContrastBrightnessSettings {
        /// A change of brightness and contrast.
        "brightness_contrast" probability: f64 = 0.5,
        /// Largest change of brightness, as a share of the full range of intensities.
        "brightness_limit" brightness_limit: f64 = 0.1,
        /// Largest change of contrast, as a factor away from 1.
        "contrast_limit" contrast_limit: f64 = 0.1,
    }
}

impl Transform for ContrastBrightness {
    type Settings = ContrastBrightnessSettings;
    /// Factor and offset on the intensities; the offset is a share of the full range.
    type Draw = Option<[f32; 2]>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[Variant::of_any("brightness and contrast")];

    fn check(settings: &ContrastBrightnessSettings, _side: usize) -> Result<(), Error> {
        let limits = [
            ("brightness_limit", settings.brightness_limit),
            ("contrast_limit", settings.contrast_limit),
        ];
        limits
            .into_iter()
            .try_for_each(|(key, limit)| require(key, limit, within(limit, 1.0), "0 to 1"))
    }

    fn draw(
        settings: &ContrastBrightnessSettings,
        _side: usize,
        random: &mut ChaCha8Rng,
    ) -> Self::Draw {
        let mut within = |limit: f64| random.random_range(-limit..=limit) as f32;
        let contrast = 1.0 + within(settings.contrast_limit);
        Some([contrast, within(settings.brightness_limit)])
    }

    fn describe(draw: &Self::Draw) -> Option<String> {
        let [contrast, brightness] = (*draw)?;
        Some(format!(
            "contrast × {contrast:.2}, brightness {brightness:+.2}"
        ))
    }

    fn tone(draw: &Self::Draw, tone: &mut Tone) {
        if let Some([contrast, brightness]) = *draw {
            tone.expose(contrast, brightness);
        }
    }
}
