//! Whether pixels that a map is unsure of are those that it has wrong.

use ndarray::{Array2, Zip};
use serde::Serialize;

use crate::Error;

/// The error that is left of a map when its most uncertain pixels are left out, by rising shares
/// (Bruhn and Weickert, *A confidence measure for variational optic flow methods*, 2006; Ilg et al.,
/// *Uncertainty estimates and multi-hypotheses networks for optical flow*, 2018). The error of a pixel is the
/// square of its probability's distance from the label: the Brier score's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sparsification {
    /// The mean error of the pixels that are left, by that of all, after the most uncertain 0, 5, … 95 % are gone.
    pub curve: Vec<f64>,
    /// The same where the pixels with the largest errors go first: no uncertainty does better.
    pub oracle: Vec<f64>,
    /// The mean of `curve`: 1 is chance, lower is better, and above 1 the map errs where it is sure.
    pub area: f64,
    /// The mean of `oracle`.
    pub oracle_area: f64,
    /// What is lost to the oracle, `area − oracle_area` (AUSE).
    pub error_area: f64,
}

/// Shares of the pixels that are left out.
const STEPS: usize = 20;

impl Sparsification {
    /// Of 8-bit probabilities and uncertainties, where `mask` is set; all are (y, x). None for a map without
    /// errors or pixels.
    ///
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub fn of(
        probability: &Array2<u8>,
        uncertainty: &Array2<u8>,
        labels: &Array2<bool>,
        mask: &Array2<bool>,
    ) -> Result<Option<Self>, Error> {
        let expected = probability.dim();
        for (what, found) in [
            ("uncertainty", uncertainty.dim()),
            ("labels", labels.dim()),
            ("mask", mask.dim()),
        ] {
            if found != expected {
                return Err(Error::Size {
                    what,
                    found: found.into(),
                    expected: expected.into(),
                });
            }
        }
        let (mut by_uncertainty, mut by_error) = ([Bin::default(); 256], [Bin::default(); 256]);
        Zip::from(probability)
            .and(uncertainty)
            .and(labels)
            .and(mask)
            .for_each(|&level, &uncertain, &ink, &papyrus| {
                if papyrus {
                    let apart = level.abs_diff(if ink { 255 } else { 0 });
                    let error = (f64::from(apart) / 255.0).powi(2);
                    by_uncertainty[usize::from(uncertain)].add(error);
                    by_error[usize::from(apart)].add(error);
                }
            });
        let all = by_error.iter().fold(Bin::default(), |sum, bin| Bin {
            pixels: sum.pixels + bin.pixels,
            error: sum.error + bin.error,
        });
        if all.error == 0.0 {
            return Ok(None);
        }
        let (curve, oracle) = (curve(&by_uncertainty, all), curve(&by_error, all));
        let mean = |curve: &[f64]| curve.iter().sum::<f64>() / curve.len() as f64;
        let (area, oracle_area) = (mean(&curve), mean(&oracle));
        Ok(Some(Self {
            curve,
            oracle,
            area,
            oracle_area,
            error_area: area - oracle_area,
        }))
    }
}

/// Pixels of one level, and their errors' sum.
#[derive(Clone, Copy, Default)]
struct Bin {
    pixels: f64,
    error: f64,
}

impl Bin {
    fn add(&mut self, error: f64) {
        self.pixels += 1.0;
        self.error += error;
    }
}

/// What is left after the highest levels are gone; pixels of one level go in no order.
fn curve(bins: &[Bin; 256], all: Bin) -> Vec<f64> {
    let mean = all.error / all.pixels;
    let left = |step: usize| {
        let mut out = all.pixels * step as f64 / STEPS as f64;
        let mut rest = all;
        for bin in bins.iter().rev() {
            let gone = out.min(bin.pixels);
            if gone <= 0.0 {
                continue;
            }
            rest.error -= bin.error * gone / bin.pixels;
            rest.pixels -= gone;
            out -= gone;
        }
        (rest.error / rest.pixels).max(0.0) / mean
    };
    (0..STEPS).map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> (Array2<u8>, Array2<bool>, Array2<bool>) {
        let probability = Array2::from_shape_fn((40, 50), |(y, x)| ((y * 37 + x * 11) % 256) as u8);
        let labels = Array2::from_shape_fn((40, 50), |(y, x)| (y / 7 + x / 9) % 2 == 0);
        let mask = Array2::from_shape_fn((40, 50), |(y, _)| y < 36);
        (probability, labels, mask)
    }

    #[test]
    fn errors_themselves_are_the_oracle_and_their_opposite_is_worse_than_chance() {
        let (probability, labels, mask) = sheet();
        let apart = Array2::from_shape_fn(probability.dim(), |at| {
            probability[at].abs_diff(if labels[at] { 255 } else { 0 })
        });
        let of = |uncertainty: &Array2<u8>| {
            Sparsification::of(&probability, uncertainty, &labels, &mask)
                .unwrap()
                .unwrap()
        };
        let best = of(&apart);
        assert_eq!(best.curve, best.oracle);
        assert!(best.error_area == 0.0 && best.area < 0.5);
        assert!(best.curve.windows(2).all(|pair| pair[1] <= pair[0]));
        let worst = of(&apart.mapv(|apart| 255 - apart));
        assert!(worst.area > 1.2 && worst.error_area > 0.5);
        // One level says nothing: chance at every share.
        let flat = of(&Array2::from_elem((40, 50), 9));
        assert!(flat.curve.iter().all(|left| (left - 1.0).abs() < 1e-9));
    }

    /// Against sorting all pixels, where no two are alike.
    #[test]
    fn shares_are_those_of_sorted_pixels() {
        let probability = Array2::from_shape_fn((1, 200), |(_, x)| (x * 53 % 256) as u8);
        let labels = Array2::from_elem((1, 200), false);
        let mask = Array2::from_elem((1, 200), true);
        let uncertainty = Array2::from_shape_fn((1, 200), |(_, x)| x as u8);
        let found = Sparsification::of(&probability, &uncertainty, &labels, &mask);
        let found = found.unwrap().unwrap();
        let error = |x: usize| (f64::from(probability[(0, x)]) / 255.0).powi(2);
        let mean = |count: usize| (0..count).map(error).sum::<f64>() / count as f64;
        for (step, left) in found.curve.iter().enumerate() {
            assert!((left - mean(200 - 10 * step) / mean(200)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_map_without_errors_has_none() {
        let (_, labels, mask) = sheet();
        let right = labels.mapv(|ink| if ink { 255 } else { 0 });
        let found = Sparsification::of(&right, &right, &labels, &mask).unwrap();
        assert_eq!(found, None);
    }
}
