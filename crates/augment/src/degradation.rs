use ndarray::ArrayViewMut3;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::gaussian_blur::{GaussianBlur, GaussianBlurSettings};
use crate::gaussian_noise::{GaussianNoise, GaussianNoiseSettings};
use crate::motion_blur::{MotionBlur, MotionBlurSettings};
use crate::noise::Noise;
use crate::settings_group::settings;
use crate::tone::Tone;
use crate::transform::{Transform, Variant};
use crate::weighted_rows::BlurRows;

/// Noise or blur: one of the three, each as likely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Degradation {
    /// Gaussian noise.
    Noise(GaussianNoise),
    /// A Gaussian blur of each layer.
    GaussianBlur(GaussianBlur),
    /// A blur of each layer along a line.
    MotionBlur(MotionBlur),
}

settings! {
    /// Settings of noise and blur.
    pub struct DegradationSettings {
        /// One of Gaussian noise, Gaussian blur and motion blur.
        "noise_or_blur" probability: f64 = 0.4,
        ..
        /// Gaussian noise.
        noise: GaussianNoiseSettings,
        /// Gaussian blur.
        gaussian_blur: GaussianBlurSettings,
        /// Motion blur.
        motion_blur: MotionBlurSettings,
    }
}

impl Transform for Degradation {
    type Settings = DegradationSettings;
    type Draw = Option<Self>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[
        Variant::of("Gaussian noise", |draw| {
            matches!(draw, Some(Self::Noise(_)))
        }),
        Variant::of("Gaussian blur", |draw| {
            matches!(draw, Some(Self::GaussianBlur(_)))
        }),
        Variant::of("motion blur", |draw| {
            matches!(draw, Some(Self::MotionBlur(_)))
        }),
    ];

    fn check(settings: &DegradationSettings, _side: usize) -> Result<(), Error> {
        GaussianNoise::check(&settings.noise)?;
        GaussianBlur::check(&settings.gaussian_blur)?;
        MotionBlur::check(&settings.motion_blur)
    }

    fn draw(settings: &DegradationSettings, _side: usize, random: &mut ChaCha8Rng) -> Option<Self> {
        Some(match random.random_range(0..3) {
            0 => Self::Noise(GaussianNoise::draw(&settings.noise, random)),
            1 => Self::GaussianBlur(GaussianBlur::draw(&settings.gaussian_blur, random)),
            _ => Self::MotionBlur(MotionBlur::draw(&settings.motion_blur, random)),
        })
    }

    fn describe(draw: &Option<Self>) -> Option<String> {
        Some(match draw.as_ref()? {
            Self::Noise(noise) => noise.describe(),
            Self::GaussianBlur(blur) => blur.describe(),
            Self::MotionBlur(blur) => blur.describe(),
        })
    }

    fn noise(draw: &Option<Self>) -> Option<Noise> {
        match draw {
            Some(Self::Noise(noise)) => Some(noise.noise()),
            _ => None,
        }
    }

    fn blurs(draw: &Option<Self>) -> bool {
        matches!(draw, Some(Self::GaussianBlur(_) | Self::MotionBlur(_)))
    }

    fn blur(
        draw: &Option<Self>,
        volume: &mut ArrayViewMut3<f32>,
        tone: &Tone,
        rows: &mut BlurRows,
    ) {
        match draw {
            Some(Self::GaussianBlur(blur)) => blur.apply(volume, tone, rows),
            Some(Self::MotionBlur(blur)) => blur.apply(volume, tone, rows),
            Some(Self::Noise(_)) | None => {}
        }
    }
}
