use ndarray::Array2;
use rayon::prelude::*;

use crate::cells::Cells;
use crate::initial_guesses::initial_guesses;
use crate::misfit::Misfit;
use crate::parabola::{lowest, vertex};
use crate::patches::{Depths, MARGIN, Patch, Patches};
use crate::shifts::Search;
use crate::{AlignSettings, Curve};

/// How far a patch may lie from the whole sheet's depth, in layers of the target.
const REACH: f64 = 15.0;
/// How far it may move once it lies nearly right.
const SECOND_REACH: f64 = 3.0;
/// Patches that the first search for the scale looks at; more make it no surer.
const MOST_LOOKED_AT: usize = 192;
/// Rounds of shifts and scale on one size of patches, at most.
const MOST_ROUNDS: usize = 8;
/// A change of scale below which no further round is made.
const SETTLED: f64 = 0.0005;

/// Fits a sheet's depth to a target: one scale for the sheet, one shift per patch.
///
/// Differences of depth within a patch blurs its curve, and a blurred curve looks thinner than it is. So the
/// sheet is measured again along the depths found so far, first by large patches, which cannot be
/// mistaken for another layer, then by small ones, until the scale settles.
pub(crate) struct Fit<'a> {
    pub cells: &'a Cells,
    pub target: &'a Curve,
    pub settings: &'a AlignSettings,
    /// Half the side of the smallest patches, in cells.
    pub half: usize,
    misfit: Misfit,
}

impl<'a> Fit<'a> {
    pub fn new(
        cells: &'a Cells,
        target: &'a Curve,
        settings: &'a AlignSettings,
        half: usize,
    ) -> Self {
        Self {
            cells,
            target,
            settings,
            half,
            misfit: Misfit::new(target, settings.layers),
        }
    }

    /// The depth of every cell, and the smallest patches measured along it; `None` when the
    /// sheet's curve lies nowhere on the target's.
    pub fn solve(&self) -> Option<(Depths, Patches)> {
        let mut depths = self.whole_sheet()?;
        for (half, reach) in [(2 * self.half, REACH), (self.half, SECOND_REACH)] {
            self.settle(&mut depths, half, reach);
        }
        let patches = self.patches(self.half, &depths);
        Some((depths, patches))
    }

    /// The lowest misfit of the whole sheet's curve anywhere on the target, 0 to 2: as it is, and
    /// with its layers in reverse order.
    pub fn best_of_whole(&self) -> [f64; 2] {
        let upright = self.shown_curve();
        let reversed = Curve::new(upright.values().iter().rev().copied().collect());
        [upright, reversed].map(|curve| {
            let starts = initial_guesses(&self.misfit, &curve, self.settings);
            starts.first().map_or(2.0, |start| start.misfit)
        })
    }

    /// A start: the sheet's curve is blurred by its own differences of depth and fits in several places; that
    /// one is taken where its patches fit best.
    fn whole_sheet(&self) -> Option<Depths> {
        let starts = initial_guesses(&self.misfit, &self.shown_curve(), self.settings);
        let tried = starts.into_par_iter().map(|start| {
            let mut depths = Depths {
                scale: start.scale,
                shift: Array2::from_elem(self.cells.grid(), start.shift as f32),
            };
            let cost = self.first_scale(&mut depths);
            (cost, depths)
        });
        let tried: Vec<(f64, Depths)> = tried.collect();
        let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, depths)| depths)
    }

    /// The scale whose patches fit best, each at its own best shift; gives their mean misfit.
    fn first_scale(&self, depths: &mut Depths) -> f64 {
        let mut cost = f64::INFINITY;
        let search = self.search(REACH);
        for spread in [0.15, 0.04] {
            let layers = self.target.len();
            let patches =
                Patches::sample(self.cells, 2 * self.half, depths, layers, MOST_LOOKED_AT);
            let factor;
            (factor, cost) = best_factor(&patches, &search, spread);
            depths.scale_about(self.misfit.middle(), factor);
        }
        cost
    }

    /// Rounds of shifts, then scale, on patches of 2 × `half` cells, until the scale settles.
    fn settle(&self, depths: &mut Depths, half: usize, reach: f64) {
        let mut reach = reach;
        for _ in 0..MOST_ROUNDS {
            let patches = self.patches(half, depths);
            let shifts = self.search(reach).shifts(&patches, 1.0);
            let lattice = patches.lattice(&shifts);
            let (rows, columns) = self.cells.grid();
            let [ys, xs] = [rows, columns].map(|count| self.cells.centres(count));
            depths.shift += &lattice.at(&ys, &xs);
            // Fibres bend single patches' curves at random; in the sheet's mean they cancel.
            let factor = self.sheet_factor(&mean_curve(&self.patches(half, depths)));
            depths.scale_about(self.misfit.middle(), factor);
            if (factor - 1.0).abs() < SETTLED {
                break;
            }
            reach = reach.min(SECOND_REACH);
        }
    }

    /// By which factor the scale of a nearly laid sheet with this mean curve is off.
    fn sheet_factor(&self, curve: &Curve) -> f64 {
        const STEPS: i64 = 30;
        const RANGE: f64 = 0.1;
        let misfit = |factor: f64| {
            let shifts = (-20..=20).map(|i| f64::from(i) * 0.05);
            let around = self.misfit.middle() * (1.0 - factor);
            shifts
                .map(|shift| self.of_laid(curve, factor, around + shift))
                .fold(f64::INFINITY, f64::min)
        };
        let at = |i: i64| 1.0 + RANGE * i as f64 / STEPS as f64;
        let misfits: Vec<f64> = (-STEPS..=STEPS)
            .into_par_iter()
            .map(|i| misfit(at(i)))
            .collect();
        let best = lowest(&misfits).unwrap_or(STEPS as usize);
        at(best as i64 - STEPS) + RANGE / STEPS as f64 * vertex(&misfits, best)
    }

    /// The misfit of a curve on the target's layers from −[`MARGIN`] on.
    fn of_laid(&self, curve: &Curve, scale: f64, shift: f64) -> f64 {
        self.misfit.of(curve, scale, shift - MARGIN as f64 * scale)
    }

    fn patches(&self, half: usize, depths: &Depths) -> Patches {
        Patches::new(self.cells, half, depths, self.target.len())
    }

    fn search(&self, reach: f64) -> Search<'_> {
        Search {
            misfit: &self.misfit,
            reach,
            smoothness: self.settings.smoothness,
        }
    }

    /// The whole sheet's curve, NaN where the scan is blank.
    fn shown_curve(&self) -> Curve {
        let [first, last] = self.cells.shown;
        let values = self.cells.whole.values().iter().enumerate();
        let values = values.map(|(z, &value)| match (first..=last).contains(&z) {
            true => value,
            false => f64::NAN,
        });
        Curve::new(values.collect())
    }
}

impl Depths {
    /// Scales the sheet about the target's layer `middle`.
    fn scale_about(&mut self, middle: f64, factor: f64) {
        let kept = (middle * (1.0 - factor)) as f32;
        self.shift
            .mapv_inplace(|shift| shift * factor as f32 + kept);
        self.scale *= factor;
    }
}

/// The factor of the scale, within `spread` of 1, at which the patches fit best, each at its own
/// shift, and their mean misfit there.
fn best_factor(patches: &[Patch], search: &Search<'_>, spread: f64) -> (f64, f64) {
    const TRIES: i64 = 12;
    let weight: f64 = patches.iter().map(|patch| patch.weight).sum();
    let at = |i: i64| 1.0 + spread * i as f64 / TRIES as f64;
    let totals: Vec<f64> = (-TRIES..=TRIES)
        .into_par_iter()
        .map(|i| {
            let cost = |patch: &Patch| patch.weight * search.best(patch, at(i));
            patches.iter().map(cost).sum::<f64>() / weight
        })
        .collect();
    match lowest(&totals) {
        Some(best) => {
            let step = spread / TRIES as f64;
            let factor = at(best as i64 - TRIES) + step * vertex(&totals, best);
            (factor, totals[best])
        }
        None => (1.0, f64::INFINITY),
    }
}

/// The mean of the patches' curves by their papyrus; NaN where none was measured.
pub(crate) fn mean_curve(patches: &Patches) -> Curve {
    let length = patches.list.first().map_or(0, |patch| patch.curve.len());
    let mean = |u: usize| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for patch in patches.used() {
            let value = patch.curve.values()[u];
            if value.is_finite() {
                sum += patch.weight * value;
                weight += patch.weight;
            }
        }
        sum / weight
    };
    Curve::new((0..length).map(mean).collect())
}
