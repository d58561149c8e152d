use std::ops::Range;

use inkling_fragment::Volume;
use ndarray::{Array2, Array3};

/// What samples are cut from.
pub struct Source<'a> {
    /// Voxels, (z, y, x).
    pub volume: &'a dyn Volume,
    /// Where there is papyrus, (y, x).
    pub mask: &'a Array2<bool>,
    /// Where there is ink, (y, x).
    pub labels: Option<&'a Array2<bool>>,
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

/// What training sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Normalised intensities, (z, y, x).
    pub volume: Array3<f32>,
    /// Ink, 0 to 1, (y, x).
    pub labels: Array2<f32>,
    /// 1 on papyrus, 0 elsewhere, (y, x).
    pub validity: Array2<f32>,
}
