use ndarray::{ArrayViewMut2, s};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::normalize::normalize;
use crate::range_checks::{require, rising};
use crate::sample::SampleMut;
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// A hole in a sample, in voxels and labels alike: albumentations' `CoarseDropout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropout {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

settings! {
    /// Settings of the hole.
    pub struct DropoutSettings {
        /// A hole in voxels and labels.
        "coarse_dropout" probability: f64 = 0.5,
        /// Range of the hole's sides, as a share of the patch's. albumentations 1.3 takes its
        /// `max_height` as the smallest height too when no other is given, so the reference
        /// solution's holes are all alike.
        "dropout_size" size: [f64; 2] = [0.3, 0.3],
    }
}

impl Transform for Dropout {
    type Settings = DropoutSettings;
    type Draw = Option<Self>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[Variant::of_any("coarse dropout")];

    fn check(settings: &DropoutSettings, _side: usize) -> Result<(), Error> {
        let size = settings.size;
        let holds = rising(size, 0.0) && size[1] <= 1.0;
        let expected = "a rising range above 0, up to 1";
        require("dropout_size", size, holds, expected)
    }

    fn draw(settings: &DropoutSettings, side: usize, random: &mut ChaCha8Rng) -> Option<Self> {
        let pixels = |share: f64| ((side as f64 * share) as usize).clamp(1, side);
        let (least, most) = (pixels(settings.size[0]), pixels(settings.size[1]));
        let height = random.random_range(least..=most);
        let width = random.random_range(least..=most);
        Some(Self {
            height,
            width,
            y: random.random_range(0..=side - height),
            x: random.random_range(0..=side - width),
        })
    }

    fn describe(draw: &Option<Self>) -> Option<String> {
        draw.map(|hole| format!("hole of {} × {} px", hole.height, hole.width))
    }

    fn finish(draw: &Option<Self>, sample: &mut SampleMut) {
        let Some(hole) = draw else { return };
        for layer in sample.volume.outer_iter_mut() {
            hole.fill(layer, normalize(0.0));
        }
        hole.fill(sample.labels.view_mut(), 0.0);
        hole.fill(sample.validity.view_mut(), 0.0);
    }
}

impl Dropout {
    /// Sets the hole to `value`.
    fn fill(&self, mut image: ArrayViewMut2<f32>, value: f32) {
        let rows = self.y..self.y + self.height;
        let columns = self.x..self.x + self.width;
        image.slice_mut(s![rows, columns]).fill(value);
    }
}
