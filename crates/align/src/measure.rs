use inkling_fragment::{Fragment, Region, Volume};
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::{Curve, Error};

/// Sums over square cells of the sheet, one pass over the voxels: everything that curves of
/// patches, of any size that cells make up, are computed from.
#[derive(Clone, Debug)]
pub struct CellSums {
    /// Side of a cell, in pixels.
    pub cell: usize,
    /// Sum of the papyrus voxels' intensities, (row, column, z).
    pub sums: Array3<f64>,
    /// Papyrus pixels per cell, (row, column).
    pub papyrus: Array2<u32>,
}

/// Mean intensity per layer over a whole fragment.
#[derive(Clone, Debug, Serialize)]
pub struct FragmentCurves {
    /// Over all papyrus.
    pub all: Curve,
    /// Over ink; `None` without labels or ink.
    pub ink: Option<Curve>,
    /// Over bare papyrus; `None` without labels.
    pub background: Option<Curve>,
}

/// Measures the curves of `fragment`: over papyrus, ink and bare papyrus.
///
/// # Errors
/// Those of reading the fragment.
pub fn measure_curves(
    fragment: &Fragment,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<FragmentCurves, Error> {
    let mask = fragment.mask()?;
    let labels = fragment.ink_labels()?;
    let depth = fragment.depth();
    // Sums and counts over bare papyrus and over ink.
    let mut sums = [vec![0_u64; depth], vec![0_u64; depth]];
    let mut counts = [0_u64; 2];
    for_row_blocks(fragment, progress, |first, block| {
        let kind = |row: usize, x: usize| {
            let place = (first + row, x);
            mask[place].then(|| usize::from(labels.as_ref().is_some_and(|ink| ink[place])))
        };
        let kinds = Array2::from_shape_fn((block.dim().1, block.dim().2), |(y, x)| kind(y, x));
        kinds.iter().flatten().for_each(|&kind| counts[kind] += 1);
        let layers: Vec<[u64; 2]> = block
            .axis_iter(Axis(0))
            .into_par_iter()
            .map(|layer| {
                let mut sum = [0_u64; 2];
                for (&value, kind) in layer.iter().zip(&kinds) {
                    if let Some(kind) = kind {
                        sum[*kind] += u64::from(value);
                    }
                }
                sum
            })
            .collect();
        for (z, layer) in layers.iter().enumerate() {
            sums[0][z] += layer[0];
            sums[1][z] += layer[1];
        }
    })?;
    let mean = |sums: Vec<u64>, count: u64| {
        let mean = |sum: u64| sum as f64 / count as f64;
        (count > 0).then(|| Curve::new(sums.into_iter().map(mean).collect()))
    };
    let [bare, ink] = sums;
    let whole = bare
        .iter()
        .zip(&ink)
        .map(|(bare, ink)| bare + ink)
        .collect();
    let all = mean(whole, counts[0] + counts[1]).ok_or_else(|| Error::NoPapyrus {
        id: fragment.id().to_owned(),
    })?;
    let known = labels.is_some();
    Ok(FragmentCurves {
        all,
        ink: known.then(|| mean(ink, counts[1])).flatten(),
        background: known.then(|| mean(bare, counts[0])).flatten(),
    })
}

/// Sums the papyrus voxels of every cell of `cell`² px.
///
/// # Errors
/// Those of reading the volume.
pub fn measure_cells(
    volume: &dyn Volume,
    mask: &Array2<bool>,
    cell: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CellSums, Error> {
    let [depth, height, width] = volume.shape();
    let (rows, columns) = (height.div_ceil(cell), width.div_ceil(cell));
    let mut sums = Array3::<f64>::zeros((rows, columns, depth));
    let mut papyrus = Array2::<u32>::zeros((rows, columns));
    for ((y, x), &set) in mask.indexed_iter() {
        papyrus[(y / cell, x / cell)] += u32::from(set);
    }
    for_row_blocks(volume, progress, |first, block| {
        let layers: Vec<Array2<u64>> = block
            .axis_iter(Axis(0))
            .into_par_iter()
            .map(|layer| {
                let begin = first / cell;
                let count = (first + layer.nrows() - 1) / cell - begin + 1;
                let mut sums = Array2::<u64>::zeros((count, columns));
                for (row, line) in layer.rows().into_iter().enumerate() {
                    let y = first + row;
                    let mut sums = sums.row_mut(y / cell - begin);
                    let line = line.as_slice().expect("blocks are contiguous");
                    let mask = mask.row(y);
                    let mask = mask.as_slice().expect("masks are contiguous");
                    let cells = line.chunks(cell).zip(mask.chunks(cell));
                    for (sum, (values, mask)) in sums.iter_mut().zip(cells) {
                        let within = values.iter().zip(mask);
                        *sum += within
                            .map(|(&value, &set)| u64::from(u32::from(value) * u32::from(set)))
                            .sum::<u64>();
                    }
                }
                sums
            })
            .collect();
        for (z, layer) in layers.iter().enumerate() {
            for ((row, column), &sum) in layer.indexed_iter() {
                sums[(first / cell + row, column, z)] += sum as f64;
            }
        }
    })?;
    Ok(CellSums {
        cell,
        sums,
        papyrus,
    })
}

/// Bytes of voxels read at once.
const BLOCK_BYTES: usize = 256 << 20;

/// Hands all voxels to `each` in blocks of whole rows, (z, y, x), with the first row's number.
fn for_row_blocks(
    volume: &dyn Volume,
    progress: &(dyn Fn(u64, u64) + Sync),
    mut each: impl FnMut(usize, Array3<u16>),
) -> Result<(), Error> {
    let [depth, height, width] = volume.shape();
    let rows = (BLOCK_BYTES / (2 * depth * width).max(1)).clamp(1, 256);
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let block = volume.read(&Region::new(0..depth, first..end, 0..width))?;
        each(first, block);
        progress(end as u64, height as u64);
    }
    Ok(())
}

impl CellSums {
    /// Cells down and across.
    pub fn grid(&self) -> (usize, usize) {
        self.papyrus.dim()
    }

    /// The curve of the papyrus in `rows` × `columns` of cells and its pixels; `None` where
    /// there is no papyrus.
    pub fn curve(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> Option<(Curve, u32)> {
        let papyrus = self
            .papyrus
            .slice(ndarray::s![rows.clone(), columns.clone()]);
        let pixels: u32 = papyrus.iter().sum();
        let sums = self.sums.slice(ndarray::s![rows, columns, ..]);
        let sums = sums.sum_axis(Axis(0)).sum_axis(Axis(0));
        let mean = |sum: &f64| sum / f64::from(pixels);
        (pixels > 0).then(|| (Curve::new(sums.iter().map(mean).collect()), pixels))
    }

    /// The whole sheet's curve.
    pub fn whole(&self) -> Option<Curve> {
        let (rows, columns) = self.grid();
        self.curve(0..rows, 0..columns).map(|(curve, _)| curve)
    }
}
