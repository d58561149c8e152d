//! How two maps of the same pixels agree.

use inkling_predict::{AgreementCounts, Threshold};
use serde::Serialize;

/// How two maps' grey levels agree, pixel by pixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MapAgreement {
    /// Pixels that were compared.
    pub pixels: usize,
    /// Pearson's correlation, −1 to 1; none where a map has one level only.
    pub correlation: Option<f64>,
    /// The largest difference of a pixel, in grey levels.
    pub largest_difference: u8,
    /// Pixels among the brightest 5 % of both maps, by those among the brightest 5 % of either, 0 to 1.
    /// Pixels as bright as the last of them count, so that no order of equals matters.
    pub overlap_of_brightest: f64,
}

/// The share of pixels that counts as brightest.
const BRIGHTEST: f64 = 0.05;

impl MapAgreement {
    /// Of two maps' levels, pixel by pixel.
    ///
    /// # Panics
    /// When the two differ in length.
    pub fn of(first: &[u8], second: &[u8]) -> Self {
        assert_eq!(first.len(), second.len(), "one sheet");
        let pairs = || first.iter().zip(second);
        let levels =
            AgreementCounts::of_levels(pairs().map(|(&a, &b)| [a, b]), Threshold::HALF.level());
        let (a, b) = (from_level(first), from_level(second));
        let counts = pairs().fold([0_usize; 2], |[both, either], (&x, &y)| {
            let (x, y) = (x >= a, y >= b);
            [both + usize::from(x && y), either + usize::from(x || y)]
        });
        Self {
            pixels: first.len(),
            correlation: levels.correlation(),
            largest_difference: pairs().map(|(x, y)| x.abs_diff(*y)).max().unwrap_or(0),
            overlap_of_brightest: match counts[1] {
                0 => 1.0,
                either => counts[0] as f64 / either as f64,
            },
        }
    }
}

/// The level of the last pixel that belongs to the brightest.
fn from_level(levels: &[u8]) -> u8 {
    let mut counts = [0_usize; 256];
    for &level in levels {
        counts[usize::from(level)] += 1;
    }
    let wanted = ((levels.len() as f64 * BRIGHTEST).ceil() as usize).max(1);
    let mut above = 0;
    for level in (0..=255_u8).rev() {
        above += counts[usize::from(level)];
        if above >= wanted {
            return level;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by numpy's corrcoef and percentile.
    #[test]
    fn figures_are_numpys() {
        let a: Vec<u8> = (0..200).map(|i| ((i * 53) % 256) as u8).collect();
        let b: Vec<u8> = a.iter().map(|&level| level / 2 + 60).collect();
        let found = MapAgreement::of(&a, &b);
        assert!((found.correlation.unwrap() - 0.999_977).abs() < 1e-5);
        assert_eq!((found.largest_difference, found.pixels), (67, 200));
        assert_eq!(found.overlap_of_brightest, 10.0 / 11.0);
        let same = MapAgreement::of(&a, &a);
        assert_eq!(
            (same.largest_difference, same.overlap_of_brightest),
            (0, 1.0)
        );
        let mut moved = a.clone();
        moved.rotate_left(7);
        assert!(MapAgreement::of(&a, &moved).overlap_of_brightest < 0.5);
    }

    #[test]
    fn maps_of_one_level_have_no_correlation() {
        let found = MapAgreement::of(&[7; 50], &[7; 50]);
        assert_eq!((found.correlation, found.largest_difference), (None, 0));
        assert_eq!(found.overlap_of_brightest, 1.0);
        assert_eq!(MapAgreement::of(&[], &[]).pixels, 0);
    }
}
