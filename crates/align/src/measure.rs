use inkling_fragment::{Fragment, Region, Volume};
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::{Curve, Error};

/// Mean intensity per layer over a whole fragment.
#[derive(Clone, Debug, Serialize)]
pub struct FragmentCurves {
    /// Over all pixels of the mask.
    pub all: Curve,
    /// Over pixels labelled as ink; `None` without labels or ink.
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

/// Bytes of voxels read at once.
const BLOCK_BYTES: usize = 64 << 20;

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
