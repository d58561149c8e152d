use std::ops::Range;

use ndarray::{Array2, Zip, s};

use crate::blocks::blocks;
use crate::distortion::Distortion;
use crate::level_counts::LevelCounts;
use crate::metrics::Metrics;
use crate::score::Labelled;
use crate::skeleton::skeleton;
use crate::{Error, Threshold};

/// What the metrics of a part of a sheet are made of. Counts of several parts add up to those of the
/// whole, so that parts can be drawn again and again.
#[derive(Clone, Debug, Default)]
pub struct BlockCounts {
    levels: LevelCounts,
    /// Pixels of the ink's skeleton: those found, and all.
    skeleton: [u64; 2],
    distortion: Distortion,
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
            block.levels.count(sheet, &called, &place);
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
    pub fn levels_of_blocks(
        sheet: Labelled,
        threshold: Threshold,
        side: usize,
    ) -> Result<Vec<Self>, Error> {
        sheet.check()?;
        let called = threshold.ink(sheet.image);
        let whole = sheet.image.dim();
        Ok(Self::levels_within(sheet, &called, [0, 0], whole, side))
    }

    /// The same of the blocks of a square that begins at `origin` and has this size, its ink known.
    pub(crate) fn levels_within(
        sheet: Labelled,
        called: &Array2<bool>,
        origin: [usize; 2],
        size: (usize, usize),
        side: usize,
    ) -> Vec<Self> {
        let [y, x] = origin;
        let counts = blocks(size, side).map(|[rows, columns]| {
            let place = [
                y + rows.start..y + rows.end,
                x + columns.start..x + columns.end,
            ];
            let mut block = Self::default();
            block.levels.count(sheet, called, &place);
            block
        });
        counts.filter(|block| block.pixels() > 0).collect()
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
        &self.levels.levels
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Self) {
        self.levels.add(&other.levels);
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
        self.levels.pixels()
    }

    /// The metrics at the threshold that was counted at.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(&self.levels, self.skeleton, self.distortion)
    }
}
