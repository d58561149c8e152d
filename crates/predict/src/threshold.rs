use ndarray::{Array2, s};

use crate::connected_regions::ConnectedRegions;

/// From which probability on a pixel counts as ink: one of the 256 levels of an 8-bit probability
/// image, so that whoever counts pixels counts the same ones.
///
/// A level stands for the probabilities that are rounded to it. A threshold means the first level
/// that is not below it by more than an eighth of a level: a level's own probability, written with
/// three digits, comes back as that level.
///
/// With a second, higher level it is a hysteresis threshold (Canny 1986; scikit-image's
/// `apply_hysteresis_threshold`): a region of pixels from the first level on, connected by edges, is ink
/// where any of its pixels reaches the second. Specks that hardly rise above the first level are then none,
/// while strokes keep their faint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    level: u8,
    /// What a region's highest pixel must reach; `level` where there is no second level.
    high: u8,
}

/// Three digits are off by at most 0.0005, which is this share of a level.
const ROUNDING: f64 = 0.0005 * 255.0 + 1e-6;

impl Threshold {
    /// The reference solution's and the competition's: 0.5, from level 128 on.
    pub const HALF: Self = Self::at_level(128);

    /// The threshold at a `probability` from 0 to 1; `None` for any other number.
    pub fn new(probability: f64) -> Option<Self> {
        let within = (0.0..=1.0).contains(&probability);
        let level = (probability * 255.0 - ROUNDING).ceil().max(0.0);
        within.then_some(Self::at_level(level as u8))
    }

    /// The threshold at a level of an 8-bit image.
    pub const fn at_level(level: u8) -> Self {
        Self { level, high: level }
    }

    /// The hysteresis threshold of this level and that of `high`; `None` where that is lower.
    pub fn with_high(self, high: Self) -> Option<Self> {
        (high.level >= self.level).then_some(Self {
            level: self.level,
            high: high.level,
        })
    }

    /// The second threshold of a hysteresis threshold.
    pub fn high(self) -> Option<Self> {
        (self.high > self.level).then_some(Self::at_level(self.high))
    }

    /// The lowest level that is ink.
    pub fn level(self) -> u8 {
        self.level
    }

    /// The level's own probability.
    pub fn probability(self) -> f64 {
        f64::from(self.level) / 255.0
    }

    /// Where `image`, 8-bit probabilities (y, x), is ink.
    pub fn ink(self, image: &Array2<u8>) -> Array2<bool> {
        if self.high().is_none() {
            return image.mapv(|level| level >= self.level);
        }
        let mut ink = Array2::from_elem(image.dim(), false);
        ConnectedRegions::of(image, self.level).for_each(|row, [first, end], highest| {
            if highest >= self.high {
                ink.slice_mut(s![row, first..end]).fill(true);
            }
        });
        ink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_comes_back_however_it_is_written() {
        for level in 0..=255 {
            let threshold = Threshold::at_level(level);
            let probability = threshold.probability();
            let written = format!("{probability:.3}").parse::<f64>().unwrap();
            let long = format!("{probability}").parse::<f64>().unwrap();
            let single = f64::from(probability as f32);
            for probability in [probability, written, long, single] {
                assert_eq!(
                    Threshold::new(probability),
                    Some(threshold),
                    "{probability}"
                );
            }
        }
        assert_eq!(Threshold::new(0.5), Some(Threshold::HALF));
    }

    #[test]
    fn specks_below_the_second_level_are_no_ink() {
        let image = ndarray::array![[130, 200, 129, 0, 140], [0, 0, 0, 150, 0]];
        let threshold = Threshold::HALF.with_high(Threshold::at_level(200)).unwrap();
        let stroke = ndarray::array![[true, true, true, false, false], [false; 5]];
        assert_eq!(threshold.ink(&image), stroke);
        assert_eq!(threshold.high(), Some(Threshold::at_level(200)));
        assert_eq!(
            Threshold::HALF.with_high(Threshold::HALF),
            Some(Threshold::HALF)
        );
        assert_eq!(Threshold::HALF.with_high(Threshold::at_level(9)), None);
    }

    #[test]
    fn other_numbers_are_no_probabilities() {
        for wrong in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Threshold::new(wrong), None);
        }
    }
}
