//! A sample's random draw.

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::crop_box::draw_box;
use crate::slices::{random_slices, uniform_slices};
use crate::{
    AugmentSettings, Dropout, Error, GridDistortion, Params, SampleKey, Slices, Source, Spoil,
};

/// Draws the parameters of the sample at `key`, a patch of `depth` layers of `side` px.
pub(crate) fn draw(
    settings: &AugmentSettings,
    [depth, side]: [usize; 2],
    source: &Source,
    key: SampleKey,
) -> Result<Params, Error> {
    let random = &mut key.random();
    let (layers, slices) = draw_layers(settings, depth, source, random)?;
    let [rows, columns] = draw_box(settings, side, source.mask, random)?;
    Ok(Params {
        layers,
        slices,
        tilt: chance(random, settings.tilt)
            .then(|| random.random_range(-settings.tilt_limit..=settings.tilt_limit)),
        rotation: chance(random, settings.rotate)
            .then(|| random.random_range(-settings.rotate_limit..=settings.rotate_limit)),
        horizontal_flip: chance(random, settings.horizontal_flip),
        vertical_flip: chance(random, settings.vertical_flip),
        turns: match chance(random, settings.rotate90) {
            true => random.random_range(0..4),
            false => 0,
        },
        contrast_brightness: chance(random, settings.brightness_contrast).then(|| {
            let mut within = |limit: f64| random.random_range(-limit..=limit) as f32;
            let contrast = 1.0 + within(settings.contrast_limit);
            [contrast, within(settings.brightness_limit)]
        }),
        spoil: chance(random, settings.spoil).then(|| draw_spoil(settings, random)),
        grid_distortion: chance(random, settings.grid_distortion)
            .then(|| draw_grid(settings, random)),
        dropout: chance(random, settings.coarse_dropout)
            .then(|| draw_hole(settings.dropout_size, side, random)),
        ..Params::crop(rows, columns, layers)
    })
}

impl SampleKey {
    /// The sample's own stream of random numbers.
    pub(crate) fn random(self) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream((self.epoch << 32 | self.index).wrapping_mul(2));
        random
    }
}

fn chance(random: &mut ChaCha8Rng, probability: f64) -> bool {
    random.random_bool(probability)
}

/// The crop's layers as (first, count), and those of them that are taken as they are.
#[expect(clippy::type_complexity, reason = "two of Params' own fields")]
fn draw_layers(
    settings: &AugmentSettings,
    depth: usize,
    source: &Source,
    random: &mut ChaCha8Rng,
) -> Result<((usize, usize), Option<Vec<usize>>), Error> {
    let available = source.z.len();
    let there = source.volume.shape()[0];
    if source.z.end > there || available < depth {
        return Err(Error::Layers {
            first: source.z.start,
            end: source.z.end,
            depth: there,
            needed: depth,
        });
    }
    let all = (source.z.start, available);
    Ok(match settings.slices {
        Slices::Crop => {
            let limit = settings.z_scale_limit;
            let factor = random.random_range(1.0 / limit..=limit);
            let count = (depth as f64 * factor).round() as usize;
            let count = count.clamp(1, available);
            let first = random.random_range(0..=available - count);
            ((source.z.start + first, count), None)
        }
        Slices::Random => (all, Some(random_slices(available, depth, random))),
        Slices::Uniform => (all, Some(uniform_slices(available, depth))),
    })
}

/// One of the three, each as likely.
fn draw_spoil(settings: &AugmentSettings, random: &mut ChaCha8Rng) -> Spoil {
    match random.random_range(0..3) {
        0 => {
            let [low, high] = settings.noise_variance;
            let variance: f64 = random.random_range(low..=high);
            Spoil::Noise {
                deviation: (variance.sqrt() * settings.noise_range.unit()) as f32,
                seed: random.random(),
            }
        }
        1 => {
            let [low, high] = settings.gaussian_blur;
            let size: usize = random.random_range(low..=high);
            Spoil::GaussianBlur { size: size | 1 }
        }
        _ => {
            let [low, high] = settings.motion_blur;
            let size = low + 2 * random.random_range(0..=(high - low) / 2);
            let [from, to] = draw_line(size, random);
            Spoil::MotionBlur { size, from, to }
        }
    }
}

/// The two ends of a line within a kernel, which differ.
fn draw_line(size: usize, random: &mut ChaCha8Rng) -> [[usize; 2]; 2] {
    let mut end = || random.random_range(0..size);
    let (from_x, to_x) = (end(), end());
    let (from_y, mut to_y) = (end(), end());
    if from_x == to_x {
        // One of the others, each as likely.
        to_y = (from_y + 1 + random.random_range(0..size - 1)) % size;
    }
    [[from_y, from_x], [to_y, to_x]]
}

fn draw_grid(settings: &AugmentSettings, random: &mut ChaCha8Rng) -> GridDistortion {
    let limit = settings.grid_limit;
    let mut factors = || {
        let factor = |_| 1.0 + random.random_range(-limit..=limit);
        (0..=settings.grid_steps).map(factor).collect()
    };
    GridDistortion {
        x: factors(),
        y: factors(),
    }
}

fn draw_hole([low, high]: [f64; 2], side: usize, random: &mut ChaCha8Rng) -> Dropout {
    let pixels = |share: f64| ((side as f64 * share) as usize).clamp(1, side);
    let (least, most) = (pixels(low), pixels(high));
    let height = random.random_range(least..=most);
    let width = random.random_range(least..=most);
    Dropout {
        height,
        width,
        y: random.random_range(0..=side - height),
        x: random.random_range(0..=side - width),
    }
}
