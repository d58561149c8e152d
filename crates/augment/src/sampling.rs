use std::hint::black_box;

use ndarray::{Array2, Array3};
use pulp::{Arch, Simd, WithSimd};

use crate::geometry::{Geometry, Places};
use crate::layer_taps::LayerTaps;
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

/// A mask, and the crop's first row and column in it; beyond its sides nothing is set.
#[derive(Clone, Copy)]
pub(crate) struct MaskCrop<'a> {
    pub mask: &'a Array2<bool>,
    pub first: [i64; 2],
}

/// Memory that is used from one sample to the next.
#[derive(Default)]
pub(crate) struct Rows {
    places: Places,
    /// A row of the sample: block by block of the crop's layers, those of a pixel together.
    columns: Vec<f32>,
    nearest: Vec<[i32; 2]>,
}

/// Reads a sample out of `crop`, trilinearly, and the masks that belong to it, by the nearest
/// pixel: 1 where they are set. Axes are (layer, y, x) and (y, x).
pub(crate) fn sample<const MASKS: usize>(
    crop: Crop,
    masks: [MaskCrop; MASKS],
    geometry: &Geometry,
    taps: &LayerTaps,
    tone: &Tone,
    rows: &mut Rows,
) -> (Array3<f32>, [Array2<f32>; MASKS]) {
    let [height, width] = geometry.output();
    let mut volume = Array3::zeros((taps.below.len(), height, width));
    let mut marks = [(); MASKS].map(|()| Array2::zeros((height, width)));
    Arch::new().dispatch(Sampling {
        crop,
        masks,
        geometry,
        taps,
        tone,
        rows,
        volume: volume.as_slice_mut().expect("made in one piece"),
        marks: marks
            .each_mut()
            .map(|marks| marks.as_slice_mut().expect("made in one piece")),
    });
    (volume, marks)
}

struct Sampling<'a, const MASKS: usize> {
    crop: Crop<'a>,
    masks: [MaskCrop<'a>; MASKS],
    geometry: &'a Geometry,
    taps: &'a LayerTaps,
    tone: &'a Tone,
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
    fn rows_of<const BLOCK: usize>(self) {
        let [height, width] = self.geometry.output();
        let blocks = self.crop.layers.div_ceil(BLOCK);
        let Rows {
            places,
            columns,
            nearest,
        } = self.rows;
        columns.resize(blocks * TILE.min(width) * BLOCK, 0.0);
        let columns = columns.as_chunks_mut::<BLOCK>().0;
        let mut marks = self.marks;
        if self.geometry.is_rotated() {
            touch(&self.crop);
        }
        for left in (0..width).step_by(TILE) {
            let tile = left..(left + TILE).min(width);
            for row in 0..height {
                self.geometry.row(row, tile.clone(), places);
                for (block, columns) in columns.chunks_exact_mut(TILE.min(width)).enumerate() {
                    interpolate(&self.crop, block * BLOCK, places, columns);
                }
                let line = |layer: usize| (layer * height + row) * width + left;
                for layer in 0..self.taps.below.len() {
                    let line = &mut self.volume[line(layer)..][..tile.len()];
                    let of = |layer: usize| {
                        let first = layer / BLOCK * TILE.min(width);
                        (&columns[first..][..tile.len()], layer % BLOCK)
                    };
                    let taps = [of(self.taps.below[layer]), of(self.taps.above[layer])];
                    mix_layers(taps, self.taps.weight[layer], self.tone, line);
                }
                for (crop, marks) in self.masks.iter().zip(&mut marks) {
                    mark(crop, places, nearest, &mut marks[line(0)..][..tile.len()]);
                }
            }
        }
    }
}

/// Reads a little of every line of the cache that the crop lies in, in order. Memory hands out
/// neighbours several times as fast as the places of a rotated row; these are near at hand then.
#[inline(always)]
fn touch(crop: &Crop) {
    /// Voxels in a line.
    const LINE: usize = 32;
    let [_, top, left] = crop.first;
    let [height, width] = crop.size;
    let mut seen = 0;
    for row in top..top + height {
        let first = (row * crop.width + left) * crop.depth;
        let voxels = crop.voxels[first..first + width * crop.depth].iter();
        seen ^= voxels.step_by(LINE).fold(0, |seen, voxel| seen ^ voxel);
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

/// One layer of a sample's row, between two layers of the crop.
#[inline(always)]
fn mix_layers<const BLOCK: usize>(
    [(below, lower), (above, upper)]: [(&[[f32; BLOCK]], usize); 2],
    weight: f32,
    tone: &Tone,
    line: &mut [f32],
) {
    for ((value, below), above) in line.iter_mut().zip(below).zip(above) {
        let (below, above) = (below[lower], above[upper]);
        *value = tone.apply(below + (above - below) * weight);
    }
}

#[inline(always)]
fn mark(crop: &MaskCrop, places: &Places, nearest: &mut Vec<[i32; 2]>, line: &mut [f32]) {
    let [top, left] = crop.first;
    nearest.resize(line.len(), [0, 0]);
    let beyond = places.beyond_y.iter().zip(&places.beyond_x);
    let places = places.y.iter().zip(&places.x).zip(beyond);
    for (nearest, ((&row, &across), (&y, &x))) in nearest.iter_mut().zip(places) {
        *nearest = [row + i32::from(y >= 0.5), across + i32::from(x >= 0.5)];
    }
    let (height, width) = crop.mask.dim();
    let flat = crop.mask.as_slice().expect("masks lie in one piece");
    for (value, &[row, across]) in line.iter_mut().zip(&*nearest) {
        let (row, across) = (top + i64::from(row), left + i64::from(across));
        let inside = (row as usize) < height && (across as usize) < width;
        let index = if inside {
            row as usize * width + across as usize
        } else {
            usize::MAX
        };
        let set = flat.get(index).copied().unwrap_or(false);
        *value = f32::from(u8::from(set));
    }
}
