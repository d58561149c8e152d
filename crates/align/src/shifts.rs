use rayon::prelude::*;

use crate::misfit::Misfit;
use crate::parabola::{lowest, vertex};
use crate::patches::{MARGIN, Patch, Patches};

/// Distance between the shifts tried, in layers.
const STEP: f64 = 0.25;
/// A difference between neighbours beyond which its cost grows no faster than the difference: a
/// torn sheet steps, and one step must not bend all around it. In layers.
const KNEE: f64 = 1.0;
/// Rounds of smoothing, at most, and the change below which no other is made, in layers.
const MOST_ROUNDS: usize = 30;
const SETTLED: f64 = 0.01;

/// The shifts tried for every patch: all within a reach, so that none sticks in a wrong minimum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub misfit: &'a Misfit,
    /// How far a patch may lie from where it is, in layers of the target.
    pub reach: f64,
    /// What a difference of one layer between neighbours costs, as a share of the target's
    /// variance.
    pub smoothness: f64,
}

impl Search<'_> {
    /// Shifts of all patches, in layers of the target: each as well as it fits, by its papyrus,
    /// held together by its neighbours. Patches that do not count follow theirs. The sheet is
    /// scaled by `scale` about the compared layers' middle beforehand.
    pub fn shifts(&self, patches: &Patches, scale: f64) -> Vec<f64> {
        let costs: Vec<Vec<f64>> = patches
            .list
            .par_iter()
            .map(|patch| self.costs(patch, scale))
            .collect();
        let mut shifts: Vec<f64> = costs.iter().map(|costs| self.lowest(costs)).collect();
        let start = median(patches.of_used(&shifts));
        for (shift, patch) in shifts.iter_mut().zip(&patches.list) {
            if patch.weight == 0.0 {
                *shift = start;
            }
        }
        for _ in 0..MOST_ROUNDS {
            // Patches of one colour of a chessboard have no neighbours of that colour.
            let moved = f64::max(
                self.smooth(patches, &costs, &mut shifts, 0),
                self.smooth(patches, &costs, &mut shifts, 1),
            );
            if moved < SETTLED {
                break;
            }
        }
        shifts
    }

    /// The lowest misfit of `patch` over all shifts, 0 to 2.
    pub fn best(&self, patch: &Patch, scale: f64) -> f64 {
        // Between scales only the order matters: every other shift suffices.
        let offsets = self.offsets().step_by(2);
        self.costs_at(patch, scale, offsets).fold(2.0, f64::min)
    }

    /// The misfit of `patch` at each shift.
    fn costs(&self, patch: &Patch, scale: f64) -> Vec<f64> {
        if patch.weight == 0.0 {
            return Vec::new();
        }
        self.costs_at(patch, scale, self.offsets()).collect()
    }

    fn costs_at(
        &self,
        patch: &Patch,
        scale: f64,
        offsets: impl Iterator<Item = f64>,
    ) -> impl Iterator<Item = f64> {
        let around = self.misfit.middle() * (1.0 - scale);
        // The curve begins MARGIN layers before the target's layer 0.
        let begin = around - MARGIN as f64 * scale;
        offsets.map(move |offset| self.misfit.of(&patch.curve, scale, begin + offset))
    }

    fn offsets(&self) -> impl Iterator<Item = f64> + use<> {
        let count = (self.reach / STEP).round() as i64;
        (-count..=count).map(|i| i as f64 * STEP)
    }

    fn lowest(&self, costs: &[f64]) -> f64 {
        match lowest(costs) {
            Some(best) => (best as f64 + vertex(costs, best)) * STEP - self.reach,
            None => 0.0,
        }
    }

    /// Moves every patch of one colour to its best place between data and neighbours; gives the
    /// largest move.
    fn smooth(
        &self,
        patches: &Patches,
        costs: &[Vec<f64>],
        shifts: &mut [f64],
        colour: usize,
    ) -> f64 {
        let is_turn = |i: usize| (i / patches.columns + i % patches.columns) % 2 == colour;
        let moved: Vec<(usize, f64)> = (0..shifts.len())
            .into_par_iter()
            .filter(|&index| is_turn(index))
            .map(|index| (index, self.settle(patches, costs, shifts, index)))
            .collect();
        let mut most = 0.0_f64;
        for (index, shift) in moved {
            most = most.max((shift - shifts[index]).abs());
            shifts[index] = shift;
        }
        most
    }

    fn settle(&self, patches: &Patches, costs: &[Vec<f64>], shifts: &[f64], index: usize) -> f64 {
        let around = || patches.neighbours(index).map(|other| shifts[other]);
        let patch = &patches.list[index];
        if patch.weight == 0.0 {
            let (sum, count) = around().fold((0.0, 0.0), |(sum, n), shift| (sum + shift, n + 1.0));
            return if count > 0.0 {
                sum / count
            } else {
                shifts[index]
            };
        }
        let hold = self.smoothness / patch.weight;
        let total = |(cost, offset): (&f64, f64)| {
            cost + hold * around().map(|other| bend(offset - other)).sum::<f64>()
        };
        let totals: Vec<f64> = costs[index].iter().zip(self.offsets()).map(total).collect();
        self.lowest(&totals)
    }
}

/// Huber's cost of a difference: quadratic, then linear.
fn bend(difference: f64) -> f64 {
    let size = difference.abs();
    match size <= KNEE {
        true => size * size,
        false => KNEE * (2.0 * size - KNEE),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
