use inkling_fragment::Region;
use ndarray::{Array2, Array3, Axis, s};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::normalize::normalize;
use crate::resample::{Taps, nearest};
use crate::{AugmentSettings, Error, Sample, SampleKey, Source};

/// How often a centre is drawn before the papyrus is searched for one.
const DRAWS: usize = 256;

/// One sample's random draw: applied again it gives the same sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// First row of the crop and their number.
    pub rows: [usize; 2],
    /// First column of the crop and their number.
    pub columns: [usize; 2],
    /// First layer of the crop and their number.
    pub layers: [usize; 2],
    /// Left to right.
    pub horizontal_flip: bool,
    /// Top to bottom.
    pub vertical_flip: bool,
    /// Quarter turns counter-clockwise, 0 to 3.
    pub turns: u8,
    /// Factor and offset on the intensities; the offset is a share of the full range.
    pub contrast_brightness: Option<[f32; 2]>,
}

/// The write-up's training transform: a random crop with its centre on papyrus, resized to the
/// patch, flipped, turned, brightened, normalised.
#[derive(Clone, Debug)]
pub struct TrainTransform {
    settings: AugmentSettings,
    image_size: usize,
    depth: usize,
}

impl TrainTransform {
    /// Samples of `depth` layers of `image_size`² px.
    ///
    /// # Errors
    /// [`Error::Setting`] for a value out of its range.
    pub fn new(settings: AugmentSettings, image_size: usize, depth: usize) -> Result<Self, Error> {
        settings
            .check()
            .map_err(|(key, expected)| Error::Setting { key, expected })?;
        Ok(Self {
            settings,
            image_size,
            depth,
        })
    }

    /// Draws the parameters of the sample at `key`.
    ///
    /// # Errors
    /// [`Error::Layers`] and [`Error::NoPlace`] when no crop fits.
    pub fn draw(&self, source: &Source, key: SampleKey) -> Result<Params, Error> {
        let mut random = ChaCha8Rng::seed_from_u64(key.seed);
        random.set_stream((key.epoch << 32 | key.index).wrapping_mul(2));
        let random = &mut random;
        let settings = &self.settings;
        let layers = self.draw_layers(source, random)?;
        let [rows, columns] = self.draw_box(source, random)?;
        let chance = |random: &mut ChaCha8Rng, p: f64| random.random_bool(p);
        Ok(Params {
            rows,
            columns,
            layers,
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
        })
    }

    fn draw_layers(&self, source: &Source, random: &mut ChaCha8Rng) -> Result<[usize; 2], Error> {
        let available = source.z.len();
        let depth = source.volume.shape()[0];
        if source.z.end > depth || available < self.depth {
            return Err(Error::Layers {
                first: source.z.start,
                end: source.z.end,
                depth,
                needed: self.depth,
            });
        }
        let limit = self.settings.z_scale_limit;
        let factor = random.random_range(1.0 / limit..=limit);
        let count = (self.depth as f64 * factor).round() as usize;
        let count = count.clamp(1, available);
        let first = random.random_range(0..=available - count);
        Ok([source.z.start + first, count])
    }

    /// Rows and columns of a crop with its centre uniform over the papyrus where it fits.
    fn draw_box(&self, source: &Source, random: &mut ChaCha8Rng) -> Result<[[usize; 2]; 2], Error> {
        let [low, high] = self.settings.scale;
        let side = self.image_size as f64 * random.random_range(low..=high);
        let [low, high] = self.settings.ratio;
        let ratio: f64 = random.random_range(low..=high);
        let (rows, columns) = source.mask.dim();
        let fit = |side: f64, limit: usize| (side.round() as usize).clamp(1, limit);
        let height = fit(side * ratio.sqrt(), rows);
        let width = fit(side / ratio.sqrt(), columns);
        // Centres that leave the crop inside.
        let (tall, wide) = (rows - height + 1, columns - width + 1);
        let place = |y: usize, x: usize| [[y, height], [x, width]];
        let on_papyrus = |y: usize, x: usize| source.mask[(y + height / 2, x + width / 2)];
        for _ in 0..DRAWS {
            let (y, x) = (random.random_range(0..tall), random.random_range(0..wide));
            if on_papyrus(y, x) {
                return Ok(place(y, x));
            }
        }
        // Papyrus is rare: count it, and take one pixel of it.
        let all = || (0..tall).flat_map(|y| (0..wide).map(move |x| (y, x)));
        let papyrus = || all().filter(|&(y, x)| on_papyrus(y, x));
        let count = papyrus().count();
        let chosen = (count > 0).then(|| random.random_range(0..count));
        let chosen = chosen.and_then(|index| papyrus().nth(index));
        chosen.map(|(y, x)| place(y, x)).ok_or(Error::NoPlace {
            height,
            width,
            found: [rows, columns],
        })
    }

    /// Makes the sample that `params` describe.
    ///
    /// # Errors
    /// Those of reading the volume.
    pub fn apply(&self, source: &Source, params: &Params) -> Result<Sample, Error> {
        let [y, x, z] =
            [params.rows, params.columns, params.layers].map(|[first, count]| first..first + count);
        let crop = source.volume.read(&Region::new(z, y, x))?;
        let side = self.image_size;
        let mut volume = resize(&crop, [self.depth, side, side]);
        let [contrast, brightness] = params.contrast_brightness.unwrap_or([1.0, 0.0]);
        let offset = brightness * f32::from(u16::MAX);
        volume.mapv_inplace(|intensity| {
            normalize((intensity * contrast + offset).clamp(0.0, f32::from(u16::MAX)))
        });
        let labels = match source.labels {
            Some(labels) => self.crop_mask(labels, params),
            None => Array2::zeros((side, side)),
        };
        Ok(Sample {
            volume: turned(volume, params),
            labels: flat(turned(lifted(labels), params)),
            validity: flat(turned(lifted(self.crop_mask(source.mask, params)), params)),
        })
    }

    /// The crop of a mask, resized by nearest neighbour.
    fn crop_mask(&self, mask: &Array2<bool>, params: &Params) -> Array2<f32> {
        let side = self.image_size;
        Array2::from_shape_fn((side, side), |(row, column)| {
            let y = params.rows[0] + nearest(row, params.rows[1], side);
            let x = params.columns[0] + nearest(column, params.columns[1], side);
            f32::from(u8::from(mask[(y, x)]))
        })
    }
}

/// Trilinear resize, (z, y, x), pixel centres aligned, without antialiasing.
pub(crate) fn resize(crop: &Array3<u16>, [depth, height, width]: [usize; 3]) -> Array3<f32> {
    let (layers, rows, columns) = crop.dim();
    let (z, y, x) = (
        Taps::new(layers, depth),
        Taps::new(rows, height),
        Taps::new(columns, width),
    );
    let mut out = Array3::zeros((depth, height, width));
    let mut line = vec![0.0_f32; columns];
    for (k, mut layer) in out.outer_iter_mut().enumerate() {
        let (below, above) = (z.below[k], z.above(k, layers));
        for (j, mut target) in layer.outer_iter_mut().enumerate() {
            let (upper, lower) = (y.below[j], y.above(j, rows));
            let corner = |layer, row| crop.slice(s![layer, row, ..]);
            let corners = [
                (
                    corner(below, upper),
                    (1.0 - z.weight[k]) * (1.0 - y.weight[j]),
                ),
                (corner(below, lower), (1.0 - z.weight[k]) * y.weight[j]),
                (corner(above, upper), z.weight[k] * (1.0 - y.weight[j])),
                (corner(above, lower), z.weight[k] * y.weight[j]),
            ];
            line.fill(0.0);
            for (row, weight) in &corners {
                for (sum, &value) in line.iter_mut().zip(row) {
                    *sum += weight * f32::from(value);
                }
            }
            for (i, value) in target.iter_mut().enumerate() {
                let (left, right) = (line[x.below[i]], line[x.above(i, columns)]);
                *value = left + (right - left) * x.weight[i];
            }
        }
    }
    out
}

/// Flips, then quarter turns counter-clockwise, in the (y, x) plane.
fn turned(volume: Array3<f32>, params: &Params) -> Array3<f32> {
    let mut view = volume.view();
    if params.horizontal_flip {
        view.invert_axis(Axis(2));
    }
    if params.vertical_flip {
        view.invert_axis(Axis(1));
    }
    for _ in 0..params.turns {
        view.swap_axes(1, 2);
        view.invert_axis(Axis(1));
    }
    view.as_standard_layout().into_owned()
}

fn lifted(image: Array2<f32>) -> Array3<f32> {
    image.insert_axis(Axis(0))
}

fn flat(volume: Array3<f32>) -> Array2<f32> {
    volume.index_axis_move(Axis(0), 0)
}
