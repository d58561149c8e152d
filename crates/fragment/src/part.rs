//! Rectangles of fragments.

use std::ops::Range;

use ndarray::{Array2, s};

use crate::Fragment;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
