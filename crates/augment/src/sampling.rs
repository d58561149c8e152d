use std::hint::black_box;

use ndarray::{ArrayViewMut2, ArrayViewMut3};
use pulp::{Arch, Simd, WithSimd};

use crate::geometry::{Geometry, Places};
use crate::layer_taps::LayerTaps;
use crate::nearest_masks::{MaskCrops, Nearest};
use crate::noise::Noise;
use crate::tone::Tone;
use crate::vectors::Vectors;

/// Pixels of a row that are worked on at once: few enough for the innermost cache, and for the
/// volume's rows that a rotated row crosses to be at hand again in the next row.
const TILE: usize = 64;

/// A crop within voxels that lie as columns, (y, x, z).
#[derive(Clone, Copy)]
pub(crate) struct Crop<'a> {
    /// With at least [`inkling_fragment::Columns::PADDING`] values after the last.
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
pub(crate) struct SamplingPlan<'a> {
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
    /// Where the pixels' columns stand in the voxels.
    offsets: Vec<usize>,
}

/// Reads a sample out of `crop` into `volume`, trilinearly, and the masks that belong to it into
/// `images`, by the nearest pixel: 1 where they are set, else 0. Axes are (layer, y, x) and (y, x).
pub(crate) fn sample<const MASKS: usize>(
    crop: Crop,
    masks: MaskCrops<MASKS>,
    plan: SamplingPlan,
    rows: &mut Rows,
    volume: &mut ArrayViewMut3<f32>,
    images: [&mut ArrayViewMut2<f32>; MASKS],
) {
    Arch::new().dispatch(Sampling {
        crop,
        masks,
        plan,
        rows,
        vectors: Vectors::new(),
        volume: volume.as_slice_mut().expect("samples lie in one piece"),
        images: images.map(|image| image.as_slice_mut().expect("samples lie in one piece")),
    });
}

struct Sampling<'a, const MASKS: usize> {
    crop: Crop<'a>,
    masks: MaskCrops<'a, MASKS>,
    plan: SamplingPlan<'a>,
    rows: &'a mut Rows,
    vectors: Vectors,
    volume: &'a mut [f32],
    images: [&'a mut [f32]; MASKS],
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
                let Rows {
                    places, offsets, ..
                } = &mut *self.rows;
                let next = &mut places[1];
                geometry.row(row, left..(left + TILE).min(width), next);
                if geometry.is_rotated() {
                    prefetch(&self.crop, next, offsets);
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
            offsets,
        } = &mut *self.rows;
        let columns = columns.as_chunks_mut::<BLOCK>().0;
        for (block, layers) in layers.chunks_exact_mut(BLOCK).enumerate() {
            interpolate(
                &self.crop,
                block * BLOCK,
                places,
                offsets,
                self.vectors,
                columns,
            );
            self.vectors.transpose(columns, layers);
        }
        let [height, width] = self.plan.geometry.output();
        let count = places.y.len();
        let SamplingPlan {
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
        let lines = self.images.each_mut();
        let lines = lines.map(|image| &mut image[first..][..count]);
        self.masks.read(places, nearest, lines);
    }
}

impl Crop<'_> {
    /// Voxels to the neighbour on the right and to the one below; a crop one pixel wide has none.
    #[inline(always)]
    fn steps(&self) -> [usize; 2] {
        let [height, width] = self.size;
        let right = self.depth * usize::from(width > 1);
        [right, self.width * self.depth * usize::from(height > 1)]
    }

    /// Where the columns of the pixels before `places` stand in the voxels, from the crop's layer
    /// `layer` on.
    #[inline(always)]
    fn offsets(&self, layer: usize, places: &Places, offsets: &mut Vec<usize>) {
        let [z, top, left] = self.first;
        let (across, down) = (self.depth as u32, (self.width * self.depth) as u32);
        let first = (top * self.width + left) * self.depth + z + layer;
        offsets.resize(places.y.len(), 0);
        for (offset, (&y, &x)) in offsets.iter_mut().zip(places.y.iter().zip(&places.x)) {
            let y = u64::from(y as u32) * u64::from(down);
            let x = u64::from(x as u32) * u64::from(across);
            *offset = first + y as usize + x as usize;
        }
    }
}

/// Reads a little of every column that the next pixels need, so that memory is asked for all of them
/// at once; interpolation, with more to do for each, would ask for a few at a time.
#[inline(always)]
fn prefetch(crop: &Crop, places: &Places, offsets: &mut Vec<usize>) {
    let [right, down] = crop.steps();
    let last = right + crop.layers - 1;
    crop.offsets(0, places, offsets);
    let mut seen = 0;
    for &offset in &*offsets {
        let corners = &crop.voxels[offset..][..=down + last];
        seen ^= corners[0] ^ corners[last] ^ corners[down] ^ corners[down + last];
    }
    black_box(seen);
}

/// A block of the crop's layers from `layer` on at `places`, bilinearly; `offsets` is memory to work
/// in.
#[inline(always)]
fn interpolate<const BLOCK: usize>(
    crop: &Crop,
    layer: usize,
    places: &Places,
    offsets: &mut Vec<usize>,
    vectors: Vectors,
    columns: &mut [[f32; BLOCK]],
) {
    let [right, down] = crop.steps();
    crop.offsets(layer, places, offsets);
    let reach = down + right + BLOCK;
    let beyond = places.beyond_y.iter().zip(&places.beyond_x);
    for ((&offset, (&y, &x)), column) in offsets.iter().zip(beyond).zip(columns) {
        let corners = &crop.voxels[offset..][..reach];
        let voxels = |corner: usize| -> &[u16; BLOCK] {
            let voxels = corners[corner..].first_chunk();
            voxels.expect("columns are padded")
        };
        let (a, b) = (voxels(0), voxels(right));
        let (c, d) = (voxels(down), voxels(down + right));
        let last = y * x;
        let weights = [1.0 - y - (x - last), x - last, y - last, last];
        for (index, values) in column.as_chunks_mut().0.iter_mut().enumerate() {
            let corners = [a, b, c, d].map(|voxels| &voxels.as_chunks().0[index]);
            *values = vectors.weigh(corners, weights);
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
    if weight == 0.0 {
        for (value, &below) in line.iter_mut().zip(below) {
            *value = finish(below);
        }
        return;
    }
    for ((value, below), above) in line.iter_mut().zip(below).zip(above) {
        *value = finish(below + (above - below) * weight);
    }
}
