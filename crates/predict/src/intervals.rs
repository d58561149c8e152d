use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{BlockCounts, Metrics, Threshold};

/// Fewest blocks that an interval can be drawn from.
const FEWEST_BLOCKS: usize = 8;
/// Times that as many blocks as there are are drawn.
const DRAWS: usize = 1_000;
/// Share of the draws below an interval, and above it.
const TAIL: f64 = 0.025;

/// A metric's value and its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The metric's name, as in [`Metrics`].
    pub name: &'static str,
    /// Its value over all blocks; none where it cannot be said.
    pub value: Option<f64>,
    /// Lowest and highest value; none with fewer than eight blocks or where a quarter of the draws has no
    /// value.
    pub interval: Option<[f64; 2]>,
}

/// Every metric over `blocks` with its interval: blocks are drawn with replacement, as many as there
/// are, since neighbouring pixels say the same and blocks hardly do. The same `seed` gives the same
/// intervals.
pub fn intervals(blocks: &[BlockCounts], threshold: Threshold, seed: u64) -> Vec<Interval> {
    let whole = BlockCounts::sum(blocks).metrics(threshold);
    let draws: Vec<Metrics> = match blocks.len() < FEWEST_BLOCKS {
        true => Vec::new(),
        false => draws(blocks, threshold, seed),
    };
    let interval = |(index, (name, value)): (usize, (&'static str, Option<f64>))| {
        let drawn = draws.iter().filter_map(|metrics| metrics.named()[index].1);
        Interval {
            name,
            value,
            interval: middle(drawn.collect()),
        }
    };
    whole
        .named()
        .into_iter()
        .enumerate()
        .map(interval)
        .collect()
}

fn draws(blocks: &[BlockCounts], threshold: Threshold, seed: u64) -> Vec<Metrics> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |_| {
        let chosen = (0..blocks.len()).map(|_| &blocks[random.random_range(0..blocks.len())]);
        BlockCounts::sum(chosen).metrics(threshold)
    };
    (0..DRAWS).map(&mut draw).collect()
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
    use crate::Labelled;

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
        let found = intervals(&blocks, Threshold::HALF, 3);
        assert_eq!(found, intervals(&blocks, Threshold::HALF, 3));
        assert_eq!(found.len(), 6);
        for metric in found {
            let (value, [low, high]) = (metric.value.unwrap(), metric.interval.unwrap());
            assert!(low < value && value < high, "{metric:?}");
        }
    }

    /// The standard error of a mean of equal blocks, from theory: the interval is 3.92 of them wide.
    #[test]
    fn an_interval_is_as_wide_as_its_standard_error_says() {
        let blocks = blocks(16);
        let each = |block: &BlockCounts| block.metrics(Threshold::HALF).balanced_accuracy.unwrap();
        let values: Vec<f64> = blocks.iter().map(each).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let expected = 3.92 * (variance / count).sqrt();
        let [low, high] = intervals(&blocks, Threshold::HALF, 1)[2].interval.unwrap();
        assert!(
            ((high - low) / expected - 1.0).abs() < 0.25,
            "{}",
            (high - low) / expected
        );
    }

    #[test]
    fn few_blocks_have_no_interval() {
        let found = intervals(&blocks(64), Threshold::HALF, 1);
        assert!(
            found
                .iter()
                .all(|metric| metric.interval.is_none() && metric.value.is_some())
        );
    }
}
