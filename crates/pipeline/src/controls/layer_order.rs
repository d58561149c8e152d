//! A volume with its layers in another order.

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array3, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What becomes of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerOrder {
    /// The layers that are read, the last first.
    Reversed,
    /// The layers that are read, in a drawn order.
    Shuffled,
    /// All layers, moved round by half of them, so that others are read.
    Shifted,
}

impl LayerOrder {
    /// For each of `depth` layers which one is read in its place; `read` are those that a network reads.
    /// The same `seed` shuffles alike.
    pub fn sources(self, depth: usize, read: [usize; 2], seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..depth).collect();
        let band = &mut order[read[0]..read[1]];
        match self {
            Self::Reversed => band.reverse(),
            Self::Shuffled => band.shuffle(&mut ChaCha8Rng::seed_from_u64(seed)),
            Self::Shifted => order.rotate_left(depth / 2),
        }
        order
    }
}

/// A volume whose layer z is that of another at `sources[z]`.
pub struct Reordered<'a> {
    /// The other volume.
    pub volume: &'a dyn Volume,
    /// One source per layer.
    pub sources: Vec<usize>,
}

impl Volume for Reordered<'_> {
    fn shape(&self) -> [usize; 3] {
        self.volume.shape()
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape())?;
        let sources = &self.sources[region.z.clone()];
        let first = sources.iter().copied().min().unwrap_or(0);
        let end = sources.iter().max().map_or(first, |last| last + 1);
        let whole = Region::new(first..end, region.y.clone(), region.x.clone());
        let places: Vec<usize> = sources.iter().map(|source| source - first).collect();
        Ok(self.volume.read(&whole)?.select(Axis(0), &places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_in_the_other_order() {
        let volume = Array3::from_shape_fn((10, 2, 3), |(z, y, x)| (100 * z + 10 * y + x) as u16);
        let read = |order: LayerOrder| {
            let sources = order.sources(10, [2, 6], 1);
            let reordered = Reordered {
                volume: &volume,
                sources,
            };
            let voxels = reordered.read(&Region::new(2..6, 1..2, 2..3)).unwrap();
            voxels.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(read(LayerOrder::Reversed), [512, 412, 312, 212]);
        assert_eq!(read(LayerOrder::Shifted), [712, 812, 912, 12]);
        let mut shuffled = read(LayerOrder::Shuffled);
        assert_ne!(shuffled, [212, 312, 412, 512]);
        shuffled.sort_unstable();
        assert_eq!(shuffled, [212, 312, 412, 512]);
    }
}
