use ndarray::Array2;
use serde::Serialize;

use crate::{AgreementCounts, BlockCounts, Error, Intervals, Labelled, Threshold};

/// Blocks are drawn from this seed, so that a comparison made again says the same.
const SEED: u64 = 0;

/// How two probability maps of one sheet agree with one another and, where labels are known, with them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Side of the blocks that the intervals were drawn by, in pixels.
    pub block: usize,
    /// Blocks that hold papyrus.
    pub blocks: usize,
    /// The maps' agreement, as [`AgreementCounts::named`] has it.
    pub agreement: Intervals,
    /// How they agree with labels.
    pub labels: Option<AgainstLabels>,
}

/// Two maps against the same labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgainstLabels {
    /// The first map's metrics, as [`Metrics`](crate::Metrics) has them.
    pub first: Intervals,
    /// The second map's.
    pub second: Intervals,
    /// The first's less the second's, over the same draws of blocks: an interval beyond 0 tells that one
    /// is better here.
    pub difference: Intervals,
}

impl Comparison {
    /// Of two maps, 8-bit probabilities (y, x), where `mask` is papyrus; pixels from `threshold` on are
    /// ink, and intervals are drawn by blocks of `block` px.
    ///
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub fn of(
        maps: [&Array2<u8>; 2],
        mask: &Array2<bool>,
        labels: Option<&Array2<bool>>,
        threshold: Threshold,
        block: usize,
    ) -> Result<Self, Error> {
        let counts = AgreementCounts::of_blocks(maps, mask, threshold, block)?;
        let agreement = Intervals::of(&counts, SEED, |drawn| {
            AgreementCounts::sum(drawn.iter().copied()).named().to_vec()
        });
        let against = |labels| AgainstLabels::of(maps, mask, labels, threshold, block);
        Ok(Self {
            block,
            blocks: counts.len(),
            agreement,
            labels: labels.map(against).transpose()?,
        })
    }
}

impl AgainstLabels {
    fn of(
        maps: [&Array2<u8>; 2],
        mask: &Array2<bool>,
        labels: &Array2<bool>,
        threshold: Threshold,
        block: usize,
    ) -> Result<Self, Error> {
        let counts = |image| {
            let sheet = Labelled {
                image,
                labels,
                mask,
            };
            BlockCounts::of_blocks(sheet, threshold, block)
        };
        let (first, second) = (counts(maps[0])?, counts(maps[1])?);
        let pairs: Vec<[&BlockCounts; 2]> =
            first.iter().zip(&second).map(|(a, b)| [a, b]).collect();
        let difference = Intervals::of(&pairs, SEED, |drawn| {
            let metrics = |map: usize| {
                let whole = BlockCounts::sum(drawn.iter().map(|pair| pair[map]));
                whole.metrics().named()
            };
            let both = metrics(0).into_iter().zip(metrics(1));
            both.map(|((name, a), (_, b))| (name, a.zip(b).map(|(a, b)| a - b)))
                .collect()
        });
        Ok(Self {
            first: Intervals::of_metrics(&first, SEED),
            second: Intervals::of_metrics(&second, SEED),
            difference,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(noise: usize) -> Array2<u8> {
        Array2::from_shape_fn((64, 64), |(y, x)| {
            let ink = (y / 9 + x / 7) % 2;
            (ink * 100 + (y * 7_919 + x * 104_729 + y * x * 31) % noise) as u8
        })
    }

    #[test]
    fn the_better_map_is_better_by_its_interval() {
        let labels = Array2::from_shape_fn((64, 64), |(y, x)| (y / 9 + x / 7) % 2 == 1);
        let mask = Array2::from_elem((64, 64), true);
        let maps = [map(90), map(150)];
        let maps = [&maps[0], &maps[1]];
        let found = Comparison::of(maps, &mask, Some(&labels), Threshold::HALF, 16).unwrap();
        let known = found.labels.unwrap();
        let of = |intervals: &Intervals, name: &str| *intervals.get(name).unwrap();
        let difference = of(&known.difference, "auc");
        let [first, second] =
            [&known.first, &known.second].map(|map| of(map, "auc").value.unwrap());
        assert_eq!(difference.value, Some(first - second));
        assert!(difference.interval.unwrap()[0] > 0.0, "{difference:?}");
        assert_eq!(found.blocks, 16);
        let agreement = of(&found.agreement, "correlation");
        assert!(agreement.value.unwrap() > 0.5, "{agreement:?}");
    }

    #[test]
    fn a_map_agrees_with_itself() {
        let (map, mask) = (map(90), Array2::from_elem((64, 64), true));
        let found = Comparison::of([&map, &map], &mask, None, Threshold::HALF, 16).unwrap();
        let correlation = found.agreement.get("correlation").unwrap();
        assert!((correlation.value.unwrap() - 1.0).abs() < 1e-12);
        assert!(found.labels.is_none());
    }
}
