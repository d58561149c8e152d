use std::ops::Range;
use std::time::{Duration, Instant};

use inkling_fragment::{Region, Volume};
use ndarray::{Array2, Array3, Axis, s};
use rayon::prelude::*;

use crate::{AlignSettings, Curve, Error};

/// The brightest value: what lies beyond it was cut off.
const SATURATED: u16 = u16::MAX;
/// A cell with more than this share of cut-off voxels is left out.
const MOST_SATURATED: f64 = 0.05;
/// A layer whose mean is below this share of the median layer's is blank.
const BLANK: f64 = 0.2;

/// Intensities summed over small square cells of the sheet: one pass over the voxels, from which
/// the curves of patches of any size, along any depths, are made without reading again.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    /// Side of a cell, in pixels.
    pub side: usize,
    /// Sum of the papyrus voxels' intensities, (row, column, z).
    sums: Array3<f32>,
    /// Papyrus pixels per cell, (row, column); 0 where a cell is left out.
    pub papyrus: Array2<u32>,
    /// Mean intensity of the papyrus per layer.
    pub whole: Curve,
    /// First and last layer that show papyrus; scanners blank the outermost ones.
    pub shown: [usize; 2],
    /// Share of the papyrus left out because it is saturated.
    pub saturated: f64,
    /// Interpolates between four neighbouring layers' sums, at a place from 0 to 1 between the middle two.
    pub between: fn([f64; 4], f64) -> f64,
}

impl Cells {
    /// Sums the papyrus voxels of every cell of `side`² px, in blocks of rows of up to an eighth
    /// of the settings' memory; `None` without papyrus. `progress` hears (rows done, rows in all);
    /// `reading` grows by the time that reading took.
    ///
    /// # Errors
    /// Those of reading the volume.
    pub fn measure(
        volume: &dyn Volume,
        mask: &Array2<bool>,
        side: usize,
        settings: &AlignSettings,
        reading: &mut Duration,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Option<Self>, Error> {
        let [depth, height, width] = volume.shape();
        let grid = (height.div_ceil(side), width.div_ceil(side));
        let mut papyrus = Array2::<u32>::zeros(grid);
        for ((y, x), &set) in mask.indexed_iter() {
            papyrus[(y / side, x / side)] += u32::from(set);
        }
        let mut sums = Array3::zeros((grid.0, grid.1, depth));
        let mut cut_off = Array2::zeros(grid);
        let fitting = settings.memory / 8 / (2 * depth * width).max(1) / side;
        let rows = fitting.clamp(1, (256 / side).max(1)) * side;
        for first in (0..height).step_by(rows) {
            let end = height.min(first + rows);
            let begin = Instant::now();
            let block = volume.read_or_borrow(&Region::new(0..depth, first..end, 0..width))?;
            *reading += begin.elapsed();
            let cells = first / side..end.div_ceil(side);
            let mask = mask.slice(s![first..end, ..]);
            let mut target = sums.slice_mut(s![cells.clone(), .., ..]);
            let mut cut_off = cut_off.slice_mut(s![cells, ..]);
            let layers: Vec<(Array2<f32>, Array2<u32>)> = block
                .axis_iter(Axis(0))
                .into_par_iter()
                .map(|layer| sum_layer(layer, mask, side))
                .collect();
            for (z, (layer, saturated)) in layers.into_iter().enumerate() {
                target.slice_mut(s![.., .., z]).assign(&layer);
                cut_off += &saturated;
            }
            progress(end as u64, height as u64);
        }
        Ok(Self::cleared(side, sums, papyrus, &cut_off))
    }

    /// Leaves out what is saturated and finds the layers that show papyrus.
    fn cleared(
        side: usize,
        sums: Array3<f32>,
        mut papyrus: Array2<u32>,
        cut_off: &Array2<u32>,
    ) -> Option<Self> {
        let depth = sums.dim().2;
        let mut saturated = 0.0;
        let all: u32 = papyrus.iter().sum();
        for (pixels, &cut) in papyrus.iter_mut().zip(cut_off) {
            if f64::from(cut) > MOST_SATURATED * f64::from(*pixels) * depth as f64 {
                saturated += f64::from(*pixels) / f64::from(all);
                *pixels = 0;
            }
        }
        let mut totals = vec![0.0_f64; depth];
        let mut pixels = 0.0;
        for (curve, &count) in sums.lanes(Axis(2)).into_iter().zip(&papyrus) {
            if count > 0 {
                pixels += f64::from(count);
                for (total, &sum) in totals.iter_mut().zip(curve) {
                    *total += f64::from(sum);
                }
            }
        }
        let means: Vec<f64> = totals.into_iter().map(|total| total / pixels).collect();
        (pixels > 0.0).then(|| Self {
            side,
            sums,
            papyrus,
            shown: shown(&means),
            whole: Curve::new(means),
            saturated,
            between: catmull_rom,
        })
    }

    /// The same sums, seen as the reference does: all layers count, and lines join them.
    pub fn seen_by_the_reference(self) -> Self {
        Self {
            shown: [0, self.whole.len() - 1],
            between: line,
            ..self
        }
    }

    /// Takes the layers in reverse order.
    pub fn flip(&mut self) {
        self.sums.invert_axis(Axis(2));
        self.sums = self.sums.as_standard_layout().into_owned();
        let values = self.whole.values().iter().rev().copied().collect();
        self.whole = Curve::new(values);
        let last = self.whole.len() - 1;
        self.shown = [last - self.shown[1], last - self.shown[0]];
    }

    /// Number of cells down and across.
    pub fn grid(&self) -> (usize, usize) {
        self.papyrus.dim()
    }

    /// Where `count` cells' centres lie in one direction, in pixels.
    pub fn centres(&self, count: usize) -> Vec<f64> {
        let side = self.side as f64;
        (0..count).map(|i| (i as f64 + 0.5) * side).collect()
    }

    /// Adds the cell's papyrus onto the target's layers `first, first + 1, …`, each layer `z` of
    /// the scan belonging to `z × scale + shift`: into `sums` the intensities and into `counts`
    /// the pixels. Layers that the scan does not show get nothing.
    ///
    /// Between layers it is a Catmull–Rom spline unless told otherwise: lines would blur the
    /// curve, the more the coarser the scan, and a blurred curve looks thinner than it is (by up
    /// to 2 %).
    pub fn add_aligned(
        &self,
        (row, column): (usize, usize),
        (scale, shift): (f64, f64),
        first: f64,
        sums: &mut [f64],
        counts: &mut [f64],
    ) {
        let pixels = self.papyrus[(row, column)];
        if pixels == 0 {
            return;
        }
        let curve = self.sums.slice(s![row, column, ..]);
        let curve = curve.as_slice().expect("a cell's layers lie together");
        let [first_shown, last_shown] = self.shown;
        let [low, high] = self.shown.map(|z| z as f64 * scale + shift - first);
        let begin = low.ceil().max(0.0) as usize;
        let end = (high.floor() + 1.0).clamp(0.0, sums.len() as f64) as usize;
        let step = 1.0 / scale;
        let mut z = (first + begin as f64 - shift) * step;
        for u in begin..end {
            let below = (z.max(0.0) as usize).min(curve.len().saturating_sub(2));
            let part = z - below as f64;
            let at = |i: usize| f64::from(curve[i.clamp(first_shown, last_shown)]);
            let around = [
                at(below.max(1) - 1),
                at(below),
                at(below + 1),
                at(below + 2),
            ];
            sums[u] += (self.between)(around, part);
            counts[u] += f64::from(pixels);
            z += step;
        }
    }

    /// Which cells lie within `range` of patches' grid, cut at the sheet's edge.
    pub fn clip(&self, rows: Range<usize>, columns: Range<usize>) -> (Range<usize>, Range<usize>) {
        let (down, across) = self.grid();
        (
            rows.start.min(down)..rows.end.min(down),
            columns.start.min(across)..columns.end.min(across),
        )
    }
}

/// The cubic through four values one layer apart, `part` of the way from the second to the third
/// (Catmull and Rom, 1974).
fn catmull_rom([before, a, b, after]: [f64; 4], part: f64) -> f64 {
    let slopes = [(b - before) / 2.0, (after - a) / 2.0];
    let bend = b - a;
    let (quadratic, cubic) = (
        3.0 * bend - 2.0 * slopes[0] - slopes[1],
        slopes[0] + slopes[1] - 2.0 * bend,
    );
    a + part * (slopes[0] + part * (quadratic + part * cubic))
}

/// The line from the second of four values to the third.
fn line([_, a, b, _]: [f64; 4], part: f64) -> f64 {
    a + part * (b - a)
}

/// Sums one layer's papyrus by cells, and counts what is saturated.
fn sum_layer(
    layer: ndarray::ArrayView2<u16>,
    mask: ndarray::ArrayView2<bool>,
    side: usize,
) -> (Array2<f32>, Array2<u32>) {
    let grid = (layer.nrows().div_ceil(side), layer.ncols().div_ceil(side));
    let mut sums = Array2::<u64>::zeros(grid);
    let mut saturated = Array2::<u32>::zeros(grid);
    for (y, (line, mask)) in layer.rows().into_iter().zip(mask.rows()).enumerate() {
        let line = line.as_slice().expect("blocks are contiguous");
        let mask = mask.as_slice().expect("masks are contiguous");
        let cells = line.chunks(side).zip(mask.chunks(side));
        let mut sums = sums.row_mut(y / side);
        let mut saturated = saturated.row_mut(y / side);
        let targets = sums.iter_mut().zip(saturated.iter_mut());
        for ((sum, saturated), (values, mask)) in targets.zip(cells) {
            let (mut total, mut cut) = (0_u32, 0_u32);
            for (&value, &set) in values.iter().zip(mask) {
                let set = u32::from(set);
                total += u32::from(value) * set;
                cut += u32::from(value == SATURATED) * set;
            }
            *sum += u64::from(total);
            *saturated += cut;
        }
    }
    (sums.mapv(|sum| sum as f32), saturated)
}

/// First and last layer that are not blank, without the outermost ones of the scan.
fn shown(means: &[f64]) -> [usize; 2] {
    let mut sorted = means.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let is_shown = |&z: &usize| means[z] >= BLANK * median;
    let inner = 1..means.len().saturating_sub(1).max(1);
    let first = inner.clone().find(is_shown).unwrap_or(0);
    let last = inner.rev().find(is_shown).unwrap_or(means.len() - 1);
    [first, last.max(first)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(volume: &Array3<u16>) -> Cells {
        let (_, height, width) = volume.dim();
        let mask = Array2::from_elem((height, width), true);
        let settings = AlignSettings::default();
        let mut reading = Duration::ZERO;
        Cells::measure(volume, &mask, 4, &settings, &mut reading, &|_, _| {})
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_cell_is_the_sum_of_its_voxels_laid_onto_the_target() {
        let volume = Array3::from_shape_fn((9, 10, 7), |(z, y, x)| (100 * z + y + x) as u16);
        let cells = measured(&volume);
        assert_eq!(cells.grid(), (3, 2));
        let (mut sums, mut counts) = (vec![0.0; 6], vec![0.0; 6]);
        // Layer z belongs to 2 z − 6: the target's layer 0 reads layer 3, layer 1 reads 3.5.
        cells.add_aligned((2, 1), (2.0, -6.0), 0.0, &mut sums, &mut counts);
        // The last cell has rows 8 and 9 and columns 4 to 6.
        let mean = |z: f64| 100.0 * z + 8.5 + 5.0;
        for (u, (&sum, &count)) in sums.iter().zip(&counts).enumerate() {
            assert_eq!(count, 6.0);
            assert!(
                (sum / count - mean(3.0 + u as f64 / 2.0)).abs() < 1e-3,
                "{u}"
            );
        }
    }

    #[test]
    fn blank_layers_and_saturated_cells_are_left_out() {
        let volume = Array3::from_shape_fn((12, 8, 8), |(z, y, x)| match (z, y < 4 && x < 4) {
            (0..3 | 10.., _) => 0,
            (_, true) => u16::MAX,
            _ => 20_000,
        });
        let cells = measured(&volume);
        assert_eq!(cells.shown, [3, 9]);
        assert_eq!((cells.saturated, cells.papyrus[(0, 0)]), (0.25, 0));
        assert_eq!(cells.whole.values()[5], 20_000.0);
    }
}
