use rayon::prelude::*;

use crate::misfit::Misfit;
use crate::{AlignSettings, Curve};

/// Guesses at most.
const MOST: usize = 3;
/// From one scale tried to the next, as a share, and from one shift to the next, in layers.
const SCALE_STEP: f64 = 0.02;
const SHIFT_STEP: f64 = 0.5;

/// A scale and shift that lay a whole sheet's curve onto the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InitialGuess {
    /// Misfit there, 0 (perfect) to 2 (opposed).
    pub misfit: f64,
    pub scale: f64,
    pub shift: f64,
}

/// The best places of `curve` on the target, over all scales and shifts that the settings allow:
/// one per valley of the misfit over scales, the deepest first.
pub(crate) fn initial_guesses(
    misfit: &Misfit,
    curve: &Curve,
    settings: &AlignSettings,
) -> Vec<InitialGuess> {
    let [low, high] = settings.scales;
    let count = ((high / low).ln() / SCALE_STEP).ceil().max(1.0) as usize;
    let reach = (settings.max_shift / SHIFT_STEP).ceil() as i64;
    let depth = (curve.len() - 1) as f64 / 2.0;
    let best_shift = |i: usize| {
        let scale = low * (high / low).powf(i as f64 / count as f64);
        let middle = misfit.middle() - depth * scale;
        let guesses = (-reach..=reach).map(|i| middle + i as f64 * SHIFT_STEP);
        let guesses = guesses.map(|shift| InitialGuess {
            misfit: misfit.of(curve, scale, shift),
            scale,
            shift,
        });
        guesses.min_by(|a, b| a.misfit.total_cmp(&b.misfit))
    };
    let guesses: Vec<InitialGuess> = (0..=count).into_par_iter().filter_map(best_shift).collect();
    let at = |i: Option<usize>| {
        i.and_then(|i| guesses.get(i))
            .map_or(f64::INFINITY, |guess| guess.misfit)
    };
    let is_valley = |&i: &usize| {
        let misfit = guesses[i].misfit;
        misfit.is_finite() && misfit <= at(i.checked_sub(1)) && misfit < at(Some(i + 1))
    };
    let valleys = (0..guesses.len()).filter(is_valley);
    let mut valleys: Vec<InitialGuess> = valleys.map(|i| guesses[i]).collect();
    valleys.sort_by(|a, b| a.misfit.total_cmp(&b.misfit));
    valleys.truncate(MOST);
    valleys
}
