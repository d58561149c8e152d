use std::fmt;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::BlockCounts;

/// Fewest blocks that an interval can be drawn from.
pub const FEWEST_BLOCKS: usize = 8;
/// Times that as many blocks as there are are drawn.
const DRAWS: usize = 1_000;
/// Share of the draws below an interval, and above it.
const TAIL: f64 = 0.025;

/// A figure's name and value; none where it cannot be said.
pub type NamedFigure = (&'static str, Option<f64>);

/// A figure's value and its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The figure's name.
    #[serde(skip)]
    pub name: &'static str,
    /// Its value over all blocks; none where it cannot be said.
    pub value: Option<f64>,
    /// Lowest and highest value; none with fewer than [`FEWEST_BLOCKS`] or where a quarter of the draws
    /// has no value.
    pub interval: Option<[f64; 2]>,
}

impl Interval {
    /// Its name for people.
    pub fn title(&self) -> &'static str {
        match self.name {
            "f05" => "F0.5",
            "auc" => "AUC",
            "average_precision" => "average precision",
            "balanced_accuracy" => "balanced accuracy",
            "dice" => "Dice",
            "pseudo_f_measure" => "pseudo F-measure",
            "drd" => "DRD",
            "ink_share" => "share of ink",
            "ink_share_first" => "share of ink, first map",
            "ink_share_second" => "share of ink, second map",
            "mean_absolute_difference" => "mean absolute difference",
            "kappa" => "Cohen's kappa",
            name => name,
        }
    }
}

impl fmt::Display for Interval {
    /// As `0.812 (0.744 to 0.871)`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.value, self.interval) {
            (Some(value), Some([low, high])) => write!(f, "{value:.3} ({low:.3} to {high:.3})"),
            (Some(value), None) => write!(f, "{value:.3}"),
            (None, _) => f.write_str("undefined"),
        }
    }
}

/// Figures of a sheet with their intervals, in a fixed order. As JSON, an object with an entry `value`,
/// `interval` per name.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// The `figures` of `blocks` with their intervals: blocks are drawn with replacement, as many as there
    /// are, since neighbouring pixels say the same and blocks hardly do. The same `seed` draws the same
    /// blocks, whatever the figures. `figures` gives the same names for all blocks and for some.
    pub fn of<B>(blocks: &[B], seed: u64, figures: impl Fn(&[&B]) -> Vec<NamedFigure>) -> Self {
        let whole = figures(&blocks.iter().collect::<Vec<_>>());
        let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); whole.len()];
        if blocks.len() >= FEWEST_BLOCKS {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..DRAWS {
                let any = (0..blocks.len()).map(|_| &blocks[random.random_range(0..blocks.len())]);
                let found = figures(&any.collect::<Vec<_>>());
                for (values, (_, value)) in drawn.iter_mut().zip(found) {
                    values.extend(value);
                }
            }
        }
        let interval = |((name, value), drawn)| Interval {
            name,
            value,
            interval: middle(drawn),
        };
        Self(whole.into_iter().zip(drawn).map(interval).collect())
    }

    /// The metrics of a map against labels, at the threshold that `blocks` were counted at.
    pub fn of_metrics(blocks: &[BlockCounts], seed: u64) -> Self {
        Self::of(blocks, seed, |drawn| {
            let whole = BlockCounts::sum(drawn.iter().copied());
            whole.metrics().named().to_vec()
        })
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<&Interval> {
        self.iter().find(|interval| interval.name == name)
    }

    /// All figures, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Interval> {
        self.0.iter()
    }
}

impl FromIterator<Interval> for Intervals {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        Self(intervals.into_iter().collect())
    }
}

impl Serialize for Intervals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for interval in &self.0 {
            map.serialize_entry(interval.name, interval)?;
        }
        map.end()
    }
}

/// From the quantile of one tail to that of the other.
fn middle(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    (values.len() >= DRAWS * 3 / 4).then(|| [at(TAIL), at(1.0 - TAIL)])
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{Labelled, Threshold};

    fn blocks(side: usize) -> Vec<BlockCounts> {
        let labels = Array2::from_shape_fn((128, 128), |(y, x)| (y / 5 + x / 7) % 3 == 0);
        let image = Array2::from_shape_fn((128, 128), |(y, x)| {
            let noise = (y * 7_919 + x * 104_729 + y * x * 31) % 160;
            (noise + 90 * usize::from(labels[(y, x)])) as u8
        });
        let mask = Array2::from_elem((128, 128), true);
        let sheet = Labelled {
            image: &image,
            labels: &labels,
            mask: &mask,
        };
        BlockCounts::of_blocks(sheet, Threshold::HALF, side).unwrap()
    }

    #[test]
    fn intervals_hold_their_values_and_follow_from_the_seed() {
        let blocks = blocks(16);
        let found = Intervals::of_metrics(&blocks, 3);
        assert_eq!(found, Intervals::of_metrics(&blocks, 3));
        assert_eq!(found.iter().len(), 8);
        for metric in found.iter() {
            let (value, [low, high]) = (metric.value.unwrap(), metric.interval.unwrap());
            assert!(low < value && value < high, "{metric:?}");
        }
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(
            json["auc"]["value"].as_f64(),
            found.get("auc").unwrap().value
        );
    }

    /// The standard error of a mean of equal blocks, from theory: the interval is 3.92 of them wide.
    #[test]
    fn an_interval_is_as_wide_as_its_standard_error_says() {
        let blocks = blocks(16);
        let each = |block: &BlockCounts| block.metrics().balanced_accuracy.unwrap();
        let values: Vec<f64> = blocks.iter().map(each).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let expected = 3.92 * (variance / count).sqrt();
        let found = Intervals::of_metrics(&blocks, 1);
        let [low, high] = found.get("balanced_accuracy").unwrap().interval.unwrap();
        assert!(
            ((high - low) / expected - 1.0).abs() < 0.25,
            "{}",
            (high - low) / expected
        );
    }

    #[test]
    fn few_blocks_have_no_interval() {
        let found = Intervals::of_metrics(&blocks(64), 1);
        let mut metrics = found.iter();
        assert!(metrics.all(|metric| metric.interval.is_none() && metric.value.is_some()));
    }

    #[test]
    fn figures_are_printed_with_what_is_known() {
        let interval = |value, interval| Interval {
            name: "auc",
            value,
            interval,
        };
        let some = interval(Some(0.81249), Some([0.7, 0.9]));
        assert_eq!(some.to_string(), "0.812 (0.700 to 0.900)");
        assert_eq!(interval(Some(0.5), None).to_string(), "0.500");
        assert_eq!(interval(None, None).to_string(), "undefined");
    }
}
