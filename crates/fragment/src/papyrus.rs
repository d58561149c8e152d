//! Where the papyrus is when no mask says so.

use std::ops::Range;

use ndarray::{Array2, Axis, Zip, s};

use crate::{Error, Region, Volume};

/// Bytes of voxels that are looked at together.
const BLOCK: usize = 64 << 20;

/// Where any layer of `volume` is not 0, (y, x); read in blocks of rows of at most 64 MiB, or of a
/// single row. Where `coarse`, the same of a coarser level, has nothing, nothing is read.
///
/// # Errors
/// Those of reading.
pub(crate) fn papyrus(
    volume: &dyn Volume,
    coarse: Option<&Array2<bool>>,
) -> Result<Array2<bool>, Error> {
    let [depth, height, width] = volume.shape();
    in_blocks(volume, 0..depth, |rows| match coarse {
        Some(coarse) => columns_of(coarse, [height, width], rows),
        None => 0..width,
    })
}

/// Where any of the layers `z` of `volume` is not 0, (y, x), among the pixels that `within` (y, x) has;
/// blocks of rows in which it has none are not read.
///
/// # Errors
/// Those of reading.
///
/// # Panics
/// When `within` is not of the layers' size.
pub fn covered(
    volume: &dyn Volume,
    z: Range<usize>,
    within: &Array2<bool>,
) -> Result<Array2<bool>, Error> {
    let [_, height, width] = volume.shape();
    assert_eq!(within.dim(), (height, width), "one sheet");
    let mut found = in_blocks(volume, z, |rows| columns_of(within, [height, width], rows))?;
    found.zip_mut_with(within, |found, &within| *found &= within);
    Ok(found)
}

/// Where any of the layers `z` is not 0, (y, x); `columns` says which columns of a block of rows are
/// read, none where there are none.
fn in_blocks(
    volume: &dyn Volume,
    z: Range<usize>,
    columns: impl Fn(Range<usize>) -> Range<usize>,
) -> Result<Array2<bool>, Error> {
    let [_, height, width] = volume.shape();
    let mut papyrus = Array2::from_elem((height, width), false);
    let rows = (BLOCK / (2 * z.len() * width).max(1)).clamp(1, height.max(1));
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let columns = columns(first..end);
        if columns.is_empty() {
            continue;
        }
        let voxels = volume.read(&Region::new(z.clone(), first..end, columns.clone()))?;
        let mut block = papyrus.slice_mut(s![first..end, columns]);
        for layer in voxels.axis_iter(Axis(0)) {
            Zip::from(&mut block)
                .and(&layer)
                .for_each(|papyrus, &voxel| *papyrus |= voxel > 0);
        }
    }
    Ok(papyrus)
}

/// A `coarse` image at `size` (height, width), and a coarse pixel more on each side, since means of
/// little are rounded to nothing.
pub(crate) fn enlarged(coarse: &Array2<bool>, size: [usize; 2]) -> Array2<bool> {
    let (height, width) = coarse.dim();
    let wide = Array2::from_shape_fn((height, width), |(y, x)| {
        let rows = y.saturating_sub(1)..(y + 2).min(height);
        let columns = x.saturating_sub(1)..(x + 2).min(width);
        coarse.slice(s![rows, columns]).iter().any(|&any| any)
    });
    Array2::from_shape_fn((size[0], size[1]), |(y, x)| {
        wide[[y * height / size[0], x * width / size[1]]]
    })
}

/// The columns of an image of `size` (height, width) between which, in `rows`, a coarser one has
/// anything; a pixel more on each side, since means of little are rounded to nothing.
fn columns_of(coarse: &Array2<bool>, size: [usize; 2], rows: Range<usize>) -> Range<usize> {
    let (height, width) = coarse.dim();
    let first = (rows.start * height / size[0]).saturating_sub(1);
    let end = ((rows.end * height).div_ceil(size[0]) + 1).min(height);
    let there = coarse.slice(s![first..end, ..]);
    let has_any = |column: usize| there.column(column).iter().any(|&any| any);
    let (Some(left), Some(right)) = (
        (0..width).find(|&x| has_any(x)),
        (0..width).rfind(|&x| has_any(x)),
    ) else {
        return 0..0;
    };
    let left = left.saturating_sub(1) * size[1] / width;
    let right = ((right + 2) * size[1]).div_ceil(width);
    left..right.min(size[1])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ndarray::Array3;

    use super::*;

    /// A bright square; counts what is read of it.
    struct Square(AtomicUsize);

    impl Volume for Square {
        fn shape(&self) -> [usize; 3] {
            [2, 4000, 9000]
        }

        fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
            let voxels = region.shape().iter().product();
            self.0.fetch_add(voxels, Ordering::Relaxed);
            let [_, top, left] = [0, region.y.start, region.x.start];
            Ok(Array3::from_shape_fn(region.shape(), |(z, y, x)| {
                let within = is_papyrus(top + y, left + x);
                u16::from(z == 1 && within) * 900
            }))
        }
    }

    fn is_papyrus(y: usize, x: usize) -> bool {
        (1500..1900).contains(&y) && (5003..5507).contains(&x)
    }

    #[test]
    fn a_coarser_level_saves_reading_and_changes_nothing() {
        let expected = Array2::from_shape_fn((4000, 9000), |(y, x)| is_papyrus(y, x));
        let square = Square(AtomicUsize::new(0));
        assert_eq!(papyrus(&square, None).unwrap(), expected);
        assert_eq!(square.0.load(Ordering::Relaxed), 2 * 4000 * 9000);
        let coarse = Array2::from_shape_fn((250, 563), |(y, x)| is_papyrus(16 * y + 8, 16 * x + 8));
        let square = Square(AtomicUsize::new(0));
        assert_eq!(papyrus(&square, Some(&coarse)).unwrap(), expected);
        let read = square.0.load(Ordering::Relaxed);
        assert!(read < 2 * 4000 * 9000 / 15, "{read} voxels");
    }

    #[test]
    fn only_what_may_be_covered_is_read() {
        let square = Square(AtomicUsize::new(0));
        let within = Array2::from_shape_fn((4000, 9000), |(y, x)| y >= 1700 && x < 5100);
        let found = covered(&square, 0..2, &within).unwrap();
        let expected = |(y, x)| within[[y, x]] && is_papyrus(y, x);
        assert_eq!(found, Array2::from_shape_fn((4000, 9000), expected));
        assert!(square.0.load(Ordering::Relaxed) < 2 * 2 * 2400 * 5200);
        let dark = covered(&square, 0..1, &within).unwrap();
        assert!(!dark.iter().any(|&any| any));
    }

    #[test]
    fn nothing_is_read_of_an_empty_sheet() {
        let square = Square(AtomicUsize::new(0));
        let coarse = Array2::from_elem((40, 90), false);
        assert!(
            !papyrus(&square, Some(&coarse))
                .unwrap()
                .iter()
                .any(|&any| any)
        );
        assert_eq!(square.0.load(Ordering::Relaxed), 0);
    }
}
