//! Voxels in memory, column by column.

use ndarray::ArrayView3;

/// A volume in memory whose voxels of one place lie next to each other: (y, x, z).
///
/// What looks at all layers of a place at once, as a rotated crop does, touches one line of the
/// processor's cache instead of one per layer.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    voxels: Vec<u16>,
    shape: [usize; 3],
}

impl Columns {
    /// Values that may be read beyond the last voxel, so that columns can be read in blocks.
    pub const PADDING: usize = 32;

    /// The same voxels as an array (z, y, x).
    pub fn from_layers(layers: ArrayView3<u16>) -> Self {
        let (depth, height, width) = layers.dim();
        let mut columns = Self::default();
        columns.reset([depth, height, width]);
        columns.put(layers, 0, 0);
        columns
    }

    /// Makes it (depth, height, width) large and all 0, keeping the memory.
    pub(crate) fn reset(&mut self, shape: [usize; 3]) {
        self.shape = shape;
        self.voxels.clear();
        let count: usize = shape.iter().product();
        self.voxels.resize(count + Self::PADDING, 0);
    }

    /// Writes layers so that their first voxel lies at (`top`, `left`).
    pub(crate) fn put(&mut self, layers: ArrayView3<u16>, top: usize, left: usize) {
        let [depth, _, width] = self.shape;
        for (z, layer) in layers.outer_iter().enumerate() {
            for (y, row) in layer.outer_iter().enumerate() {
                let first = ((top + y) * width + left) * depth + z;
                let places = self.voxels[first..].iter_mut().step_by(depth);
                for (place, &voxel) in places.zip(row) {
                    *place = voxel;
                }
            }
        }
    }

    /// Depth, height and width.
    pub(crate) fn size(&self) -> [usize; 3] {
        self.shape
    }

    /// The voxels, (y, x, z), with [`Columns::PADDING`] more values at the end.
    pub fn voxels(&self) -> &[u16] {
        &self.voxels
    }
}
