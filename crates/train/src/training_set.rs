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
    mask: Array2<bool>,
    labels: Array2<bool>,
    supervision: Option<Array2<bool>>,
    /// Whether it is known to have no ink.
    is_bare: bool,
}

impl TrainingFragment {
    /// A fragment with papyrus where `mask` is set and ink where `labels` are, all `(y, x)`. Where
    /// `supervision` is given and not set, labels are unknown: they are forgotten here, crops are
    /// not centred there, and pixels there count in no loss.
    pub fn new(
        id: impl Into<String>,
        volume: Box<dyn Volume>,
        layers: Range<usize>,
        mut mask: Array2<bool>,
        mut labels: Array2<bool>,
        supervision: Option<Array2<bool>>,
    ) -> Self {
        if let Some(counts) = &supervision {
            mask.zip_mut_with(counts, |papyrus, &counts| *papyrus &= counts);
            labels.zip_mut_with(counts, |ink, &counts| *ink &= counts);
        }
        Self {
            id: id.into(),
            volume,
            layers,
            mask,
            labels,
            supervision,
            is_bare: false,
        }
    }

    /// The fragment as papyrus that is known to have no ink, which a [`TrainingSet`] takes without any.
    #[must_use]
    pub fn without_ink(self) -> Self {
        Self {
            is_bare: true,
            ..self
        }
    }

    /// Where samples are cut: papyrus whose labels count, `(y, x)`.
    pub fn mask(&self) -> &Array2<bool> {
        &self.mask
    }

    /// What samples are cut from.
    pub fn source(&self) -> Source<'_> {
        Source {
            volume: self.volume.as_ref(),
            mask: &self.mask,
            labels: Some(&self.labels),
            supervision: self.supervision.as_ref(),
            z: self.layers.clone(),
        }
    }
}

/// The training fragments and how samples are drawn from them.
///
/// A sample is addressed by (seed, epoch, index): the same address gives the same sample on any
/// number of threads, in any order, after any restart.
pub struct TrainingSet {
    fragments: Vec<TrainingFragment>,
    papyrus: Vec<usize>,
    shares: Option<Vec<f64>>,
    transform: TrainTransform,
    seed: u64,
}

impl TrainingSet {
    /// Samples from `fragments` through `transform`.
    ///
    /// # Errors
    /// [`Error::NoFragments`] without fragments; [`Error::Labels`] for one without ink that is not known to have
    /// none.
    pub fn new(
        fragments: Vec<TrainingFragment>,
        transform: TrainTransform,
        seed: u64,
    ) -> Result<Self, Error> {
        if fragments.is_empty() {
            return Err(Error::NoFragments);
        }
        for fragment in fragments.iter().filter(|fragment| !fragment.is_bare) {
            let ink = fragment.labels.iter().zip(&fragment.mask);
            if !ink.into_iter().any(|(&ink, &papyrus)| ink && papyrus) {
                return Err(Error::Labels {
                    fragment: fragment.id.clone(),
                    found: match fragment.supervision {
                        Some(_) => {
                            "no ink where labels count (within the supervision mask, \
                                    outside the validation mask)"
                        }
                        None => "ink labels without ink on the papyrus",
                    },
                    hint: "check that inklabels.png marks ink in white, and the masks; name papyrus that \
                           has no ink in data.bare; or leave the fragment out",
                });
            }
        }
        let count = |mask: &Array2<bool>| mask.iter().filter(|&&papyrus| papyrus).count();
        Ok(Self {
            papyrus: fragments.iter().map(|f| count(&f.mask)).collect(),
            fragments,
            shares: None,
            transform,
            seed,
        })
    }

    /// Draws fragments by these shares of the samples, one for each, in place of their papyrus; only
    /// their ratios count.
    ///
    /// # Panics
    /// When there is not one for each fragment.
    #[must_use]
    pub fn with_shares(self, shares: Vec<f64>) -> Self {
        assert_eq!(shares.len(), self.fragments.len(), "a share for each");
        Self {
            shares: Some(shares),
            ..self
        }
    }

    /// Papyrus pixels of each fragment.
    pub fn papyrus(&self) -> &[usize] {
        &self.papyrus
    }

    /// Sample `index` of `epoch`; fragments are drawn with probability proportional to their
    /// papyrus, or by their shares.
    ///
    /// # Errors
    /// Those of reading the volume and of the transforms.
    pub fn sample(&self, epoch: u32, index: usize, scratch: &mut Scratch) -> Result<Sample, Error> {
        let fragment = &self.fragments[self.draw_fragment(epoch, index)];
        let key = SampleKey {
            seed: self.seed,
            epoch: u64::from(epoch),
            index: index as u64,
        };
        Ok(self.transform.sample(&fragment.source(), key, scratch)?)
    }

    /// The name of the fragment that sample `index` of `epoch` is cut from.
    pub fn fragment_of(&self, epoch: u32, index: usize) -> &str {
        &self.fragments[self.draw_fragment(epoch, index)].id
    }

    fn draw_fragment(&self, epoch: u32, index: usize) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own per address, apart from those of the transforms.
        random.set_stream(1 + 2 * ((u64::from(epoch) << 32) | index as u64));
        if let Some(shares) = &self.shares {
            let mut place = random.random_range(0.0..shares.iter().sum::<f64>());
            for (fragment, &share) in shares.iter().enumerate() {
                if place < share {
                    return fragment;
                }
                place -= share;
            }
            return shares.len() - 1;
        }
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
        let (mask, labels) = [(); 2].map(|()| Array2::from_elem((32, 32), true)).into();
        TrainingFragment::new(id, Box::new(volume), layers, mask, labels, None)
    }

    /// A fragment kept in memory begins at its first wanted layer, one on the disk at layer 0.
    #[test]
    fn every_fragment_is_read_at_its_own_layers() {
        let kept = fragment("kept", Array3::from_elem((4, 32, 32), 40_000), 0..4);
        let mut voxels = Array3::from_elem((24, 32, 32), 9);
        voxels.slice_mut(ndarray::s![20.., .., ..]).fill(60_000);
        let on_disk = fragment("on disk", voxels, 20..24);
        let mut settings = AugmentSettings::none();
        settings.crop.scale = [0.5, 0.5];
        let transform = TrainTransform::new(settings, 8, 4).unwrap();
        let training_set = TrainingSet::new(vec![kept, on_disk], transform, 3).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..16 {
            let sample = training_set
                .sample(0, index, &mut Scratch::default())
                .unwrap();
            let brightest = sample.volume.iter().copied().fold(f32::MIN, f32::max);
            seen.insert(((brightest * 0.226 + 0.449) * 65_536.0).round() as u32);
        }
        assert_eq!(seen, [40_000, 60_000].into());
    }

    #[test]
    fn shares_decide_how_often_a_fragment_is_drawn() {
        let three = ["a", "b", "c"].map(|id| fragment(id, Array3::zeros((4, 32, 32)), 0..4));
        let mut settings = AugmentSettings::none();
        settings.crop.scale = [0.5, 0.5];
        let transform = TrainTransform::new(settings, 8, 4).unwrap();
        let set = TrainingSet::new(three.into(), transform, 3).unwrap();
        let counts = |set: &TrainingSet| {
            let mut counts = [0_usize; 3];
            (0..6000).for_each(|index| counts[set.draw_fragment(index / 100, index as usize)] += 1);
            counts.map(|count| count as f64 / 6000.0)
        };
        let near = |found: [f64; 3], expected: [f64; 3]| {
            let pairs = found.iter().zip(expected);
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() < 0.03),
                "{found:?}"
            );
        };
        near(counts(&set), [1.0 / 3.0; 3]);
        near(
            counts(&set.with_shares(vec![1.0, 6.0, 3.0])),
            [0.1, 0.6, 0.3],
        );
    }

    /// Voxels that differ everywhere, and ink in stripes.
    fn sheet(labels: impl Fn(usize, usize) -> bool) -> Vec<TrainingFragment> {
        let voxels = Array3::from_shape_fn((12, 80, 80), |(z, y, x)| {
            ((z * 977 + y * 131 + x * 37) % 5000 + 20_000) as u16
        });
        let mask = Array2::from_shape_fn((80, 80), |(y, x)| y + x > 20);
        let labels = Array2::from_shape_fn((80, 80), |(y, x)| labels(y, x));
        let counts = Array2::from_shape_fn((80, 80), |(y, x)| counts(y, x));
        let volume = Box::new(voxels);
        vec![TrainingFragment::new(
            "1",
            volume,
            0..12,
            mask,
            labels,
            Some(counts),
        )]
    }

    fn counts(y: usize, x: usize) -> bool {
        (10..70).contains(&y) && (5..60).contains(&x) && !(30..44).contains(&y)
    }

    /// Whatever is drawn where labels do not count changes no sample, under every transform and
    /// mixing, and no crop is centred there.
    #[test]
    fn labels_that_do_not_count_change_nothing() {
        use inkling_augment::{Mixing, MixingKind};
        let stripes = |y: usize, x: usize| (x / 6 + y / 9).is_multiple_of(2);
        let kinds = [
            MixingKind::None,
            MixingKind::CutMix,
            MixingKind::MixUp,
            MixingKind::CopyPaste,
        ];
        let mut excluded = 0;
        for (kind, exact, tilt) in kinds
            .into_iter()
            .flat_map(|kind| [(kind, false, 0.0), (kind, true, 0.0), (kind, false, 1.0)])
        {
            let mut settings = AugmentSettings {
                exact,
                mixing: Mixing {
                    kind,
                    probability: 1.0,
                    ..Mixing::default()
                },
                ..AugmentSettings::default()
            };
            settings.tilt.probability = tilt;
            settings.rotation.probability = 1.0;
            let samples = |fragments| {
                let transform = TrainTransform::new(settings.clone(), 32, 8).unwrap();
                let training_set = TrainingSet::new(fragments, transform, 7).unwrap();
                let mut scratch = Scratch::default();
                let sample = |index| training_set.sample(0, index, &mut scratch).unwrap();
                (0..12).map(sample).collect::<Vec<_>>()
            };
            let plain = samples(sheet(stripes));
            let drawn = samples(sheet(|y, x| stripes(y, x) ^ !counts(y, x)));
            assert!(plain == drawn, "{kind:?}, exact {exact}, tilt {tilt}");
            for sample in &plain {
                let counted = sample.supervision.as_ref().unwrap();
                for (&ink, &counted) in sample.labels.iter().zip(counted) {
                    // Mix-up blends labels of both samples.
                    let blended = kind == MixingKind::MixUp;
                    assert!(
                        ink == 0.0 || counted > 0.0 || blended,
                        "ink that does not count"
                    );
                    excluded += usize::from(counted == 0.0);
                }
            }
        }
        assert!(excluded > 1000, "crops reach over the edge");
    }
}
