//! Copies of parts of fragments.

use std::path::Path;

use ndarray::s;

use crate::{Error, Fragment, FragmentWriter, Part, Provenance, Region, Volume, WriteOptions};

/// Voxels that are held at once, in bytes.
const BLOCK_BYTES: usize = 256 << 20;

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
    use ndarray::{Array2, Array3};

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
