use std::ops::Range;

use inkling_augment::{Sample, SampleKey, Scratch, Source, TrainTransform};
use inkling_fragment::Volume;
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Error;

/// One fragment to train on: where its voxels come from, where it has papyrus and ink.
pub struct TrainingFragment {
    /// The fragment's name, for messages.
    pub id: String,
    /// Aligned voxels, `(z, y, x)`.
    pub volume: Box<dyn Volume>,
    /// The layers of `volume` that samples are cut from.
    pub layers: Range<usize>,
    /// Where there is papyrus, `(y, x)`.
    pub mask: Array2<bool>,
    /// Where there is ink, `(y, x)`.
    pub labels: Array2<bool>,
}

/// The training fragments and how samples are drawn from them.
///
/// A sample is addressed by (seed, epoch, index): the same address gives the same sample on any
/// number of threads, in any order, after any restart.
pub struct Examples {
    fragments: Vec<TrainingFragment>,
    papyrus: Vec<usize>,
    transform: TrainTransform,
    seed: u64,
}

impl Examples {
    /// Samples from `fragments` through `transform`.
    ///
    /// # Errors
    /// [`Error::NoFragments`] without fragments; [`Error::Labels`] for one without ink.
    pub fn new(
        fragments: Vec<TrainingFragment>,
        transform: TrainTransform,
        seed: u64,
    ) -> Result<Self, Error> {
        if fragments.is_empty() {
            return Err(Error::NoFragments);
        }
        for fragment in &fragments {
            if !fragment.labels.iter().any(|&ink| ink) {
                return Err(Error::Labels {
                    fragment: fragment.id.clone(),
                    found: "ink labels without ink",
                    mend: "check that inklabels.png marks ink in white, or leave the fragment out",
                });
            }
        }
        let count = |mask: &Array2<bool>| mask.iter().filter(|&&papyrus| papyrus).count();
        Ok(Self {
            papyrus: fragments.iter().map(|f| count(&f.mask)).collect(),
            fragments,
            transform,
            seed,
        })
    }

    /// Papyrus pixels of each fragment.
    pub fn papyrus(&self) -> &[usize] {
        &self.papyrus
    }

    /// Sample `index` of `epoch`; fragments are drawn with probability proportional to their
    /// papyrus.
    ///
    /// # Errors
    /// Those of reading the volume and of the transforms.
    pub fn sample(&self, epoch: u32, index: usize, scratch: &mut Scratch) -> Result<Sample, Error> {
        let fragment = &self.fragments[self.draw_fragment(epoch, index)];
        let source = Source {
            volume: fragment.volume.as_ref(),
            mask: &fragment.mask,
            labels: Some(&fragment.labels),
            z: fragment.layers.clone(),
        };
        let key = SampleKey {
            seed: self.seed,
            epoch: u64::from(epoch),
            index: index as u64,
        };
        Ok(self.transform.sample(&source, key, scratch)?)
    }

    /// The name of the fragment that sample `index` of `epoch` is cut from.
    pub fn fragment_of(&self, epoch: u32, index: usize) -> &str {
        &self.fragments[self.draw_fragment(epoch, index)].id
    }

    fn draw_fragment(&self, epoch: u32, index: usize) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own per address, apart from those of the transforms.
        random.set_stream(1 + 2 * ((u64::from(epoch) << 32) | index as u64));
        let total: usize = self.papyrus.iter().sum();
        let mut place = random.random_range(0..total.max(1));
        for (fragment, &papyrus) in self.papyrus.iter().enumerate() {
            if place < papyrus {
                return fragment;
            }
            place -= papyrus;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_augment::AugmentSettings;
    use ndarray::Array3;

    fn fragment(id: &str, volume: Array3<u16>, layers: Range<usize>) -> TrainingFragment {
        TrainingFragment {
            id: id.to_owned(),
            volume: Box::new(volume),
            layers,
            mask: Array2::from_elem((32, 32), true),
            labels: Array2::from_elem((32, 32), true),
        }
    }

    /// A fragment kept in memory begins at its first wanted layer, one on the disk at layer 0.
    #[test]
    fn every_fragment_is_read_at_its_own_layers() {
        let kept = fragment("kept", Array3::from_elem((4, 32, 32), 40_000), 0..4);
        let mut voxels = Array3::from_elem((24, 32, 32), 9);
        voxels.slice_mut(ndarray::s![20.., .., ..]).fill(60_000);
        let on_disk = fragment("on disk", voxels, 20..24);
        let settings = AugmentSettings {
            scale: [0.5, 0.5],
            ..AugmentSettings::none()
        };
        let transform = TrainTransform::new(settings, 8, 4).unwrap();
        let examples = Examples::new(vec![kept, on_disk], transform, 3).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..16 {
            let sample = examples.sample(0, index, &mut Scratch::default()).unwrap();
            let brightest = sample.volume.iter().copied().fold(f32::MIN, f32::max);
            seen.insert(((brightest * 0.226 + 0.449) * 65_536.0).round() as u32);
        }
        assert_eq!(seen, [40_000, 60_000].into());
    }
}
