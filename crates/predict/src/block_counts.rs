use std::ops::Range;

use ndarray::{Array2, Zip, s};

use crate::blocks::blocks;
use crate::distortion::Distortion;
use crate::metrics::Metrics;
use crate::score::Labelled;
use crate::skeleton::skeleton;
use crate::{Error, Threshold};

/// What the metrics of a part of a sheet are made of. Counts of several parts add up to those of the
/// whole, so that parts can be drawn again and again.
#[derive(Clone, Debug)]
pub struct BlockCounts {
    /// Pixels of papyrus per level of the 8-bit image, on bare papyrus and on ink.
    levels: [[u64; 256]; 2],
    /// Pixels of the ink's skeleton: those found, and all.
    skeleton: [u64; 2],
    distortion: Distortion,
}

impl Default for BlockCounts {
    fn default() -> Self {
        Self {
            levels: [[0; 256]; 2],
            skeleton: [0; 2],
            distortion: Distortion::default(),
        }
    }
}

impl BlockCounts {
    /// The counts of every block of `side` px that holds papyrus, row by row, at a threshold.
    ///
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub fn of_blocks(
        sheet: Labelled,
        threshold: Threshold,
        side: usize,
    ) -> Result<Vec<Self>, Error> {
        sheet.check()?;
        let called = threshold.ink(sheet.image);
        let ink = sheet.labels & sheet.mask;
        let thin = skeleton(&ink);
        let counts = blocks(sheet.image.dim(), side).map(|place| {
            let mut block = Self::default();
            block.count_levels(sheet, &place);
            block.count_skeleton(&called, &thin, &place);
            block.distortion = Distortion::of(&called, &ink, sheet.mask, &place);
            block
        });
        Ok(counts.filter(|block| block.pixels() > 0).collect())
    }

    /// The same of the pixels' levels alone: the pseudo F-measure and the distortion, which take by far
    /// the longest, are then none.
    ///
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub fn levels_of_blocks(sheet: Labelled, side: usize) -> Result<Vec<Self>, Error> {
        sheet.check()?;
        let counts = blocks(sheet.image.dim(), side).map(|place| {
            let mut block = Self::default();
            block.count_levels(sheet, &place);
            block
        });
        Ok(counts.filter(|block| block.pixels() > 0).collect())
    }

    fn count_levels(&mut self, sheet: Labelled, [rows, columns]: &[Range<usize>; 2]) {
        let place = s![rows.clone(), columns.clone()];
        Zip::from(sheet.image.slice(place))
            .and(sheet.labels.slice(place))
            .and(sheet.mask.slice(place))
            .for_each(|&level, &ink, &papyrus| {
                self.levels[usize::from(ink)][usize::from(level)] += u64::from(papyrus);
            });
    }

    fn count_skeleton(
        &mut self,
        called: &Array2<bool>,
        thin: &Array2<bool>,
        [rows, columns]: &[Range<usize>; 2],
    ) {
        let place = s![rows.clone(), columns.clone()];
        Zip::from(called.slice(place))
            .and(thin.slice(place))
            .for_each(|&called, &thin| {
                self.skeleton[0] += u64::from(called && thin);
                self.skeleton[1] += u64::from(thin);
            });
    }

    /// Pixels of papyrus per level, on bare papyrus and on ink.
    pub(crate) fn levels(&self) -> &[[u64; 256]; 2] {
        &self.levels
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Self) {
        for (own, others) in self.levels.iter_mut().zip(&other.levels) {
            own.iter_mut()
                .zip(others)
                .for_each(|(own, count)| *own += count);
        }
        for (own, count) in self.skeleton.iter_mut().zip(other.skeleton) {
            *own += count;
        }
        self.distortion.add(other.distortion);
    }

    /// The counts of all parts together.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        parts.into_iter().for_each(|part| sum.add(part));
        sum
    }

    /// Pixels of papyrus.
    pub fn pixels(&self) -> u64 {
        self.levels.iter().flatten().sum()
    }

    /// The metrics at the threshold of the skeleton and the distortion, which must be this one.
    pub fn metrics(&self, threshold: Threshold) -> Metrics {
        Metrics::new(&self.levels, self.skeleton, self.distortion, threshold)
    }
}
