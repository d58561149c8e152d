//! A volume whose layers are the means of several.

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array3, ArrayView3, Axis, Zip};

use crate::Usage;

/// A volume each of whose layers is the mean of `count` layers of another that lie together, as
/// volumes of ~9 µm are made of ~2.4 µm (`count` 4, at the second coarser level). Where `count` does not divide
/// the layers, those in the middle are taken, one fewer behind than in front. Means are rounded to
/// 8-bit intensities where the voxels are such (multiples of 257), halves to even, as NumPy rounds.
pub struct PooledLayers<V> {
    volume: V,
    count: usize,
    unit: u32,
    first: usize,
    depth: usize,
}

impl<V: Volume> PooledLayers<V> {
    /// The means of `count` layers each of `volume`, whose files store so many `bits`.
    ///
    /// # Errors
    /// [`Usage`] for a volume of fewer layers.
    pub fn new(volume: V, count: usize, bits: u8) -> Result<Self, Usage> {
        let [found, _, _] = volume.shape();
        let depth = pooled_depth(found, count);
        if depth == 0 {
            return Err(Usage(format!(
                "--z-pool {count}: found {found} layers; expected at least {count}. hint: leave it out \
                 for a volume that is coarse already"
            )));
        }
        Ok(Self {
            volume,
            count,
            unit: if bits <= 8 { 257 } else { 1 },
            first: (found - depth * count).div_ceil(2),
            depth,
        })
    }

    fn mean(&self, layers: ArrayView3<u16>) -> ndarray::Array2<u16> {
        let (_, height, width) = layers.dim();
        let mut sums = ndarray::Array2::<u32>::zeros((height, width));
        for layer in layers.outer_iter() {
            Zip::from(&mut sums)
                .and(&layer)
                .for_each(|sum, &voxel| *sum += u32::from(voxel));
        }
        let by = self.unit * self.count as u32;
        sums.mapv(|sum| (half_to_even(sum, by) * self.unit).min(u32::from(u16::MAX)) as u16)
    }
}

/// How many layers are left of `found` when `count` become one.
pub fn pooled_depth(found: usize, count: usize) -> usize {
    found / count.max(1)
}

/// `sum / by`, rounded, halves to the even neighbour.
fn half_to_even(sum: u32, by: u32) -> u32 {
    let (whole, rest) = (sum / by, sum % by);
    match (2 * rest).cmp(&by) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

impl<V: Volume> Volume for PooledLayers<V> {
    fn shape(&self) -> [usize; 3] {
        let [_, height, width] = self.volume.shape();
        [self.depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape())?;
        let at = |z: usize| self.first + z * self.count;
        let below = Region::new(
            at(region.z.start)..at(region.z.end),
            region.y.clone(),
            region.x.clone(),
        );
        let voxels = self.volume.read(&below)?;
        let mut pooled = Array3::zeros(region.shape());
        let groups = voxels.axis_chunks_iter(Axis(0), self.count);
        for (mut layer, group) in pooled.outer_iter_mut().zip(groups) {
            layer.assign(&self.mean(group));
        }
        Ok(pooled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(depth: usize, unit: u16) -> Array3<u16> {
        Array3::from_shape_fn((depth, 3, 5), |(z, y, x)| {
            ((z * 7 + y * 5 + x * 3) % 250) as u16 * unit
        })
    }

    #[test]
    fn four_layers_become_their_mean_halves_to_even() {
        let voxels = volume(109, 257);
        let pooled = PooledLayers::new(voxels.clone(), 4, 8).unwrap();
        assert_eq!(pooled.shape(), [27, 3, 5]);
        let all = pooled.read(&Region::new(0..27, 0..3, 0..5)).unwrap();
        for ((z, y, x), &found) in all.indexed_iter() {
            let of = |k: usize| f64::from(voxels[(1 + 4 * z + k, y, x)]) / 257.0;
            let mean = (0..4).map(of).sum::<f64>() / 4.0;
            assert_eq!(
                f64::from(found),
                mean.round_ties_even() * 257.0,
                "{z} {y} {x}"
            );
        }
        let part = pooled.read(&Region::new(9..11, 1..2, 2..4)).unwrap();
        assert_eq!(part, all.slice(ndarray::s![9..11, 1..2, 2..4]));
    }

    /// What was published took the 84 layers in the middle, from ceil((109 - 84) / 2) on, and made 21 of
    /// them: the 17 in the middle are ours.
    #[test]
    fn the_layers_in_the_middle_are_those_of_the_published_volumes() {
        let pooled = PooledLayers::new(volume(109, 257), 4, 8).unwrap();
        let ours = pooled.first + 4 * (27 / 2 - 17 / 2);
        let theirs = (109_usize - 84).div_ceil(2) + 4 * (21 / 2 - 17 / 2);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn sixteen_bits_keep_theirs_and_too_few_layers_are_refused() {
        let pooled = PooledLayers::new(volume(8, 11), 2, 16).unwrap();
        let first = pooled.read(&Region::new(0..1, 0..1, 0..1)).unwrap();
        assert_eq!(
            first[(0, 0, 0)],
            38,
            "the mean of 0 and 77, rounded to even"
        );
        let error = PooledLayers::new(volume(3, 1), 4, 16).err().unwrap();
        assert!(error.to_string().contains("found 3 layers"), "{error}");
    }
}
