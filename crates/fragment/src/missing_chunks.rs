use ndarray::{Array2, s};

/// How much of a volume's papyrus is not there: files of chunks that were not copied, which read
/// as black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissingChunks {
    /// Chunks over papyrus whose file is not there.
    pub missing: u64,
    /// Chunks over papyrus.
    pub of: u64,
}

impl MissingChunks {
    /// A sentence for people; `None` where all is there.
    pub fn warning(&self) -> Option<String> {
        let Self { missing, of } = self;
        (*missing > 0).then(|| {
            let share = 100.0 * *missing as f64 / *of as f64;
            format!("{missing} of {of} chunks over papyrus are not there ({share:.1} %) and read as black. hint: copy the missing chunks, or go on where they are empty")
        })
    }
}

/// The tiles of `size` (height, width), counted from the upper left corner, that hold papyrus:
/// their rows and columns.
pub(crate) fn columns_of(papyrus: &Array2<bool>, size: [usize; 2]) -> Vec<(usize, usize)> {
    let (height, width) = papyrus.dim();
    let mut found = Vec::new();
    for (row, top) in (0..height).step_by(size[0]).enumerate() {
        let bottom = height.min(top + size[0]);
        for (column, left) in (0..width).step_by(size[1]).enumerate() {
            let tile = papyrus.slice(s![top..bottom, left..width.min(left + size[1])]);
            if tile.iter().any(|&papyrus| papyrus) {
                found.push((row, column));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tiles_with_papyrus_count() {
        let papyrus = Array2::from_shape_fn((10, 10), |(y, x)| (y, x) == (9, 3));
        assert_eq!(columns_of(&papyrus, [4, 4]), [(2, 0)]);
        assert_eq!(columns_of(&papyrus, [64, 2]), [(0, 1)]);
        let none = MissingChunks { missing: 0, of: 9 };
        assert_eq!(none.warning(), None);
        let some = MissingChunks { missing: 3, of: 9 };
        assert!(
            some.warning()
                .unwrap()
                .contains("3 of 9 chunks over papyrus are not there (33.3 %)")
        );
    }
}
