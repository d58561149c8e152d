use ndarray::Array2;

/// From which probability on a pixel counts as ink: one of the 256 levels of an 8-bit probability
/// image, so that whoever counts pixels counts the same ones.
///
/// A level stands for the probabilities that are rounded to it. A threshold means the first level
/// that is not below it by more than an eighth of a level: a level's own probability, written with
/// three digits, comes back as that level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold {
    level: u8,
}

/// Three digits are off by at most 0.0005, which is this share of a level.
const ROUNDING: f64 = 0.0005 * 255.0 + 1e-6;

impl Threshold {
    /// The reference solution's and the competition's: 0.5, from level 128 on.
    pub const HALF: Self = Self { level: 128 };

    /// The threshold at a `probability` from 0 to 1; `None` for any other number.
    pub fn new(probability: f64) -> Option<Self> {
        let within = (0.0..=1.0).contains(&probability);
        let level = (probability * 255.0 - ROUNDING).ceil().max(0.0);
        within.then_some(Self { level: level as u8 })
    }

    /// The threshold at a level of an 8-bit image.
    pub fn at_level(level: u8) -> Self {
        Self { level }
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
        image.mapv(|level| self.holds(level))
    }

    /// Whether a pixel of this level is ink.
    pub fn holds(self, level: u8) -> bool {
        level >= self.level
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
    fn other_numbers_are_no_probabilities() {
        for wrong in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Threshold::new(wrong), None);
        }
    }
}
