use ndarray::{ArrayViewMut2, s};
use serde::{Deserialize, Serialize};

/// A hole in a sample, in voxels and labels alike: albumentations' `CoarseDropout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropout {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Dropout {
    /// Sets the hole to `value`.
    pub(crate) fn fill(&self, mut image: ArrayViewMut2<f32>, value: f32) {
        let rows = self.y..self.y + self.height;
        let columns = self.x..self.x + self.width;
        image.slice_mut(s![rows, columns]).fill(value);
    }
}
