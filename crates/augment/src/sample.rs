use std::ops::Range;

use inkling_fragment::{Columns, Volume};
use ndarray::{Array2, Array3, ArrayViewMut2, ArrayViewMut3};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::sampling::Rows;
use crate::weighted_rows::BlurRows;

/// What samples are cut from.
pub struct Source<'a> {
    /// Voxels, (z, y, x). [`Columns`] are read where they lie; anything else is copied crop by crop.
    pub volume: &'a dyn Volume,
    /// Where there is papyrus, (y, x).
    pub mask: &'a Array2<bool>,
    /// Where there is ink, (y, x); of the mask's size.
    pub labels: Option<&'a Array2<bool>>,
    /// Where labels count, (y, x), of the mask's size; everywhere without it.
    pub supervision: Option<&'a Array2<bool>>,
    /// The layers that may be read.
    pub z: Range<usize>,
}

/// The address of a sample: the same address, the same sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleKey {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The sample's place in the epoch.
    pub index: u64,
}

impl SampleKey {
    /// The sample's own stream of random numbers.
    pub(crate) fn random(self) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream((self.epoch << 32 | self.index).wrapping_mul(2));
        random
    }

    /// The address of the sample that this one is mixed with.
    pub(crate) fn partner(self) -> Self {
        Self {
            seed: self.seed ^ 0x9E37_79B9_7F4A_7C15,
            ..self
        }
    }
}

/// A training sample: a patch with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Normalised intensities, (z, y, x).
    pub volume: Array3<f32>,
    /// Ink, 0 to 1, (y, x).
    pub labels: Array2<f32>,
    /// 1 on papyrus, 0 elsewhere, (y, x).
    pub validity: Array2<f32>,
    /// 1 where labels count, 0 where they teach nothing, (y, x); they count everywhere without it.
    pub supervision: Option<Array2<f32>>,
}

impl Sample {
    /// Its memory, for another sample to be written there.
    pub fn view_mut(&mut self) -> SampleMut<'_> {
        SampleMut {
            volume: self.volume.view_mut(),
            labels: self.labels.view_mut(),
            validity: self.validity.view_mut(),
            supervision: self.supervision.as_mut().map(|counts| counts.view_mut()),
        }
    }
}

/// Memory that a sample is written into, such as its part of a batch; each array lies in one piece, with the
/// last axis innermost.
pub struct SampleMut<'a> {
    /// Normalised intensities, (z, y, x).
    pub volume: ArrayViewMut3<'a, f32>,
    /// Ink, 0 to 1, (y, x).
    pub labels: ArrayViewMut2<'a, f32>,
    /// 1 on papyrus, 0 elsewhere, (y, x).
    pub validity: ArrayViewMut2<'a, f32>,
    /// 1 where labels count, 0 where they teach nothing, (y, x); left out where nobody asks.
    pub supervision: Option<ArrayViewMut2<'a, f32>>,
}

/// Memory that goes from one sample to the next. With samples given back by [`Scratch::recycle`]
/// not even the next sample asks for any.
#[derive(Default)]
pub struct Scratch {
    pub(crate) rows: Rows,
    pub(crate) columns: Columns,
    pub(crate) blur: BlurRows,
    spare: Vec<Sample>,
}

impl Scratch {
    /// Takes back a sample, whose memory the next one gets.
    pub fn recycle(&mut self, sample: Sample) {
        self.spare.push(sample);
    }

    /// A sample of `depth` layers of `side`² px with anything in it, with supervision or without.
    pub(crate) fn sample(&mut self, [depth, side]: [usize; 2], supervised: bool) -> Sample {
        let spare = self.spare.pop();
        let fits = spare.filter(|sample| sample.volume.dim() == (depth, side, side));
        let image = || Array2::zeros((side, side));
        let mut sample = fits.unwrap_or_else(|| Sample {
            volume: Array3::zeros((depth, side, side)),
            labels: image(),
            validity: image(),
            supervision: None,
        });
        sample.supervision = match supervised {
            true => Some(sample.supervision.unwrap_or_else(image)),
            false => None,
        };
        sample
    }
}
