use serde::{Deserialize, Serialize};

use crate::border::Mirror;

/// Stretches the steps of a grid: albumentations' `GridDistortion`, whose cells are stretched
/// independently along both axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridDistortion {
    /// Factors on the height of the grid's cells, one more than there are steps.
    pub y: Vec<f64>,
    /// Factors on the width of the grid's cells.
    pub x: Vec<f64>,
}

/// Where the pixels of an axis of `side` px come from, within 0 to `side` − 1: cell after cell, each
/// `factors[i]` times as long as it was. What remains after the last whole cell is taken from up to
/// the far edge, as albumentations 1.3 does.
pub(crate) fn stretched(side: usize, factors: &[f64]) -> Vec<f64> {
    let step = side / (factors.len() - 1);
    let mut places = vec![0.0; side];
    let mirror = Mirror::new(side);
    let mut from = 0.0;
    for (cell, factor) in factors.iter().enumerate() {
        let start = cell * step;
        let whole = start + step <= side;
        let (end, to) = match whole {
            true => (start + step, from + step as f64 * factor),
            false => (side, side as f64),
        };
        let pixels = end - start;
        for (index, place) in places[start..end].iter_mut().enumerate() {
            // numpy.linspace with both ends.
            let share = index as f64 / (pixels.max(2) - 1) as f64;
            let found = (from + (to - from) * share) as f32;
            *place = mirror.reflect(f64::from(found));
        }
        from = to;
    }
    places
}
