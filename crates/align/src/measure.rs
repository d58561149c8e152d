use inkling_fragment::{Fragment, Region, Volume};
use ndarray::{Array2, Axis, CowArray, Ix3};
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
    let (mask, labels) = (fragment.mask()?, fragment.ink_labels()?);
    measure_volume_curves(fragment.id(), fragment, &mask, labels.as_ref(), progress)
}

/// [`measure_curves`] for voxels from anywhere: over the pixels of `mask`, and those of them that `labels`
/// mark as ink or not, both (y, x) and of the volume's size.
///
/// # Errors
/// [`Error::NoPapyrus`] for an empty mask; those of reading.
pub fn measure_volume_curves(
    id: &str,
    volume: &dyn Volume,
    mask: &Array2<bool>,
    labels: Option<&Array2<bool>>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<FragmentCurves, Error> {
    let depth = volume.shape()[0];
    // Sums and counts over bare papyrus and over ink.
    let mut sums = [vec![0_u64; depth], vec![0_u64; depth]];
    let mut counts = [0_u64; 2];
    for_row_blocks(volume, progress, |first, block| {
        let (_, rows, width) = block.dim();
        let kinds = [false, true].map(|ink| {
            Array2::from_shape_fn((rows, width), |(y, x)| {
                let place = (first + y, x);
                let is_ink = labels.is_some_and(|labels| labels[place]);
                mask[place] && is_ink == ink
            })
            .mapv(|counts| if counts { ALL_BITS } else { 0 })
        });
        for (count, kind) in counts.iter_mut().zip(&kinds) {
            *count += kind.iter().filter(|&&bits| bits != 0).count() as u64;
        }
        let layers: Vec<[u64; 2]> = block
            .axis_iter(Axis(0))
            .into_par_iter()
            .map(|layer| {
                let values = layer.to_slice().expect("a block as it was read");
                kinds.each_ref().map(|kind| {
                    let kind = kind.as_slice().expect("an array that was just made");
                    masked_sum(values, kind)
                })
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
    let all =
        mean(whole, counts[0] + counts[1]).ok_or_else(|| Error::NoPapyrus { id: id.to_owned() })?;
    let known = labels.is_some();
    Ok(FragmentCurves {
        all,
        ink: known.then(|| mean(ink, counts[1])).flatten(),
        background: known.then(|| mean(bare, counts[0])).flatten(),
    })
}

/// Of a pixel that counts.
const ALL_BITS: u16 = u16::MAX;

/// The sum of all `values` whose `mask` is [`ALL_BITS`]; where it is 0 they do not count.
fn masked_sum(values: &[u16], mask: &[u16]) -> u64 {
    // As many of the largest values as a u32 holds.
    const FITTING: usize = 1 << 16;
    let parts = values.chunks(FITTING).zip(mask.chunks(FITTING));
    parts
        .map(|(values, mask)| {
            let counted = values.iter().zip(mask).map(|(value, mask)| value & mask);
            u64::from(counted.map(u32::from).sum::<u32>())
        })
        .sum()
}

/// Bytes of voxels read at once.
const BLOCK_BYTES: usize = 64 << 20;

/// Hands all voxels to `each` in blocks of whole rows, (z, y, x), with the first row's number.
fn for_row_blocks(
    volume: &dyn Volume,
    progress: &(dyn Fn(u64, u64) + Sync),
    mut each: impl FnMut(usize, CowArray<u16, Ix3>),
) -> Result<(), Error> {
    let [depth, height, width] = volume.shape();
    let rows = (BLOCK_BYTES / (2 * depth * width).max(1)).clamp(1, 256);
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let block = volume.read_or_borrow(&Region::new(0..depth, first..end, 0..width))?;
        each(first, block);
        progress(end as u64, height as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_only_what_the_mask_lets_through() {
        assert_eq!(masked_sum(&[5, 7, 9], &[ALL_BITS, 0, ALL_BITS]), 14);
        // More than a u32 holds.
        let bright = vec![u16::MAX; 200_000];
        let all = vec![ALL_BITS; bright.len()];
        assert_eq!(masked_sum(&bright, &all), 200_000 * 65_535);
    }
}
