use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, s};

use crate::{Error, Fragment, FragmentWriter, Provenance, Region, Volume, WriteOptions};

/// Voxels that are held at once, in bytes.
const BLOCK_BYTES: usize = 256 << 20;

/// Which pixels of a fragment are copied: a rectangle, of which every `step`-th pixel each way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub columns: Range<usize>,
    /// 1 copies all pixels, 2 every other one, as nearest-neighbour halving does.
    pub step: usize,
}

impl Part {
    /// The whole of `fragment` with every `step`-th pixel.
    pub fn downscaled(fragment: &Fragment, step: usize) -> Self {
        Self {
            rows: 0..fragment.height(),
            columns: 0..fragment.width(),
            step,
        }
    }

    /// The part of an image, (y, x).
    pub fn of<T: Clone>(&self, image: &Array2<T>) -> Array2<T> {
        let step = self.step as isize;
        image
            .slice(s![self.rows.clone();step, self.columns.clone();step])
            .to_owned()
    }

    /// Height and width of what is copied.
    pub fn size(&self) -> (usize, usize) {
        let count = |range: &Range<usize>| range.len().div_ceil(self.step);
        (count(&self.rows), count(&self.columns))
    }
}

/// Cuts papyrus in three of equal area, as the reference cuts its second fragment: across at the
/// row that leaves a third above, then what is below in two by a vertical cut. Returns the parts
/// a (top), b (lower left) and c (lower right).
pub fn thirds(mask: &Array2<bool>) -> [Part; 3] {
    let (height, width) = mask.dim();
    let count = |line: ndarray::ArrayView1<bool>| line.iter().filter(|&&papyrus| papyrus).count();
    let row = cut(mask.rows().into_iter().map(count), 1.0 / 3.0);
    let below = mask.slice(s![row.., ..]);
    let column = cut(below.columns().into_iter().map(count), 0.5);
    let part = |rows, columns| Part {
        rows,
        columns,
        step: 1,
    };
    [
        part(0..row, 0..width),
        part(row..height, 0..column),
        part(row..height, column..width),
    ]
}

/// The place before which `share` of the total lies, as nearly as lines allow.
fn cut(lines: impl Iterator<Item = usize>, share: f64) -> usize {
    let lines: Vec<usize> = lines.collect();
    let wanted = lines.iter().sum::<usize>() as f64 * share;
    let mut sum = 0;
    for (index, &count) in lines.iter().enumerate() {
        let after = sum + count;
        if after as f64 >= wanted {
            let before_is_nearer = wanted - (sum as f64) < after as f64 - wanted;
            return if before_is_nearer { index } else { index + 1 };
        }
        sum = after;
    }
    lines.len()
}

/// Writes `part` of `fragment` at `target`, with its masks, labels and photograph, and where it lay
/// ([`Provenance`]).
///
/// # Errors
/// Those of reading and of [`FragmentWriter`].
pub fn write_part(
    fragment: &Fragment,
    part: &Part,
    target: impl AsRef<Path>,
    options: &WriteOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Fragment, Error> {
    let (height, width) = part.size();
    let depth = fragment.depth();
    let mut writer = FragmentWriter::create(target, [depth, height, width], options.clone())?;
    let bytes = 2 * depth * part.columns.len() * part.step;
    let lines = (BLOCK_BYTES / bytes.max(1)).clamp(1, height.max(1));
    let step = part.step as isize;
    for first in (0..height).step_by(lines) {
        let begin = part.rows.start + first * part.step;
        let end = part.rows.end.min(begin + lines * part.step);
        let block = fragment.read(&Region::new(0..depth, begin..end, part.columns.clone()))?;
        writer.write_rows(block.slice(s![.., ..;step, ..;step]))?;
        progress((first + lines).min(height) as u64, height as u64);
    }
    writer.copy_side_images(fragment, part)?;
    Provenance::of(fragment)?
        .part(part)
        .write(&writer.folder())?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn thirds_hold_equal_papyrus_and_share_no_pixel() {
        let mask = Array2::from_shape_fn((300, 200), |(y, x)| (x + y / 2) % 190 > 20 && y > 17);
        let parts = thirds(&mask);
        let areas = parts
            .each_ref()
            .map(|part| part.of(&mask).iter().filter(|&&p| p).count());
        let total = mask.iter().filter(|&&p| p).count();
        assert_eq!(areas.iter().sum::<usize>(), total);
        for area in areas {
            assert!(
                (area as f64 / total as f64 - 1.0 / 3.0).abs() < 0.01,
                "{areas:?}"
            );
        }
    }

    #[test]
    fn a_part_is_its_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let voxels = Array3::from_shape_fn((4, 33, 21), |(z, y, x)| (z * 9000 + y * 21 + x) as u16);
        let path = folder.path().join("whole");
        let mut writer =
            FragmentWriter::create(path, [4, 33, 21], WriteOptions::default()).unwrap();
        writer.write_rows(voxels.view()).unwrap();
        writer
            .write_mask(&Array2::from_elem((33, 21), true))
            .unwrap();
        let fragment = writer.finish().unwrap();
        let part = Part {
            rows: 3..32,
            columns: 5..20,
            step: 2,
        };
        let target = folder.path().join("part");
        let options = WriteOptions::default();
        let copy = write_part(&fragment, &part, target, &options, &|_, _| {}).unwrap();
        assert_eq!(copy.shape(), [4, 15, 8]);
        let read = copy.read(&Region::new(0..4, 0..15, 0..8)).unwrap();
        assert_eq!(read, voxels.slice(s![.., 3..32;2, 5..20;2]));
        assert!(copy.ink_labels().unwrap().is_none());
        let (whole, cut) = (Provenance::of(&fragment), Provenance::of(&copy));
        let (whole, cut) = (whole.unwrap(), cut.unwrap());
        assert_eq!((cut.rows.clone(), cut.columns.clone()), (3..32, 5..20));
        assert!(cut.overlaps(&whole));
    }
}
