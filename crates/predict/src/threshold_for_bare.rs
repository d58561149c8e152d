use std::cmp::Reverse;

use ndarray::Array2;
use rayon::prelude::*;

use crate::connected_regions::{ConnectedRegions, RegionSize};
use crate::score::{f_beta, rates};
use crate::{Error, Labelled, Threshold};

/// Levels between the first thresholds that are tried.
const STEP: usize = 4;

/// Regions whose size counts at least: one alone says little of how large the next will be.
const FEWEST_REGIONS: usize = 10;

/// A hysteresis threshold under which papyrus without ink shows hardly any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BareThreshold {
    /// The threshold.
    pub threshold: Threshold,
    /// F0.5 of the labelled sheets there, as one sheet.
    pub f05: f64,
    /// Their precision.
    pub precision: f64,
    /// Their recall.
    pub recall: f64,
    /// Share of the bare papyrus that is still called ink.
    pub bare_share: f64,
    /// What that share is below on other bare papyrus of the kind, with a confidence of 95 %.
    pub bare_limit: f64,
}

/// A prediction of papyrus that is known to have no ink, (y, x).
#[derive(Clone, Copy, Debug)]
pub struct Bare<'a> {
    /// 8-bit probabilities.
    pub image: &'a Array2<u8>,
    /// Where there is papyrus.
    pub mask: &'a Array2<bool>,
}

/// The hysteresis threshold with the best F0.5 on labelled sheets among those that call at most `share` of
/// bare papyrus like that of the `bare` sheets ink, with a confidence of 95 %.
///
/// Regions are taken to come by chance, independently of each other: of `k` that are left on the known
/// papyrus the upper limit of a Poisson distribution's mean is taken (three for none), times the regions' mean
/// size. So the less bare papyrus is known, the higher the thresholds.
///
/// # Errors
/// [`Error::Size`] for images of different sizes; [`Error::NoInk`] for labels without ink;
/// [`Error::NoPapyrus`] for bare sheets whose masks are empty; [`Error::NotBare`] where no threshold keeps to
/// the share.
pub fn threshold_for_bare(
    labelled: &[Labelled],
    bare: &[Bare],
    share: f64,
) -> Result<BareThreshold, Error> {
    labelled.iter().try_for_each(Labelled::check)?;
    let on_image = |sheet: &Bare| Error::check_sizes(sheet.image, &[("mask", sheet.mask.dim())]);
    bare.iter().try_for_each(on_image)?;
    let papyrus: usize = bare.iter().map(|sheet| count(sheet.mask)).sum();
    if papyrus == 0 {
        return Err(Error::NoPapyrus);
    }
    let positives: usize = labelled
        .iter()
        .map(|sheet| count(&(sheet.labels & sheet.mask)))
        .sum();
    if positives == 0 {
        return Err(Error::NoInk);
    }
    let trial = Trial {
        labelled,
        bare,
        papyrus: papyrus as f64,
        positives: positives as f64,
        share,
    };
    let levels: Vec<u8> = (1..=255).step_by(STEP).collect();
    let found: Vec<Option<BareThreshold>> =
        levels.into_par_iter().map(|low| trial.at(low)).collect();
    let found = found.into_iter().flatten();
    let best = found.reduce(|a, b| if b.f05 > a.f05 { b } else { a });
    best.ok_or_else(|| Error::NotBare {
        found: trial.least_limit(),
        expected: share,
    })
}

fn count(mask: &Array2<bool>) -> usize {
    mask.iter().filter(|&&set| set).count()
}

/// What thresholds are tried on.
struct Trial<'a> {
    labelled: &'a [Labelled<'a>],
    bare: &'a [Bare<'a>],
    papyrus: f64,
    positives: f64,
    share: f64,
}

impl Trial<'_> {
    /// With this first level, the lowest second one that keeps to the share; none where not even 255 does.
    fn at(&self, low: u8) -> Option<BareThreshold> {
        let sheets = self.bare.iter();
        let regions =
            sheets.flat_map(|bare| ConnectedRegions::of(bare.image, low).sizes(bare.mask));
        let mut regions: Vec<RegionSize> = regions.collect();
        regions.sort_by_key(|region| Reverse(region.highest));
        let (high, [bare_share, bare_limit]) = self.lowest_high(low, &regions)?;
        let mut called = [0_u64; 2];
        for sheet in self.labelled {
            let regions = ConnectedRegions::of(sheet.image, low);
            regions.for_each(|row, [first, end], highest| {
                for at in (first..end).map(|column| (row, column)) {
                    let counts = sheet.mask[at] && highest >= high;
                    called[usize::from(sheet.labels[at])] += u64::from(counts);
                }
            });
        }
        let [wrong, right] = called;
        let (precision, recall) = rates((right, wrong + right), self.positives);
        Some(BareThreshold {
            threshold: Threshold::at_level(low).with_high(Threshold::at_level(high))?,
            f05: f_beta(precision, recall),
            precision,
            recall,
            bare_share,
            bare_limit,
        })
    }

    /// The share that is left at most with a first level of 255, which no threshold is above.
    fn least_limit(&self) -> f64 {
        let all = Self {
            share: f64::INFINITY,
            ..*self
        };
        let found = all.at(u8::MAX);
        found.map_or(1.0, |found| found.bare_limit.min(1.0))
    }

    /// The level, and the share that it leaves: found, and at most with the confidence.
    fn lowest_high(&self, low: u8, regions: &[RegionSize]) -> Option<(u8, [f64; 2])> {
        let pixels = |count: usize| {
            let regions = &regions[..count.min(regions.len())];
            regions.iter().map(|region| region.pixels).sum::<u64>() as f64
        };
        let mut lowest = None;
        for high in (low..=255).rev() {
            let left = regions.partition_point(|region| region.highest >= high);
            let counted = left.max(FEWEST_REGIONS).min(regions.len()).max(1);
            // Where no region is known, the next has a pixel at least.
            let size = (pixels(counted) / counted as f64).max(1.0);
            let limit = poisson_limit(left) * size / self.papyrus;
            if limit > self.share {
                break;
            }
            lowest = Some((high, [pixels(left) / self.papyrus, limit]));
        }
        lowest
    }
}

/// The upper limit, with a confidence of 95 %, of the mean of a Poisson distribution that gave `count`: half a
/// quantile of the chi-squared distribution, by Wilson and Hilferty's approximation.
fn poisson_limit(count: usize) -> f64 {
    const QUANTILE: f64 = 1.644_853_6;
    let next = count as f64 + 1.0;
    next * (1.0 - 1.0 / (9.0 * next) + QUANTILE / (3.0 * next.sqrt())).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strokes of 200 with ends of 140, between specks of 160 that bare papyrus has, too.
    fn map(is_inked: bool) -> (Array2<u8>, Array2<bool>) {
        let stroke = |y: usize, x: usize| is_inked && y % 8 == 3 && (4..28).contains(&x);
        let image = Array2::from_shape_fn((64, 32), |(y, x)| match (stroke(y, x), y % 8 == 6) {
            (true, _) if (8..24).contains(&x) => 200,
            (true, _) => 140,
            (false, true) if x % 5 == 0 => 160,
            _ => 20,
        });
        let ink = Array2::from_shape_fn((64, 32), |(y, x)| stroke(y, x));
        (image, ink)
    }

    #[test]
    fn strokes_are_told_from_specks_that_no_single_level_parts() {
        let ((inked, labels), (bare, _)) = (map(true), map(false));
        let mask = Array2::from_elem((64, 32), true);
        let sheet = Labelled {
            image: &inked,
            labels: &labels,
            mask: &mask,
        };
        let bare = Bare {
            image: &bare,
            mask: &mask,
        };
        // Specks of one pixel: three more of them, with the confidence.
        let found = threshold_for_bare(&[sheet], &[bare], 0.002).unwrap();
        assert_eq!((found.f05, found.bare_share), (1.0, 0.0));
        assert!((found.bare_limit - 2.97 / 2048.0).abs() < 1e-5);
        assert!(matches!(
            threshold_for_bare(&[sheet], &[bare], 0.0),
            Err(Error::NotBare { .. })
        ));
        assert!(found.threshold.high().is_some());
        assert_eq!(found.threshold.ink(&inked), labels);
        // A share that specks keep to allows them.
        let lax = threshold_for_bare(&[sheet], &[bare], 0.1).unwrap();
        assert!(lax.f05 <= found.f05);
    }

    /// Halves of scipy's `chi2.ppf(0.95, 2 * (count + 1))`.
    #[test]
    fn limits_are_those_of_poisson() {
        for (count, limit) in [(0, 2.9957), (1, 4.7439), (4, 9.1535), (50, 63.287)] {
            assert!((poisson_limit(count) / limit - 1.0).abs() < 0.01, "{count}");
        }
    }

    #[test]
    fn sheets_that_do_not_serve_are_refused() {
        let (image, labels) = map(true);
        let mask = Array2::from_elem((64, 32), true);
        let sheet = Labelled {
            image: &image,
            labels: &labels,
            mask: &mask,
        };
        let sure = Array2::from_elem((64, 32), 255);
        let given = |image, mask| threshold_for_bare(&[sheet], &[Bare { image, mask }], 0.01);
        assert!(matches!(given(&sure, &mask), Err(Error::NotBare { found, .. }) if found == 1.0));
        let empty = Array2::from_elem((64, 32), false);
        assert!(matches!(given(&image, &empty), Err(Error::NoPapyrus)));
        let small = Array2::from_elem((2, 2), true);
        assert!(matches!(given(&image, &small), Err(Error::Size { .. })));
    }
}
