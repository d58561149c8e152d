use ndarray::{Array2, Zip};
use serde::Serialize;

use crate::Error;

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
    /// From which probability on a pixel counts as ink.
    pub threshold: f64,
    /// The highest F0.5 over all thresholds of 8-bit images.
    pub best_f05: f64,
    /// The threshold that gives it.
    pub best_threshold: f64,
    /// Area under the precision–recall curve: the sum of precision times the rise of recall.
    pub average_precision: f64,
    /// Mean squared difference of probability and label.
    pub brier: f64,
    /// Per threshold, from high to low: threshold, precision, recall, F0.5.
    #[serde(skip)]
    pub sweep: Vec<[f64; 4]>,
    /// Per tenth of probability: mean probability, share of ink, share of pixels.
    pub reliability: Vec<[f64; 3]>,
}

/// Scores an 8-bit probability `image` by `labels` within `mask`, all (y, x).
///
/// # Errors
/// [`Error::Size`] for images of different sizes; [`Error::NoInk`] for labels without ink.
pub fn score(
    image: &Array2<u8>,
    labels: &Array2<bool>,
    mask: &Array2<bool>,
    threshold: f64,
) -> Result<Score, Error> {
    for (what, size) in [("labels", labels.dim()), ("mask", mask.dim())] {
        if size != image.dim() {
            return Err(Error::Size {
                what,
                found: [size.0, size.1],
                expected: [image.nrows(), image.ncols()],
            });
        }
    }
    let mut counts = Counts::default();
    Zip::from(image)
        .and(labels)
        .and(mask)
        .for_each(|&level, &ink, &papyrus| {
            if papyrus {
                counts.of[usize::from(ink)][usize::from(level)] += 1;
            }
        });
    counts.score(threshold)
}

/// Pixels per grey level, on bare papyrus and on ink. An 8-bit image has no more to say.
struct Counts {
    of: [[u64; 256]; 2],
}

impl Default for Counts {
    fn default() -> Self {
        Self { of: [[0; 256]; 2] }
    }
}

impl Counts {
    fn score(&self, threshold: f64) -> Result<Score, Error> {
        let [bare, ink] = &self.of;
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
        let lowest = (threshold * 255.0).ceil().clamp(0.0, 255.0) as usize;
        let [_, precision, recall, f05] = sweep[255 - lowest];
        let best = sweep
            .iter()
            .copied()
            .reduce(|a, b| if b[3] > a[3] { b } else { a });
        let best = best.unwrap_or_default();
        Ok(Score {
            f05,
            precision,
            recall,
            threshold,
            best_f05: best[3],
            best_threshold: best[0],
            average_precision,
            brier: self.brier(),
            sweep,
            reliability: self.reliability(),
        })
    }

    fn brier(&self) -> f64 {
        let error = |ink: usize| {
            let levels = self.of[ink].iter().enumerate();
            levels
                .map(|(level, &count)| count as f64 * (level as f64 / 255.0 - ink as f64).powi(2))
                .sum::<f64>()
        };
        (error(0) + error(1)) / self.pixels()
    }

    fn reliability(&self) -> Vec<[f64; 3]> {
        let bin = |tenth: usize| {
            let within = |level: &usize| (level * 10 / 256) == tenth;
            let mut sums = [0.0; 3];
            for level in (0..256).filter(within) {
                let (bare, ink) = (self.of[0][level] as f64, self.of[1][level] as f64);
                sums[0] += (bare + ink) * level as f64 / 255.0;
                sums[1] += ink;
                sums[2] += bare + ink;
            }
            let count = sums[2].max(1.0);
            [sums[0] / count, sums[1] / count, sums[2] / self.pixels()]
        };
        (0..10).map(bin).collect()
    }

    fn pixels(&self) -> f64 {
        self.of.iter().flatten().sum::<u64>() as f64
    }
}

/// Precision and recall of `found` = (ink found, pixels called ink).
fn rates((ink, called): (u64, u64), positives: f64) -> (f64, f64) {
    let precision = match called {
        0 => 0.0,
        called => ink as f64 / called as f64,
    };
    (precision, ink as f64 / positives)
}

fn f_beta(precision: f64, recall: f64) -> f64 {
    let weight = BETA * BETA;
    let divisor = weight * precision + recall;
    match divisor > 0.0 {
        true => (1.0 + weight) * precision * recall / divisor,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four pixels; values by hand and by scikit-learn's `fbeta_score` and
    /// `average_precision_score`.
    #[test]
    fn a_small_case_by_hand() {
        let image = ndarray::array![[255, 204, 153, 0]];
        let labels = ndarray::array![[true, false, true, true]];
        let mask = ndarray::array![[true, true, true, true]];
        let found = score(&image, &labels, &mask, 0.5).unwrap();
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
        let found = score(&image, &labels, &ndarray::array![[true, false]], 0.5).unwrap();
        assert_eq!(found.f05, 1.0);
        let none = score(&image, &ndarray::array![[false, false]], &labels, 0.5);
        assert!(matches!(none, Err(Error::NoInk)));
    }
}
