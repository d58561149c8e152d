use ndarray::Array2;
use serde::Serialize;

use crate::level_counts::LevelCounts;
use crate::{BlockCounts, Error, Intervals, Threshold};

/// Precision counts this much against recall: β of the competition's F-measure.
const BETA: f64 = 0.5;

/// How a probability image compares with labels, over papyrus pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// F0.5 at `threshold`.
    pub f05: f64,
    /// Precision at `threshold`.
    pub precision: f64,
    /// Recall at `threshold`.
    pub recall: f64,
    /// From which probability on a pixel counts as ink: that of `level`.
    pub threshold: f64,
    /// The lowest level of the 8-bit image that counts as ink.
    pub level: u8,
    /// What a connected region must reach somewhere to count as ink; none without such a second threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_threshold: Option<f64>,
    /// The highest F0.5 over all thresholds of 8-bit images.
    pub best_f05: f64,
    /// The threshold that gives it.
    pub best_threshold: f64,
    /// Its level.
    pub best_level: u8,
    /// Area under the precision–recall curve: the sum of precision times the rise of recall.
    pub average_precision: f64,
    /// Mean squared difference of probability and label.
    pub brier: f64,
    /// Mean distance of probability and share of ink over `reliability`, by their pixels.
    pub calibration_error: f64,
    /// Per threshold, from high to low: threshold, precision, recall, F0.5.
    #[serde(skip)]
    pub sweep: Vec<[f64; 4]>,
    /// Per tenth of probability: mean probability, share of ink, share of pixels.
    pub reliability: Vec<[f64; 3]>,
}

/// A prediction beside what is known, all (y, x) and of one size.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// 8-bit probabilities.
    pub image: &'a Array2<u8>,
    /// Where there is ink.
    pub labels: &'a Array2<bool>,
    /// Where there is papyrus.
    pub mask: &'a Array2<bool>,
}

/// The score of one square of a sheet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegionScore {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Pixels of papyrus.
    pub papyrus: u64,
    /// Pixels of ink on it.
    pub ink: u64,
    /// Precision at the threshold; none where nothing is called ink.
    pub precision: Option<f64>,
    /// Recall at the threshold; none without ink.
    pub recall: Option<f64>,
    /// F0.5 at the threshold; none without ink.
    pub f05: Option<f64>,
    /// The metrics with intervals that are drawn by the square's blocks; those of strokes, the pseudo
    /// F-measure and the distortion, are none.
    pub metrics: Intervals,
}

/// Scores a prediction over its papyrus.
///
/// # Errors
/// [`Error::Size`] for images of different sizes; [`Error::NoInk`] for labels without ink.
pub fn score(
    image: &Array2<u8>,
    labels: &Array2<bool>,
    mask: &Array2<bool>,
    threshold: Threshold,
) -> Result<Score, Error> {
    score_all(
        &[Labelled {
            image,
            labels,
            mask,
        }],
        threshold,
    )
}

/// Scores several predictions as if they were one sheet.
///
/// # Errors
/// As [`score`].
pub fn score_all(sheets: &[Labelled], threshold: Threshold) -> Result<Score, Error> {
    let mut counts = LevelCounts::default();
    for sheet in sheets {
        sheet.check()?;
        let called = threshold.ink(sheet.image);
        let (height, width) = called.dim();
        counts.count(*sheet, &called, &[0..height, 0..width]);
    }
    counts.score(threshold)
}

/// Scores every square of `side` px that holds papyrus, row by row, with intervals by blocks of `block`
/// px.
///
/// # Errors
/// [`Error::Size`] for images of different sizes.
pub fn score_regions(
    sheet: Labelled,
    threshold: Threshold,
    side: usize,
    block: usize,
) -> Result<Vec<RegionScore>, Error> {
    sheet.check()?;
    let (height, width) = sheet.image.dim();
    let called = threshold.ink(sheet.image);
    let mut regions = Vec::new();
    for y in (0..height).step_by(side) {
        for x in (0..width).step_by(side) {
            let (rows, columns) = (side.min(height - y), side.min(width - x));
            let mut counts = LevelCounts::default();
            counts.count(sheet, &called, &[y..y + rows, x..x + columns]);
            let origin = [y, x];
            let blocks = BlockCounts::levels_within(sheet, &called, origin, (rows, columns), block);
            let metrics = Intervals::of_metrics(&blocks, 0);
            regions.extend(counts.region(origin, metrics));
        }
    }
    Ok(regions)
}

impl Labelled<'_> {
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let others = [("labels", self.labels.dim()), ("mask", self.mask.dim())];
        Error::check_sizes(self.image, &others)
    }
}

impl LevelCounts {
    /// None without papyrus.
    fn region(&self, [y, x]: [usize; 2], metrics: Intervals) -> Option<RegionScore> {
        let [bare, ink] = self.levels.map(|levels| levels.iter().sum::<u64>());
        let [wrong, right] = self.called;
        let called = wrong + right;
        let precision = (called > 0).then(|| right as f64 / called as f64);
        let recall = (ink > 0).then(|| right as f64 / ink as f64);
        (bare + ink > 0).then(|| RegionScore {
            y,
            x,
            papyrus: bare + ink,
            ink,
            precision,
            recall,
            f05: recall.map(|recall| f_beta(precision.unwrap_or(0.0), recall)),
            metrics,
        })
    }

    fn score(&self, threshold: Threshold) -> Result<Score, Error> {
        let [bare, ink] = &self.levels;
        let positives = ink.iter().sum::<u64>() as f64;
        if positives == 0.0 {
            return Err(Error::NoInk);
        }
        let mut found = (0_u64, 0_u64);
        let mut average_precision = 0.0;
        let mut sweep = Vec::with_capacity(256);
        let mut recall_before = 0.0;
        for level in (0..256).rev() {
            found.0 += ink[level];
            found.1 += ink[level] + bare[level];
            let (precision, recall) = rates(found, positives);
            average_precision += precision * (recall - recall_before);
            recall_before = recall;
            sweep.push([
                level as f64 / 255.0,
                precision,
                recall,
                f_beta(precision, recall),
            ]);
        }
        let [wrong, right] = self.called;
        let (precision, recall) = rates((right, wrong + right), positives);
        let best = sweep
            .iter()
            .copied()
            .reduce(|a, b| if b[3] > a[3] { b } else { a });
        let best = best.unwrap_or_default();
        let reliability = self.reliability();
        Ok(Score {
            f05: f_beta(precision, recall),
            precision,
            recall,
            threshold: threshold.probability(),
            level: threshold.level(),
            high_threshold: threshold.high().map(Threshold::probability),
            best_f05: best[3],
            best_threshold: best[0],
            best_level: (best[0] * 255.0).round() as u8,
            average_precision,
            brier: self.brier(),
            calibration_error: reliability
                .iter()
                .map(|[probability, ink, share]| share * (probability - ink).abs())
                .sum(),
            sweep,
            reliability,
        })
    }

    fn brier(&self) -> f64 {
        let error = |ink: usize| {
            let levels = self.levels[ink].iter().enumerate();
            levels
                .map(|(level, &count)| count as f64 * (level as f64 / 255.0 - ink as f64).powi(2))
                .sum::<f64>()
        };
        (error(0) + error(1)) / self.pixels() as f64
    }

    fn reliability(&self) -> Vec<[f64; 3]> {
        let bin = |tenth: usize| {
            let within = |level: &usize| (level * 10 / 255).min(9) == tenth;
            let mut sums = [0.0; 3];
            for level in (0..256).filter(within) {
                let (bare, ink) = (self.levels[0][level] as f64, self.levels[1][level] as f64);
                sums[0] += (bare + ink) * level as f64 / 255.0;
                sums[1] += ink;
                sums[2] += bare + ink;
            }
            let count = sums[2].max(1.0);
            [
                sums[0] / count,
                sums[1] / count,
                sums[2] / self.pixels() as f64,
            ]
        };
        (0..10).map(bin).collect()
    }
}

/// Precision and recall of `found` = (ink found, pixels called ink).
pub(crate) fn rates((ink, called): (u64, u64), positives: f64) -> (f64, f64) {
    let precision = match called {
        0 => 0.0,
        called => ink as f64 / called as f64,
    };
    (precision, ink as f64 / positives)
}

pub(crate) fn f_beta(precision: f64, recall: f64) -> f64 {
    let weight = BETA * BETA;
    let divisor = weight * precision + recall;
    match divisor > 0.0 {
        true => (1.0 + weight) * precision * recall / divisor,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    /// Four pixels; values by hand and by scikit-learn's `fbeta_score` and
    /// `average_precision_score`.
    #[test]
    fn a_small_case_by_hand() {
        let image = ndarray::array![[255, 204, 153, 0]];
        let labels = ndarray::array![[true, false, true, true]];
        let mask = ndarray::array![[true, true, true, true]];
        let found = score(&image, &labels, &mask, Threshold::HALF).unwrap();
        let precision = 2.0 / 3.0;
        assert!((found.precision - precision).abs() < 1e-12);
        assert!((found.recall - 2.0 / 3.0).abs() < 1e-12);
        assert!((found.f05 - 2.0 / 3.0).abs() < 1e-12);
        let average = 1.0 / 3.0 + precision / 3.0 + 0.75 / 3.0;
        assert!((found.average_precision - average).abs() < 1e-12);
        assert!((found.brier - (0.64 + 0.16 + 1.0) / 4.0).abs() < 1e-12);
        // Calling everything ink has precision 3/4 and recall 1.
        assert!((found.best_f05 - 1.25 * 0.75 / 1.1875).abs() < 1e-12);
        assert_eq!(found.best_threshold, 0.0);
    }

    #[test]
    fn pixels_off_the_papyrus_do_not_count() {
        let image = ndarray::array![[255, 255]];
        let labels = ndarray::array![[true, false]];
        let found = score(
            &image,
            &labels,
            &ndarray::array![[true, false]],
            Threshold::HALF,
        )
        .unwrap();
        assert_eq!(found.f05, 1.0);
        let none = score(
            &image,
            &ndarray::array![[false, false]],
            &labels,
            Threshold::HALF,
        );
        assert!(matches!(none, Err(Error::NoInk)));
    }

    #[test]
    fn regions_tell_where_it_goes_wrong() {
        let image = ndarray::array![[255, 0, 255, 255], [255, 0, 0, 0], [0, 0, 9, 9]];
        let labels = image.mapv(|level| level == 255);
        let mut mask = Array2::from_elem((3, 4), true);
        mask.slice_mut(s![2.., 2..]).fill(false);
        let mut labels_off = labels.clone();
        labels_off[(0, 2)] = false;
        let sheet = Labelled {
            image: &image,
            labels: &labels_off,
            mask: &mask,
        };
        let regions = score_regions(sheet, Threshold::HALF, 2, 1).unwrap();
        let f05: Vec<_> = regions.iter().map(|r| (r.y, r.x, r.f05)).collect();
        // Half of what is called ink is, and all that is was found.
        let half = 1.25 * 0.5 / 1.125;
        assert_eq!(f05, [(0, 0, Some(1.0)), (0, 2, Some(half)), (2, 0, None)]);
        assert_eq!((regions[1].papyrus, regions[1].ink), (4, 1));
        for region in &regions {
            assert_eq!(region.metrics.get("f05").unwrap().value, region.f05);
        }
    }
}
