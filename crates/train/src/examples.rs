use std::ops::Range;

use inkling_augment::{Sample, SampleKey, Source, TrainTransform};
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
    layers: Range<usize>,
    transform: TrainTransform,
    seed: u64,
}

impl Examples {
    /// Samples from `layers` of `fragments` through `transform`.
    ///
    /// # Errors
    /// [`Error::NoFragments`] without fragments; [`Error::Labels`] for one without ink.
    pub fn new(
        fragments: Vec<TrainingFragment>,
        layers: Range<usize>,
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
            layers,
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
    pub fn sample(&self, epoch: u32, index: usize) -> Result<Sample, Error> {
        let fragment = &self.fragments[self.draw_fragment(epoch, index)];
        let source = Source {
            volume: fragment.volume.as_ref(),
            mask: &fragment.mask,
            labels: Some(&fragment.labels),
            z: self.layers.clone(),
        };
        let key = SampleKey {
            seed: self.seed,
            epoch: u64::from(epoch),
            index: index as u64,
        };
        let params = self.transform.draw(&source, key)?;
        Ok(self.transform.apply(&source, &params)?)
    }

    fn draw_fragment(&self, epoch: u32, index: usize) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own per address, apart from those of the transforms.
        random.set_stream(1 + ((u64::from(epoch) << 32) | index as u64));
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
