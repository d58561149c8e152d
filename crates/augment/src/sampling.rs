use std::hint::black_box;

use ndarray::{Array2, Array3};
use pulp::{Arch, Simd, WithSimd};

use crate::geometry::{Geometry, Places};
use crate::layer_taps::LayerTaps;
use crate::marks::{MaskCrops, Nearest};
use crate::noise::Noise;
use crate::tone::Tone;

/// Pixels of a row that are worked on at once: few enough for the innermost cache, and for the
/// volume's rows that a rotated row crosses to be at hand again in the next row.
const TILE: usize = 64;

/// A crop within voxels that lie as columns, (y, x, z).
#[derive(Clone, Copy)]
pub(crate) struct Crop<'a> {
    /// With at least [`inkling_fragment::Columns::PAST`] values after the last.
    pub voxels: &'a [u16],
    /// Depth and width of the volume that `voxels` are.
    pub depth: usize,
    pub width: usize,
    /// First layer, row and column of the crop.
    pub first: [usize; 3],
    /// Layers of the crop.
    pub layers: usize,
    /// Height and width of the crop.
    pub size: [usize; 2],
}

/// How a crop becomes a sample.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub geometry: &'a Geometry,
    pub taps: &'a LayerTaps,
    pub tone: Tone,
    pub noise: Option<Noise>,
}

/// Memory that is used from one sample to the next.
#[derive(Default)]
pub(crate) struct Rows {
    /// Where the pixels that are worked on come from, and those that are next.
    places: [Places; 2],
    /// Block by block of the crop's layers, those of a pixel together.
    columns: Vec<f32>,
    /// The same, the pixels of a layer together.
    layers: Vec<[f32; TILE]>,
    nearest: Nearest,
}

/// Reads a sample out of `crop` into `volume`, trilinearly, and the masks that belong to it into
/// `marks`, by the nearest pixel: 1 where they are set. Axes are (layer, y, x) and (y, x).
pub(crate) fn sample<const MASKS: usize>(
    crop: Crop,
    masks: MaskCrops<MASKS>,
    plan: Plan,
    rows: &mut Rows,
    volume: &mut Array3<f32>,
    marks: [&mut Array2<f32>; MASKS],
) {
    Arch::new().dispatch(Sampling {
        crop,
        masks,
        plan,
        rows,
        volume: volume.as_slice_mut().expect("samples lie in one piece"),
        marks: marks.map(|marks| marks.as_slice_mut().expect("samples lie in one piece")),
    });
}

struct Sampling<'a, const MASKS: usize> {
    crop: Crop<'a>,
    masks: MaskCrops<'a, MASKS>,
    plan: Plan<'a>,
    rows: &'a mut Rows,
    volume: &'a mut [f32],
    marks: [&'a mut [f32]; MASKS],
}

impl<const MASKS: usize> WithSimd for Sampling<'_, MASKS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Blocks of a known size become vector instructions.
        match self.crop.layers {
            0..=16 => self.rows_of::<16>(),
            17..=24 => self.rows_of::<24>(),
            _ => self.rows_of::<32>(),
        }
    }
}

impl<const MASKS: usize> Sampling<'_, MASKS> {
    #[inline(always)]
    fn rows_of<const BLOCK: usize>(mut self) {
        let geometry = self.plan.geometry;
        let [height, width] = geometry.output();
        let blocks = self.crop.layers.div_ceil(BLOCK);
        self.rows.columns.resize(TILE * BLOCK, 0.0);
        self.rows.layers.resize(blocks * BLOCK, [0.0; TILE]);
        let tiles = width.div_ceil(TILE);
        // A rotated row crosses many of the crop's, which the row below crosses again.
        let place = |step: usize| match geometry.is_rotated() {
            true => (step % height, step / height * TILE),
            false => (step / tiles, step % tiles * TILE),
        };
        for step in 0..=tiles * height {
            if step < tiles * height {
                let (row, left) = place(step);
                let next = &mut self.rows.places[1];
                geometry.row(row, left..(left + TILE).min(width), next);
                if geometry.is_rotated() {
                    look_ahead(&self.crop, next);
                }
            }
            if step > 0 {
                let (row, left) = place(step - 1);
                self.tile::<BLOCK>(row * width + left);
            }
            self.rows.places.swap(0, 1);
        }
    }

    /// The pixels from `first` on of all layers.
    #[inline(always)]
    fn tile<const BLOCK: usize>(&mut self, first: usize) {
        let Rows {
            places: [places, _],
            columns,
            layers,
            nearest,
        } = &mut *self.rows;
        let columns = columns.as_chunks_mut::<BLOCK>().0;
        for (block, layers) in layers.chunks_exact_mut(BLOCK).enumerate() {
            interpolate(&self.crop, block * BLOCK, places, columns);
            transpose(columns, layers);
        }
        let [height, width] = self.plan.geometry.output();
        let count = places.y.len();
        let Plan {
            taps, tone, noise, ..
        } = self.plan;
        for layer in 0..taps.below.len() {
            let first = layer * height * width + first;
            let line = &mut self.volume[first..][..count];
            let from = [taps.below[layer], taps.above[layer]].map(|layer| &layers[layer]);
            let weight = taps.weight[layer];
            match &noise {
                None => mix_layers(from, weight, line, |value| tone.apply(value)),
                Some(noise) => {
                    mix_layers(from, weight, line, |value| tone.exposed(value));
                    noise.add(first, line);
                    line.iter_mut()
                        .for_each(|value| *value = tone.scaled(*value));
                }
            }
        }
        let lines = self.marks.each_mut();
        let lines = lines.map(|marks| &mut marks[first..][..count]);
        self.masks.mark(places, nearest, lines);
    }
}

/// Reads a little of every column that the next pixels need, so that memory is asked for all of them
/// at once; interpolation, with more to do for each, would ask for a few at a time.
#[inline(always)]
fn look_ahead(crop: &Crop, places: &Places) {
    let [z, top, left] = crop.first;
    let down = crop.width * crop.depth * usize::from(crop.size[0] > 1);
    let past = crop.layers - 1 + crop.depth * usize::from(crop.size[1] > 1);
    let mut seen = 0;
    for (&row, &across) in places.y.iter().zip(&places.x) {
        let (row, across) = (top + row as usize, left + across as usize);
        let first = (row * crop.width + across) * crop.depth + z;
        for place in [first, first + past, first + down, first + down + past] {
            seen ^= crop.voxels[place];
        }
    }
    black_box(seen);
}

/// A block of the crop's layers from `layer` on at `places`, bilinearly.
#[inline(always)]
fn interpolate<const BLOCK: usize>(
    crop: &Crop,
    layer: usize,
    places: &Places,
    columns: &mut [[f32; BLOCK]],
) {
    let [z, top, left] = crop.first;
    // A crop one pixel wide has no neighbour to look at.
    let next = |size: usize, step: usize| if size > 1 { step } else { 0 };
    let right = next(crop.size[1], crop.depth);
    let down = next(crop.size[0], crop.width * crop.depth);
    let beyond = places.beyond_y.iter().zip(&places.beyond_x);
    let places = places.y.iter().zip(&places.x).zip(beyond);
    for (((&row, &across), (&y, &x)), column) in places.zip(columns) {
        let (row, across) = (top + row as usize, left + across as usize);
        let first = (row * crop.width + across) * crop.depth + z + layer;
        let voxels = |corner: usize| -> &[u16; BLOCK] {
            let voxels = crop.voxels[first + corner..].first_chunk();
            voxels.expect("columns are padded")
        };
        let (a, b) = (voxels(0), voxels(right));
        let (c, d) = (voxels(down), voxels(down + right));
        let last = y * x;
        let weights = [1.0 - y - (x - last), x - last, y - last, last];
        for i in 0..BLOCK {
            column[i] = weights[0] * f32::from(a[i])
                + weights[1] * f32::from(b[i])
                + weights[2] * f32::from(c[i])
                + weights[3] * f32::from(d[i]);
        }
    }
}

/// From the layers of each pixel to the pixels of each layer, square by square.
#[inline(always)]
fn transpose<const BLOCK: usize>(columns: &[[f32; BLOCK]], layers: &mut [[f32; TILE]]) {
    const SIDE: usize = 8;
    for (pixel, columns) in columns.chunks_exact(SIDE).enumerate() {
        for (layer, layers) in layers.chunks_exact_mut(SIDE).enumerate() {
            for (i, line) in layers.iter_mut().enumerate() {
                let line = &mut line[pixel * SIDE..][..SIDE];
                for (value, column) in line.iter_mut().zip(columns) {
                    *value = column[layer * SIDE + i];
                }
            }
        }
    }
}

/// One layer of a sample's row, between two layers of the crop.
#[inline(always)]
fn mix_layers(
    [below, above]: [&[f32; TILE]; 2],
    weight: f32,
    line: &mut [f32],
    finish: impl Fn(f32) -> f32,
) {
    for ((value, below), above) in line.iter_mut().zip(below).zip(above) {
        *value = finish(below + (above - below) * weight);
    }
}
