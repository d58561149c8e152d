//! Groups of tiles that are worked on at once.

use super::{OUT, TILES};
use crate::conv3x3::Sizes;
use crate::matrix::{DotUnit, MulPrecision};

/// Some rows of tiles, which follow one another in the images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// The first row of tiles, counted through all images.
    first: usize,
    /// Rows of tiles.
    pub rows: usize,
    /// Rows of tiles of an image.
    image_rows: usize,
    /// Tiles of a row.
    pub columns: usize,
    /// Lanes of the vectors.
    pub lanes: usize,
    /// Vectors of a whole panel.
    pub vectors: usize,
}

/// A group's rows of tiles of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub image: usize,
    /// The image's first row of tiles among them.
    pub first: usize,
    /// Rows of tiles.
    pub rows: usize,
    /// Rows of tiles of the group before them.
    pub before: usize,
}

impl Group {
    /// The groups of all images.
    pub fn all(sizes: Sizes) -> Vec<Self> {
        let unit = DotUnit::of(MulPrecision::F32);
        let columns = sizes.width.div_ceil(OUT);
        let image_rows = sizes.height.div_ceil(OUT);
        let (rows, whole) = (sizes.batch * image_rows, TILES.div_ceil(columns));
        let [_, vectors] = unit.tile();
        let group = |first| Self {
            first,
            rows: whole.min(rows - first),
            image_rows,
            columns,
            lanes: unit.lanes(),
            vectors,
        };
        (0..rows).step_by(whole).map(group).collect()
    }

    /// Tiles.
    pub fn tiles(self) -> usize {
        self.rows * self.columns
    }

    /// Tiles, filled up to whole vectors.
    pub fn padded(self) -> usize {
        self.tiles().next_multiple_of(self.lanes)
    }

    /// The tiles of each panel, filled up to whole vectors.
    pub fn panels(self) -> impl Iterator<Item = usize> {
        let (whole, padded) = (self.vectors * self.lanes, self.padded());
        (0..padded)
            .step_by(whole)
            .map(move |first| whole.min(padded - first))
    }

    /// Its rows, image by image.
    pub fn runs(self) -> impl Iterator<Item = Run> {
        let end = self.first + self.rows;
        let images = self.first / self.image_rows..end.div_ceil(self.image_rows);
        images.map(move |image| {
            let start = self.first.max(image * self.image_rows);
            Run {
                image,
                first: start % self.image_rows,
                rows: end.min((image + 1) * self.image_rows) - start,
                before: start - self.first,
            }
        })
    }
}

/// Cuts planes at the groups' rows: every group gets its pixels channel by channel, and of each run by run.
///
/// # Shapes
/// - planes: `[batch, outputs, height, width]`
pub(super) fn strips<'a>(
    sizes: Sizes,
    groups: &[Group],
    planes: &'a mut [f32],
) -> Vec<Vec<&'a mut [f32]>> {
    let area = sizes.height * sizes.width;
    let mut planes: Vec<&mut [f32]> = planes.chunks_mut(area).collect();
    let mut strips: Vec<Vec<_>> = Vec::new();
    strips.resize_with(groups.len(), Vec::new);
    for channel in 0..sizes.outputs {
        for (group, strip) in groups.iter().zip(&mut strips) {
            for run in group.runs() {
                let rest = &mut planes[run.image * sizes.outputs + channel];
                let size = (run.rows * OUT * sizes.width).min(rest.len());
                let (pixels, others) = std::mem::take(rest).split_at_mut(size);
                *rest = others;
                strip.push(pixels);
            }
        }
    }
    strips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_on_from_image_to_image() {
        // Nine rows of seven tiles in three images: groups of seven rows.
        let sizes = Sizes {
            batch: 3,
            inputs: 16,
            outputs: 2,
            height: 11,
            width: 26,
        };
        let groups = Group::all(sizes);
        let rows: Vec<_> = groups.iter().map(|group| group.rows).collect();
        assert_eq!(rows, [7, 2]);
        let runs: Vec<_> = groups
            .iter()
            .flat_map(|group| group.runs())
            .map(|run| [run.image, run.first, run.rows, run.before])
            .collect();
        assert_eq!(
            runs,
            [[0, 0, 3, 0], [1, 0, 3, 3], [2, 0, 1, 6], [2, 1, 2, 0]]
        );
        let mut planes = vec![0.0; 3 * 2 * 11 * 26];
        let strips = strips(sizes, &groups, &mut planes);
        let lengths: Vec<Vec<_>> = strips
            .iter()
            .map(|strip| strip.iter().map(|pixels| pixels.len() / 26).collect())
            .collect();
        assert_eq!(lengths, [vec![11, 11, 4, 11, 11, 4], vec![7, 7]]);
    }
}
