use ndarray::{Array2, s};

use crate::blocks::blocks;
use crate::{Error, Threshold};

/// What the agreement of two probability maps on a part of a sheet is made of; the counts of several
/// parts add up to those of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgreementCounts {
    /// Pixels that are ink in neither, in the second only, in the first only, in both.
    called: [u64; 4],
    /// Sums of the first map's levels, the second's, their squares, products and absolute differences.
    sums: [u64; 6],
}

impl AgreementCounts {
    /// The counts of every block of `side` px that holds papyrus, row by row; pixels from `threshold` on
    /// are ink.
    ///
    /// # Errors
    /// [`Error::Size`] for images of different sizes.
    pub fn of_blocks(
        maps: [&Array2<u8>; 2],
        mask: &Array2<bool>,
        threshold: Threshold,
        side: usize,
    ) -> Result<Vec<Self>, Error> {
        let [first, second] = maps;
        Error::check_sizes(first, &[("second map", second.dim()), ("mask", mask.dim())])?;
        let ink = maps.map(|map| threshold.ink(map));
        let blocks = blocks(first.dim(), side).map(|[rows, columns]| {
            let place = s![rows, columns];
            let mut counts = Self::default();
            ndarray::Zip::from(first.slice(place))
                .and(second.slice(place))
                .and(ink[0].slice(place))
                .and(ink[1].slice(place))
                .and(mask.slice(place))
                .for_each(|&a, &b, &ink_a, &ink_b, &papyrus| {
                    if papyrus {
                        counts.count([a, b], [ink_a, ink_b]);
                    }
                });
            counts
        });
        Ok(blocks.filter(|block| block.pixels() > 0).collect())
    }

    /// The counts of pairs of levels, those from `level` on being ink.
    pub fn of_levels(pairs: impl IntoIterator<Item = [u8; 2]>, level: u8) -> Self {
        let mut counts = Self::default();
        pairs
            .into_iter()
            .for_each(|pair| counts.count(pair, pair.map(|own| own >= level)));
        counts
    }

    fn count(&mut self, [a, b]: [u8; 2], ink: [bool; 2]) {
        let [first, second] = ink.map(usize::from);
        self.called[2 * first + second] += 1;
        let (a, b) = (u64::from(a), u64::from(b));
        let terms = [a, b, a * a, b * b, a * b, a.abs_diff(b)];
        for (sum, term) in self.sums.iter_mut().zip(terms) {
            *sum += term;
        }
    }

    /// The counts of all parts together.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for part in parts {
            let own = sum.called.iter_mut().chain(&mut sum.sums);
            own.zip(part.called.iter().chain(&part.sums))
                .for_each(|(own, count)| *own += count);
        }
        sum
    }

    /// Pixels of papyrus.
    pub fn pixels(&self) -> u64 {
        self.called.iter().sum()
    }

    /// How the maps agree, by name; none of what cannot be said, as the correlation with a map of one
    /// level.
    ///
    /// - `correlation`: Pearson's, of the probabilities, −1 to 1;
    /// - `mean_absolute_difference`: of the probabilities, 0 to 1;
    /// - `dice`: twice the pixels that are ink in both, by those in either map, 0 to 1;
    /// - `kappa`: Cohen's, of ink and no ink: 1 is agreement, 0 what chance gives to maps of these shares;
    /// - `ink_share_first`, `ink_share_second`: shares of the papyrus that are ink.
    pub fn named(&self) -> [(&'static str, Option<f64>); 6] {
        let pixels = self.pixels() as f64;
        let [neither, second, first, both] = self.called.map(|count| count as f64);
        let share = |count: f64| (pixels > 0.0).then(|| count / pixels);
        let either = 2.0 * both + first + second;
        [
            ("correlation", self.correlation()),
            (
                "mean_absolute_difference",
                share(self.sums[5] as f64 / 255.0),
            ),
            ("dice", (either > 0.0).then(|| 2.0 * both / either)),
            ("kappa", kappa([neither, second, first, both])),
            ("ink_share_first", share(first + both)),
            ("ink_share_second", share(second + both)),
        ]
    }

    /// Pearson's correlation of the probabilities, −1 to 1; none where a map has one level only.
    pub fn correlation(&self) -> Option<f64> {
        let count = self.pixels() as f64;
        let [a, b, aa, bb, ab, _] = self.sums.map(|sum| sum as f64);
        let variances = (count * aa - a * a) * (count * bb - b * b);
        (variances > 0.0).then(|| (count * ab - a * b) / variances.sqrt())
    }
}

fn kappa([neither, second, first, both]: [f64; 4]) -> Option<f64> {
    let pixels = neither + second + first + both;
    let (a, b) = (first + both, second + both);
    let by_chance = a * b + (pixels - a) * (pixels - b);
    let expected = by_chance / (pixels * pixels);
    let observed = (neither + both) / pixels;
    (pixels > 0.0 && expected < 1.0).then(|| (observed - expected) / (1.0 - expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(a: &Array2<u8>, b: &Array2<u8>) -> Vec<Option<f64>> {
        let mask = Array2::from_shape_fn(a.dim(), |(y, _)| y < 5);
        let counts = AgreementCounts::of_blocks([a, b], &mask, Threshold::HALF, 4).unwrap();
        let whole = AgreementCounts::sum(&counts);
        assert_eq!((counts.len(), whole.pixels()), (4, 40));
        whole.named().map(|(_, value)| value).to_vec()
    }

    /// Values by numpy's corrcoef and scikit-learn's f1_score and cohen_kappa_score of the first five
    /// rows.
    #[test]
    fn figures_are_the_fields_own() {
        let a = Array2::from_shape_fn((6, 8), |(y, x)| ((y * 53 + x * 29) % 256) as u8);
        let b = Array2::from_shape_fn((6, 8), |(y, x)| ((y * 47 + x * 31 + 10) % 256) as u8);
        let expected = [
            0.849_010_755_597_126_6,
            0.058_431_372_549_019_61,
            0.95,
            0.9,
            0.5,
            0.5,
        ];
        for (found, expected) in named(&a, &b).into_iter().zip(expected) {
            assert!(
                (found.unwrap() - expected).abs() < 1e-12,
                "{found:?} for {expected}"
            );
        }
        assert_eq!(named(&a, &a)[..4], [1.0, 0.0, 1.0, 1.0].map(Some));
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let nothing = Array2::zeros((6, 8));
        let found = named(&nothing, &nothing);
        assert_eq!(found[..4], [None, Some(0.0), None, None]);
        let mask = Array2::from_elem((6, 8), true);
        let small = Array2::zeros((2, 2));
        let wrong = AgreementCounts::of_blocks([&nothing, &small], &mask, Threshold::HALF, 4);
        assert!(matches!(
            wrong,
            Err(Error::Size {
                what: "second map",
                ..
            })
        ));
    }
}
