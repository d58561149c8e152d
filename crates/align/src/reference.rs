use inkling_fragment::{Error as ReadError, Region, Volume};
use ndarray::{Array2, Array3, s};
use rayon::prelude::*;

use crate::cells::Cells;
use crate::least_squares::{Bounds, ScaleShift, fit_curve};
use crate::patches::{Depths, MARGIN, Patches};
use crate::{AlignSettings, Curve};

/// Side of the reference's patches on the halved volume; they lie half of it apart.
pub(crate) const PATCH: usize = 256;
/// Side of the cells that its curves are summed from.
pub(crate) const CELL: usize = 16;
/// Patches whose shifts lie outside these quantiles are outliers.
const QUANTILES: [f64; 2] = [0.05, 0.95];
/// Bounds of the fitted shifts, in layers, and scales.
const SHIFTS: [f64; 2] = [-30.0, 30.0];
const SCALES: [f64; 2] = [0.1, 10.0];

/// A volume with every second pixel both ways, as the reference halves it (nearest).
pub(crate) struct Halved<V>(pub V);

impl<V: Volume> Volume for Halved<V> {
    fn shape(&self) -> [usize; 3] {
        let [depth, height, width] = self.0.shape();
        [depth, height.div_ceil(2), width.div_ceil(2)]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, ReadError> {
        region.check(self.shape())?;
        let [_, height, width] = self.0.shape();
        let double = |range: &std::ops::Range<usize>, size: usize| {
            (2 * range.start).min(size)..(2 * range.end).min(size)
        };
        let whole = Region::new(
            region.z.clone(),
            double(&region.y, height),
            double(&region.x, width),
        );
        let voxels = self.0.read(&whole)?;
        Ok(voxels.slice(s![.., ..;2, ..;2]).to_owned())
    }
}

/// A mask with every second pixel both ways.
pub(crate) fn halved_mask(mask: &Array2<bool>) -> Array2<bool> {
    mask.slice(s![..;2, ..;2]).to_owned()
}

/// What the reference's method finds.
pub(crate) struct Stages {
    /// One shift per patch and the scale, both stages composed.
    pub shifts: Vec<f64>,
    pub scale: f64,
    pub patches: Patches,
    /// Patches without papyrus, and outliers of the first stage.
    pub replaced: usize,
}

/// The reference's two stages on cells of the halved volume: every patch against the sheet's own
/// curve by a shift, then the sheet against the target by a shift and a scale. `None` when the
/// sheet's curve is flat.
pub(crate) fn two_stages(
    cells: &Cells,
    target: &Curve,
    settings: &AlignSettings,
) -> Option<Stages> {
    let [first, last] = settings.layers;
    let range = cells.whole.range(first, last)?;
    let own = cells.whole.within(range);
    let depths = Depths {
        scale: 1.0,
        shift: Array2::zeros(cells.grid()),
    };
    let patches = Patches::new(cells, PATCH / 2 / CELL, &depths, cells.whole.len());
    let place = |scale, shift| ScaleShift { scale, shift };
    let shift_alone = Bounds {
        scale: [1.0, 1.0],
        shift: SHIFTS,
    };
    let found: Vec<Option<f64>> = patches
        .list
        .par_iter()
        .map(|patch| {
            let layers = &patch.curve.values()[MARGIN..MARGIN + cells.whole.len()];
            let curve = Curve::new(layers.to_vec()).within(range);
            let fit = || fit_curve(&curve, &own, settings.layers, place(1.0, 0.0), shift_alone);
            (patch.papyrus > 0.0).then(|| fit().shift)
        })
        .collect();
    let (first_shifts, replaced) = without_outliers(&found, patches.columns);
    let sheet = laid_curve(cells, &patches, &first_shifts);
    let both = Bounds {
        scale: SCALES,
        shift: SHIFTS,
    };
    let sheet = sheet.normalized(first, last)?;
    let second = fit_curve(&sheet, target, settings.layers, place(1.0, 0.0), both);
    let composed = |shift: &f64| shift * second.scale + second.shift;
    Some(Stages {
        shifts: first_shifts.iter().map(composed).collect(),
        scale: second.scale,
        patches,
        replaced,
    })
}

/// The sheet's curve with every cell shifted.
fn laid_curve(cells: &Cells, patches: &Patches, shifts: &[f64]) -> Curve {
    let (rows, columns) = cells.grid();
    let [ys, xs] = [rows, columns].map(|count| cells.centres(count));
    let shift = patches.lattice(shifts).at(&ys, &xs);
    let length = cells.whole.len();
    let (mut sums, mut counts) = (vec![0.0; length], vec![0.0; length]);
    for (place, &shift) in shift.indexed_iter() {
        cells.add_aligned(place, (1.0, f64::from(shift)), 0.0, &mut sums, &mut counts);
    }
    let mean = sums.iter().zip(&counts).map(|(sum, count)| sum / count);
    Curve::new(mean.collect())
}

/// Gives patches without a shift the mean, and outliers what lies between their neighbours, or
/// the mean where they have none on both sides; counts both.
fn without_outliers(found: &[Option<f64>], columns: usize) -> (Vec<f64>, usize) {
    let known: Vec<f64> = found.iter().flatten().copied().collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let all: Vec<f64> = found.iter().map(|shift| shift.unwrap_or(mean)).collect();
    let [low, high] = QUANTILES.map(|share| quantile(&all, share));
    let kept: Vec<bool> = all
        .iter()
        .map(|shift| (low..=high).contains(shift))
        .collect();
    let rows = all.len() / columns;
    let fill = |index: usize| {
        if kept[index] {
            return all[index];
        }
        let (row, column) = (index / columns, index % columns);
        let lines = [
            between(column, columns, |c| row * columns + c, &all, &kept),
            between(row, rows, |r| r * columns + column, &all, &kept),
        ];
        let (sum, count) = lines
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
        if count > 0.0 { sum / count } else { mean }
    };
    let filled = (0..all.len()).map(fill).collect();
    let replaced = found
        .iter()
        .zip(&kept)
        .filter(|(f, kept)| f.is_none() || !*kept);
    (filled, replaced.count())
}

/// The value at `place` of a line, linear between the nearest kept ones on both sides.
fn between(
    place: usize,
    length: usize,
    index: impl Fn(usize) -> usize,
    values: &[f64],
    kept: &[bool],
) -> Option<f64> {
    let before = (0..place).rev().find(|&i| kept[index(i)])?;
    let after = (place + 1..length).find(|&i| kept[index(i)])?;
    let share = (place - before) as f64 / (after - before) as f64;
    let (a, b) = (values[index(before)], values[index(after)]);
    Some(a + share * (b - a))
}

/// The quantile as numpy has it: linear between order statistics.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let curve = Curve::new(sorted);
    match curve.len() {
        0 => f64::NAN,
        1 => curve.values()[0],
        count => curve.at(share * (count - 1) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_lie_between_their_neighbours_afterwards() {
        let plane = |i: usize| (i / 7) as f64 * 0.5 + (i % 7) as f64 * 0.25;
        let mut found: Vec<Option<f64>> = (0..42).map(|i| Some(plane(i))).collect();
        found[17] = Some(25.0);
        found[3] = None;
        let (filled, _) = without_outliers(&found, 7);
        assert!((filled[17] - plane(17)).abs() < 1e-12);
        let mean = found.iter().flatten().sum::<f64>() / 41.0;
        assert!((filled[3] - mean).abs() < 1e-12);
    }

    #[test]
    fn quantiles_are_numpys() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert!((quantile(&values, 0.05) - 1.15).abs() < 1e-12);
        assert!((quantile(&values, 0.95) - 8.95).abs() < 1e-12);
    }

    #[test]
    fn halving_takes_every_second_pixel() {
        let volume = Array3::from_shape_fn((2, 5, 6), |(z, y, x)| (100 * z + 10 * y + x) as u16);
        let half = Halved(&volume);
        assert_eq!(half.shape(), [2, 3, 3]);
        let voxels = half.read(&Region::new(1..2, 1..3, 0..3)).unwrap();
        assert_eq!(voxels.as_slice().unwrap(), [120, 122, 124, 140, 142, 144]);
    }
}
