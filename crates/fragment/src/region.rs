//! Boxes of voxels.

use std::ops::Range;

/// A box of voxels, half-open, in (z, y, x) order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Layers.
    pub z: Range<usize>,
    /// Rows.
    pub y: Range<usize>,
    /// Columns.
    pub x: Range<usize>,
}

impl Region {
    /// The box of these layers, rows and columns.
    pub fn new(z: Range<usize>, y: Range<usize>, x: Range<usize>) -> Self {
        Self { z, y, x }
    }

    /// Layers, rows and columns.
    pub fn shape(&self) -> [usize; 3] {
        [self.z.len(), self.y.len(), self.x.len()]
    }
}
