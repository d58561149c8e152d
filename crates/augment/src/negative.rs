use ndarray::{Array2, ArrayView2, Axis, Zip};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::range_checks::{require, within};
use crate::sample::SampleMut;
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Copies that noise is the sum of.
const COPIES: usize = 16;

/// A sample without ink, made of one that may have some: it teaches what is none, as the controls of a
/// reading ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negative {
    /// Noise with the sample's mean per layer and its correlations within and between layers: the sum of
    /// copies that are moved and given signs at random, the same for all layers (discrete spot noise;
    /// Galerne, Gousseau and Morel 2011).
    Noise {
        /// What the moves and signs are drawn from.
        seed: u64,
    },
    /// The sample's layers in another order.
    Shuffled {
        /// What the order is drawn from.
        seed: u64,
    },
}

settings! {
    /// Settings of samples without ink.
    pub struct NegativeSettings {
        /// A sample that is made noise or whose layers are shuffled, with labels that say no ink. The
        /// reference solution has none.
        "negative" probability: f64 = 0.0,
        /// Share of them whose layers are shuffled; the others are noise.
        "negative_shuffled" shuffled: f64 = 0.5,
    }
}

impl Transform for Negative {
    type Settings = NegativeSettings;
    type Draw = Option<Self>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[
        Variant::of("negative: noise", |draw| {
            matches!(draw, Some(Self::Noise { .. }))
        }),
        Variant::of("negative: shuffled layers", |draw| {
            matches!(draw, Some(Self::Shuffled { .. }))
        }),
    ];

    fn check(settings: &NegativeSettings, _side: usize) -> Result<(), Error> {
        let share = settings.shuffled;
        let holds = within(share, 1.0);
        require("negative_shuffled", share, holds, "a share from 0 to 1")
    }

    fn draw(settings: &NegativeSettings, _side: usize, random: &mut ChaCha8Rng) -> Option<Self> {
        let (shuffled, seed) = (random.random_bool(settings.shuffled), random.random());
        Some(match shuffled {
            true => Self::Shuffled { seed },
            false => Self::Noise { seed },
        })
    }

    fn describe(draw: &Option<Self>) -> Option<String> {
        Some(match draw.as_ref()? {
            Self::Noise { .. } => "noise of its spectrum, no ink".to_owned(),
            Self::Shuffled { .. } => "layers shuffled, no ink".to_owned(),
        })
    }

    fn finish(draw: &Option<Self>, sample: &mut SampleMut) {
        match draw {
            None => return,
            Some(Self::Noise { seed }) => make_noise(sample, *seed),
            Some(Self::Shuffled { seed }) => shuffle(sample, *seed),
        }
        // Also where the labels are unknown: this is known to be no ink.
        sample.labels.fill(0.0);
        if let Some(supervision) = &mut sample.supervision {
            supervision.fill(1.0);
        }
    }
}

fn shuffle(sample: &mut SampleMut, seed: u64) {
    let mut layers: Vec<usize> = (0..sample.volume.dim().0).collect();
    layers.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let shuffled = sample.volume.select(Axis(0), &layers);
    sample.volume.assign(&shuffled);
}

/// A copy of an image, reflected at its borders, that is moved and perhaps turned in sign.
struct MovedCopy {
    rows: Vec<usize>,
    columns: Vec<usize>,
    sign: f32,
}

fn make_noise(sample: &mut SampleMut, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (height, width) = sample.validity.dim();
    let copies: Vec<MovedCopy> = (0..COPIES)
        .map(|_| MovedCopy {
            rows: reflected(height, random.random_range(0..2 * height)),
            columns: reflected(width, random.random_range(0..2 * width)),
            sign: if random.random_bool(0.5) { 1.0 } else { -1.0 },
        })
        .collect();
    let papyrus = sample.validity.sum();
    let mut deviations = Array2::zeros((height, width));
    for mut layer in sample.volume.outer_iter_mut() {
        let mean = mean_on_papyrus(layer.view(), sample.validity.view(), papyrus);
        // What is no papyrus deviates in no way, so that its edges do not show.
        Zip::from(&mut deviations)
            .and(&layer)
            .and(&sample.validity)
            .for_each(|deviation, &voxel, &valid| *deviation = valid * (voxel - mean));
        let spread = deviations.iter().map(|value| value * value).sum::<f32>();
        layer.fill(0.0);
        for copy in &copies {
            copy.add(&deviations, &mut layer);
        }
        // As far spread as the papyrus was, which may have been a part of the patch.
        let found = layer.iter().map(|value| value * value).sum::<f32>();
        let wanted = spread / papyrus.max(1.0) * (height * width) as f32;
        let scale = if found > 0.0 {
            (wanted / found).sqrt()
        } else {
            0.0
        };
        layer.mapv_inplace(|value| mean + scale * value);
    }
}

impl MovedCopy {
    fn add(&self, image: &Array2<f32>, sum: &mut ndarray::ArrayViewMut2<f32>) {
        for (mut sums, &row) in sum.outer_iter_mut().zip(&self.rows) {
            let from = image.row(row);
            for (sum, &column) in sums.iter_mut().zip(&self.columns) {
                *sum += self.sign * from[column];
            }
        }
    }
}

/// Where each of `size` values comes from in an image that is repeated, every other time reflected, and
/// moved by `shift`.
fn reflected(size: usize, shift: usize) -> Vec<usize> {
    let place = |index: usize| match (index + shift) % (2 * size) {
        inside if inside < size => inside,
        beyond => 2 * size - 1 - beyond,
    };
    (0..size).map(place).collect()
}

/// The mean where there is papyrus, which is the sum of `validity`; of all without any.
fn mean_on_papyrus(layer: ArrayView2<f32>, validity: ArrayView2<f32>, papyrus: f32) -> f32 {
    if papyrus == 0.0 {
        return layer.mean().unwrap_or(0.0);
    }
    let weighted = layer
        .iter()
        .zip(validity)
        .map(|(voxel, valid)| voxel * valid);
    weighted.sum::<f32>() / papyrus
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::sample::Sample;

    /// Layers of unlike means, whose textures are one, but for their strength.
    fn sample() -> Sample {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let texture = Array2::from_shape_fn((40, 40), |_| random.random_range(-1.0..1.0_f32));
        let smooth = |y: usize, x: usize| {
            let near = [(y, x), ((y + 1) % 40, x), (y, (x + 1) % 40)];
            near.iter().map(|&place| texture[place]).sum::<f32>()
        };
        Sample {
            volume: Array3::from_shape_fn((3, 40, 40), |(z, y, x)| {
                z as f32 + (z + 1) as f32 * smooth(y, x)
            }),
            labels: Array2::from_elem((40, 40), 1.0),
            validity: Array2::from_elem((40, 40), 1.0),
            supervision: Some(Array2::zeros((40, 40))),
        }
    }

    fn moments(a: ArrayView2<f32>, b: ArrayView2<f32>) -> (f32, f32) {
        let (mean_a, mean_b) = (a.mean().unwrap(), b.mean().unwrap());
        let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
        (mean_a, products.sum::<f32>() / a.len() as f32)
    }

    #[test]
    fn noise_keeps_means_spreads_and_what_layers_share() {
        let (before, mut after) = (sample(), sample());
        Negative::finish(&Some(Negative::Noise { seed: 7 }), &mut after.view_mut());
        for z in 0..3 {
            let (a, b) = (
                before.volume.index_axis(Axis(0), z),
                after.volume.index_axis(Axis(0), z),
            );
            let ((mean, variance), (mean_after, variance_after)) = (moments(a, a), moments(b, b));
            assert!((mean - mean_after).abs() < 0.15 * variance.sqrt(), "{z}");
            assert!((variance_after / variance - 1.0).abs() < 0.02, "{z}");
            let (_, alike) = moments(a, b);
            assert!(alike.abs() < 0.2 * variance, "{z}: {alike} of {variance}");
        }
        // One texture in all layers stays one.
        let [first, last] = [0, 2].map(|z| after.volume.index_axis(Axis(0), z));
        let (_, shared) = moments(first, last);
        let spreads = moments(first, first).1 * moments(last, last).1;
        assert!(shared > 0.99 * spreads.sqrt());
        assert_eq!(after.labels.sum(), 0.0);
        assert_eq!(after.supervision.unwrap().sum(), 1600.0);
    }

    #[test]
    fn shuffling_keeps_the_layers_and_takes_the_labels() {
        let (before, mut after) = (sample(), sample());
        // Three layers: the first seed that moves one.
        let moved = (0..10).find(|&seed| {
            after = sample();
            Negative::finish(&Some(Negative::Shuffled { seed }), &mut after.view_mut());
            after.volume != before.volume
        });
        assert!(moved.is_some());
        for layer in before.volume.outer_iter() {
            assert!(after.volume.outer_iter().any(|other| other == layer));
        }
        assert_eq!(after.labels.sum(), 0.0);
    }

    #[test]
    fn a_reflected_image_is_continuous() {
        assert_eq!(reflected(3, 0), [0, 1, 2]);
        assert_eq!(reflected(3, 2), [2, 2, 1]);
        assert_eq!(reflected(3, 5), [0, 0, 1]);
    }
}
