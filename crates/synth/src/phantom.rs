use inkling_fragment::DepthMaps;
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::PhantomSettings;
use crate::field::{Field, mix, signed_unit};
use crate::letters::write_text;
use crate::profile;

/// Brightness of the air around the sheet and of the sheet at curve values 0 and 1, u16.
const AIR: f32 = 9_000.0;
const PAPYRUS: [f32; 2] = [21_000.0, 41_000.0];
/// What ink changes at full pressure and contrast 1, as a share of the curve's range.
const INK: f32 = 0.095;
/// Voxel noise before blurring, as a share of the curve's range.
const NOISE: f32 = 0.34;
/// Spread of the sheet's brightness, of its fibres along and across.
const GAIN: f32 = 0.16;
const FIBRES: [f32; 2] = [0.13, 0.15];

/// A phantom fragment: everything but the voxels, which are computed block by block.
pub struct Phantom {
    settings: PhantomSettings,
    /// Where there is papyrus, (y, x).
    pub mask: Array2<bool>,
    /// Where there is ink, (y, x).
    pub ink: Array2<bool>,
    /// The known depth: target layer = input layer × scale + shift.
    pub maps: DepthMaps,
    pressure: Array2<f32>,
    /// Mean pressure over the papyrus. The measured curve is the mean over ink and bare papyrus
    /// alike, so bare papyrus lies as far on its one side as ink on its other.
    mean_pressure: f32,
}

impl Phantom {
    /// Draws the mask, the text and the depth of a phantom; voxels are made by [`rows`](Self::rows).
    pub fn new(settings: &PhantomSettings) -> Self {
        let size = (settings.height, settings.width);
        let mask = outline(settings);
        let mut pressure = write_text(size, settings.letter_height, settings.seed);
        let is_inked = settings.contrast > 0.0;
        pressure.zip_mut_with(&mask, |ink, &papyrus| {
            *ink *= f32::from(u8::from(papyrus && is_inked));
        });
        let papyrus = mask.iter().filter(|&&papyrus| papyrus).count().max(1);
        Self {
            settings: settings.clone(),
            mean_pressure: pressure.sum() / papyrus as f32,
            ink: pressure.mapv(|ink| ink > 0.3),
            maps: depth_maps(settings),
            mask,
            pressure,
        }
    }

    /// Layers, rows and columns.
    pub fn shape(&self) -> [usize; 3] {
        let settings = &self.settings;
        [settings.depth, settings.height, settings.width]
    }

    /// The voxels of `rows`, (z, y, x); the same whichever blocks are asked for.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> Array3<u16> {
        let settings = &self.settings;
        let mut block = Array3::zeros((settings.depth, rows.len(), settings.width));
        let sheet = self.sheet(rows.clone());
        block
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .enumerate()
            .for_each(|(z, mut layer)| {
                let noise = self.noise(z, rows.clone());
                for ((y, x), voxel) in layer.indexed_iter_mut() {
                    let value = sheet[(y, x)].value(z as f32) + noise[(y, x)];
                    *voxel = (value + 0.5).clamp(0.0, 65_535.0) as u16;
                }
            });
        block
    }

    /// All voxels, (z, y, x).
    pub fn volume(&self) -> Array3<u16> {
        self.rows(0..self.settings.height)
    }

    /// A photograph in infrared, (y, x): carbon ink dark on grey papyrus.
    pub fn infrared(&self) -> Array2<u8> {
        let seed = self.settings.seed;
        let stain = Field::new(mix(seed ^ 21), [90.0, 120.0]);
        let fibre = Field::new(mix(seed ^ 22), [2.5, 60.0]);
        Array2::from_shape_fn(self.mask.dim(), |(y, x)| {
            if !self.mask[(y, x)] {
                return 12;
            }
            let (fy, fx) = (y as f32, x as f32);
            let bare = 128.0 + 34.0 * stain.rough(fy, fx) + 22.0 * fibre.rough(fy, fx);
            (bare - 72.0 * self.pressure[(y, x)]).clamp(0.0, 255.0) as u8
        })
    }

    /// What every column of the block is made of.
    fn sheet(&self, rows: std::ops::Range<usize>) -> Array2<Column> {
        let seed = self.settings.seed;
        let gain = Field::new(mix(seed ^ 1), [17.0, 19.0]);
        let drift = Field::new(mix(seed ^ 2), [260.0, 300.0]);
        let along = Field::new(mix(seed ^ 3), [5.0, 70.0]);
        let across = Field::new(mix(seed ^ 4), [70.0, 5.0]);
        Array2::from_shape_fn((rows.len(), self.settings.width), |(row, x)| {
            let y = rows.start + row;
            let (fy, fx) = (y as f32, x as f32);
            Column {
                papyrus: self.mask[(y, x)],
                shift: self.maps.z_shift[(y, x)],
                scale: self.settings.scale,
                gain: 1.0 + GAIN * gain.rough(fy, fx) + 0.12 * drift.at(fy, fx),
                fibres: [
                    FIBRES[0] * along.rough(fy, fx),
                    FIBRES[1] * across.rough(fy, fx),
                ],
                ink: INK * self.settings.contrast * (self.pressure[(y, x)] - self.mean_pressure),
            }
        })
    }

    /// Noise of layer `z`, blurred over 3 × 3 pixels and two layers, as reconstruction does.
    fn noise(&self, z: usize, rows: std::ops::Range<usize>) -> Array2<f32> {
        let width = self.settings.width;
        let spread = NOISE * (PAPYRUS[1] - PAPYRUS[0]);
        let white = |layer: usize, y: usize, x: usize| {
            let place = ((layer as u64) << 48) ^ ((y as u64) << 24) ^ x as u64;
            let hash = mix(self.settings.seed.wrapping_mul(0x5851_F42D) ^ place);
            // The sum of two uniform values is close enough to a bell.
            signed_unit(hash) + signed_unit(hash << 32)
        };
        let raw = Array2::from_shape_fn((rows.len() + 2, width + 2), |(y, x)| {
            let y = rows.start + y;
            0.75 * white(z, y, x) + 0.55 * white(z + 1, y, x)
        });
        let sideways = Array2::from_shape_fn((rows.len() + 2, width), |(y, x)| {
            0.25 * raw[(y, x)] + 0.5 * raw[(y, x + 1)] + 0.25 * raw[(y, x + 2)]
        });
        Array2::from_shape_fn((rows.len(), width), |(y, x)| {
            let blurred =
                0.25 * sideways[(y, x)] + 0.5 * sideways[(y + 1, x)] + 0.25 * sideways[(y + 2, x)];
            spread * blurred
        })
    }
}

/// What ink of full pressure and contrast 1 adds to a phantom at a layer of the target, in 16-bit levels.
pub fn ink_contrast(layer: f32) -> f32 {
    INK * profile::ink(layer) * (PAPYRUS[1] - PAPYRUS[0])
}

/// What the voxels of one pixel are computed from.
#[derive(Clone, Copy)]
struct Column {
    papyrus: bool,
    shift: f32,
    scale: f32,
    gain: f32,
    fibres: [f32; 2],
    ink: f32,
}

impl Column {
    /// Brightness at input layer `z`, without noise.
    fn value(&self, z: f32) -> f32 {
        if !self.papyrus {
            return AIR;
        }
        let u = z * self.scale + self.shift;
        let [along, across] = profile::fibres(u);
        let curve = profile::papyrus(u)
            + along * self.fibres[0]
            + across * self.fibres[1]
            + self.ink * profile::ink(u);
        AIR + self.gain * (PAPYRUS[0] - AIR + curve * (PAPYRUS[1] - PAPYRUS[0]))
    }
}

/// An irregular sheet: four ragged edges.
fn outline(settings: &PhantomSettings) -> Array2<bool> {
    let (height, width) = (settings.height as f32, settings.width as f32);
    let edge = Field::new(mix(settings.seed ^ 5), [height / 7.0, width / 7.0]);
    let margin = 0.05 * height.min(width);
    Array2::from_shape_fn((settings.height, settings.width), |(y, x)| {
        let (y, x) = (y as f32, x as f32);
        let inside = y.min(height - 1.0 - y).min(x).min(width - 1.0 - x);
        inside > margin * (0.75 + 1.1 * edge.rough(y, x))
    })
}

fn depth_maps(settings: &PhantomSettings) -> DepthMaps {
    let (height, width) = (settings.height as f32, settings.width as f32);
    let wave = Field::new(mix(settings.seed ^ 6), [height / 2.3, width / 2.1]);
    // The scan's middle layer keeps its place under any thickness.
    let middle = (settings.depth as f32 - 1.0) / 2.0;
    let base = 32.0 - middle * settings.scale + settings.shift;
    let z_shift = Array2::from_shape_fn((settings.height, settings.width), |(y, x)| {
        let (y, x) = (y as f32, x as f32);
        let tilt = settings.tilt * (x / width - 0.5);
        base + tilt + settings.shift_spread * 2.5 * wave.at(y, x)
    });
    let z_scale = Array2::from_elem(z_shift.dim(), settings.scale);
    DepthMaps { z_shift, z_scale }
}
