//! A volume with layers of nothing around its own.

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array3, s};

/// A volume of fewer layers than a network reads, centred in layers of zeros: of an odd number of them
/// the one more lies behind.
pub struct PaddedLayers<V> {
    volume: V,
    depth: usize,
}

impl<V: Volume> PaddedLayers<V> {
    /// `volume` in `depth` layers, which are no fewer than its own.
    ///
    /// # Panics
    /// When they are.
    pub fn new(volume: V, depth: usize) -> Self {
        assert!(volume.shape()[0] <= depth, "layers are added, none taken");
        Self { volume, depth }
    }

    fn before(&self) -> usize {
        (self.depth - self.volume.shape()[0]) / 2
    }
}

impl<V: Volume> Volume for PaddedLayers<V> {
    fn shape(&self) -> [usize; 3] {
        let [_, height, width] = self.volume.shape();
        [self.depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape())?;
        let (before, own) = (self.before(), self.volume.shape()[0]);
        let first = region.z.start.clamp(before, before + own);
        let end = region.z.end.clamp(before, before + own);
        let mut voxels = Array3::zeros(region.shape());
        if first < end {
            let inner = Region::new(
                first - before..end - before,
                region.y.clone(),
                region.x.clone(),
            );
            let place = s![first - region.z.start..end - region.z.start, .., ..];
            voxels.slice_mut(place).assign(&self.volume.read(&inner)?);
        }
        Ok(voxels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_centred_in_zeros_and_read_in_pieces() {
        let inner = Array3::from_shape_fn((4, 2, 3), |(z, y, x)| (1 + z * 6 + y * 3 + x) as u16);
        let padded = PaddedLayers::new(inner.clone(), 9);
        let all = padded.read(&Region::new(0..9, 0..2, 0..3)).unwrap();
        assert_eq!(all.slice(s![2..6, .., ..]), inner);
        assert_eq!(all.iter().filter(|&&voxel| voxel == 0).count(), 5 * 6);
        for range in [0..1, 0..3, 3..5, 5..9, 7..9] {
            let part = padded
                .read(&Region::new(range.clone(), 1..2, 0..3))
                .unwrap();
            assert_eq!(part, all.slice(s![range, 1..2, ..]));
        }
    }
}
