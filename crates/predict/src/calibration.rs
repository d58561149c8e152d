use serde::{Deserialize, Serialize};

use crate::{BlockCounts, Error};

/// A correction of probabilities: the logit is multiplied by `slope`, and `offset` is added to it.
///
/// The order of pixels stays, so that metrics over all thresholds do too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What the logit is multiplied by, above 0; one over the temperature.
    pub slope: f64,
    /// What is added to the logit.
    pub offset: f64,
}

/// Which numbers of a [`Calibration`] are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// The slope alone (Guo et al. 2017): a probability of one half stays.
    Temperature,
    /// Both (Platt 1999): corrects for another share of ink, too.
    Platt,
}

/// Probabilities nearer than this to 0 or 1 are taken to be so far away: a quarter of a level.
const NEAREST: f64 = 0.25 / 255.0;
/// Steps of Newton's method, which takes about ten.
const STEPS: usize = 100;
/// Slopes from one over this to this are fitted; others say that there is nothing to fit.
const STEEPEST: f64 = 100.0;

impl Calibration {
    /// Changes nothing.
    pub const IDENTITY: Self = Self {
        slope: 1.0,
        offset: 0.0,
    };

    /// The calibration under which the labels of `sheets` are likeliest: logistic regression by Newton's
    /// method on the logits of the maps' levels.
    ///
    /// # Errors
    /// [`Error::Calibration`] without labelled ink or without bare papyrus, and where ink is rated no
    /// higher than bare papyrus.
    pub fn fit<'a>(
        sheets: impl IntoIterator<Item = &'a BlockCounts>,
        scaling: Scaling,
    ) -> Result<Self, Error> {
        let counts = BlockCounts::sum(sheets);
        let [bare, ink] = counts.levels();
        for (found, counts) in [("no bare papyrus", bare), ("no ink", ink)] {
            if counts.iter().all(|&count| count == 0) {
                return Err(Error::Calibration { found });
            }
        }
        let mut fitted = Self::IDENTITY;
        for _ in 0..STEPS {
            let step = fitted.newton_step(counts.levels(), scaling);
            // Halved where it would overshoot: maps that are nearly right are steep.
            let [slope, offset] = step.map(|step| step.clamp(-2.0, 2.0));
            fitted.slope = (fitted.slope + slope).clamp(-STEEPEST, STEEPEST);
            fitted.offset = (fitted.offset + offset).clamp(-STEEPEST, STEEPEST);
            if slope.abs().max(offset.abs()) < 1e-10 {
                break;
            }
        }
        match (1.0 / STEEPEST..STEEPEST).contains(&fitted.slope) {
            true => Ok(fitted),
            false => Err(Error::Calibration {
                found: "a map that does not rate ink above bare papyrus, or never errs",
            }),
        }
    }

    /// How slope and offset change in one step of Newton's method.
    fn newton_step(&self, [bare, ink]: &[[u64; 256]; 2], scaling: Scaling) -> [f64; 2] {
        let mut gradient = [0.0; 2];
        // Sums over slope squared, slope times offset, offset squared.
        let mut curvature = [0.0; 3];
        for level in 0..256 {
            let (bare, ink) = (bare[level] as f64, ink[level] as f64);
            let logit = logit(level as f64 / 255.0);
            let probability = sigmoid(self.slope * logit + self.offset);
            let excess = (bare + ink) * probability - ink;
            let weight = (bare + ink) * probability * (1.0 - probability);
            gradient[0] += excess * logit;
            gradient[1] += excess;
            curvature[0] += weight * logit * logit;
            curvature[1] += weight * logit;
            curvature[2] += weight;
        }
        let [a, b, d] = curvature;
        match scaling {
            Scaling::Temperature => [-gradient[0] / a.max(f64::MIN_POSITIVE), 0.0],
            Scaling::Platt => {
                let determinant = (a * d - b * b).max(f64::MIN_POSITIVE);
                [
                    -(d * gradient[0] - b * gradient[1]) / determinant,
                    -(a * gradient[1] - b * gradient[0]) / determinant,
                ]
            }
        }
    }

    /// The corrected probability; 0, as outside of the papyrus, stays 0.
    pub fn apply(&self, probability: f32) -> f32 {
        match probability > 0.0 {
            true => self.corrected(f64::from(probability)) as f32,
            false => 0.0,
        }
    }

    fn corrected(&self, probability: f64) -> f64 {
        sigmoid(self.slope * logit(probability) + self.offset)
    }
}

/// Natural logarithm of the odds.
fn logit(probability: f64) -> f64 {
    let probability = probability.clamp(NEAREST, 1.0 - NEAREST);
    (probability / (1.0 - probability)).ln()
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// How probabilities compare with the share of ink among pixels of like probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Expected calibration error: mean distance of probability and share of ink over `bins`, by their
    /// pixels.
    pub calibration_error: f64,
    /// Per tenth of probability that holds pixels: mean probability, share of ink, share of pixels.
    pub bins: Vec<[f64; 3]>,
}

impl Reliability {
    /// That of maps with these counts, whose probabilities are corrected first.
    pub fn of(counts: &BlockCounts, calibration: &Calibration) -> Self {
        let [bare, ink] = counts.levels();
        let mut sums = [[0.0; 3]; 10];
        for level in 0..256 {
            let uncorrected = level as f64 / 255.0;
            let probability = match *calibration == Calibration::IDENTITY {
                true => uncorrected,
                false => calibration.corrected(uncorrected),
            };
            let (bare, ink) = (bare[level] as f64, ink[level] as f64);
            let bin = &mut sums[((probability * 10.0) as usize).min(9)];
            bin[0] += (bare + ink) * probability;
            bin[1] += ink;
            bin[2] += bare + ink;
        }
        let pixels: f64 = sums.iter().map(|bin| bin[2]).sum();
        let filled = sums.iter().filter(|bin| bin[2] > 0.0);
        let bins: Vec<[f64; 3]> = filled
            .map(|[probability, ink, count]| [probability / count, ink / count, count / pixels])
            .collect();
        let error = |[probability, ink, share]: &[f64; 3]| share * (probability - ink).abs();
        Self {
            calibration_error: bins.iter().map(error).sum(),
            bins,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{Labelled, Threshold, score};

    /// A map whose levels say `slope` times the logit of the true probability, plus `offset`.
    fn sheet(slope: f64, offset: f64) -> (Array2<u8>, Array2<bool>, Array2<bool>) {
        let size = (300, 300);
        let truth = |y: usize, x: usize| 0.02 + 0.96 * (((y * 300 + x) * 7 % 1000) as f64 / 1000.0);
        let image = Array2::from_shape_fn(size, |(y, x)| {
            (255.0 * sigmoid(slope * logit(truth(y, x)) + offset)).round() as u8
        });
        let labels = Array2::from_shape_fn(size, |(y, x)| {
            let any = ((y * 300 + x) as f64 * 0.618_033_988_749_895).fract();
            any < truth(y, x)
        });
        (image, labels, Array2::from_elem(size, true))
    }

    fn counts(sheet: &(Array2<u8>, Array2<bool>, Array2<bool>)) -> BlockCounts {
        let (image, labels, mask) = sheet;
        let sheet = Labelled {
            image,
            labels,
            mask,
        };
        BlockCounts::sum(&BlockCounts::levels_of_blocks(sheet, Threshold::HALF, 100).unwrap())
    }

    #[test]
    fn a_known_distortion_is_undone() {
        let overconfident = counts(&sheet(2.0, 0.0));
        let fitted = Calibration::fit([&overconfident], Scaling::Temperature).unwrap();
        assert!(
            (fitted.slope - 0.5).abs() < 0.02 && fitted.offset == 0.0,
            "{fitted:?}"
        );
        let shifted = counts(&sheet(0.5, 1.0));
        let fitted = Calibration::fit([&shifted], Scaling::Platt).unwrap();
        assert!((fitted.slope - 2.0).abs() < 0.06, "{fitted:?}");
        assert!((fitted.offset + 2.0).abs() < 0.08, "{fitted:?}");
        for counts in [overconfident, shifted] {
            let fitted = Calibration::fit([&counts], Scaling::Platt).unwrap();
            let before = Reliability::of(&counts, &Calibration::IDENTITY).calibration_error;
            let after = Reliability::of(&counts, &fitted).calibration_error;
            assert!(before > 0.05 && after < 0.01, "{before} {after}");
        }
    }

    #[test]
    fn an_uncorrected_error_is_the_scores() {
        let sheet = sheet(1.5, 0.3);
        let (image, labels, mask) = &sheet;
        let expected = score(image, labels, mask, Threshold::HALF).unwrap();
        let found = Reliability::of(&counts(&sheet), &Calibration::IDENTITY);
        assert!((found.calibration_error - expected.calibration_error).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let (image, labels, mask) = sheet(1.0, 0.0);
        let fit = |labels: Array2<bool>| {
            let counts = counts(&(image.clone(), labels, mask.clone()));
            Calibration::fit([&counts], Scaling::Platt)
        };
        for wrong in [
            labels.mapv(|_| true),
            labels.mapv(|_| false),
            labels.mapv(|ink| !ink),
        ] {
            assert!(matches!(fit(wrong), Err(Error::Calibration { .. })));
        }
        assert!(fit(labels).is_ok());
    }

    #[test]
    fn nothing_stays_nothing() {
        let calibration = Calibration {
            slope: 0.5,
            offset: 3.0,
        };
        assert_eq!(calibration.apply(0.0), 0.0);
        assert!(calibration.apply(1.0) <= 1.0 && calibration.apply(0.3) > 0.9);
    }
}
