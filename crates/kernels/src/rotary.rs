//! Pairs of neighbouring features turned by angles.

use rayon::prelude::*;

use crate::vectors::vectorized;

/// Rows of one task.
const ROWS: usize = 32;

/// Which features of which positions turn by how much.
#[derive(Clone, Copy, Debug)]
pub struct Turns<'a> {
    /// Positions before the patches, which do not turn.
    pub prefix: usize,
    /// The leading features of a row that turn, a multiple of a head's.
    pub turned: usize,
    /// A head's features.
    pub width: usize,
    /// `[patches, width]`, the same for both of a pair.
    pub sines: &'a [f32],
    /// `[patches, width]`.
    pub cosines: &'a [f32],
    /// Whether to turn the other way, as gradients do.
    pub back: bool,
}

/// Turns the pairs in place.
///
/// # Shapes
/// - rows: `[batch, prefix + patches, features]`
pub fn turn(rows: &mut [f32], features: usize, turns: Turns<'_>) {
    let positions = turns.prefix + turns.sines.len() / turns.width;
    let tasks = rows.par_chunks_mut(ROWS * features).enumerate();
    tasks.for_each(|(task, rows)| {
        vectorized(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(features).enumerate() {
                    let position = (task * ROWS + index) % positions;
                    if position >= turns.prefix {
                        turn_row(&mut row[..turns.turned], position - turns.prefix, turns);
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn turn_row(row: &mut [f32], patch: usize, turns: Turns<'_>) {
    let place = patch * turns.width..(patch + 1) * turns.width;
    let (sines, cosines) = (&turns.sines[place.clone()], &turns.cosines[place]);
    let sign = if turns.back { -1.0 } else { 1.0 };
    for head in row.chunks_exact_mut(turns.width) {
        let angles = sines.chunks_exact(2).zip(cosines.chunks_exact(2));
        for (pair, (sine, cosine)) in head.chunks_exact_mut(2).zip(angles) {
            let (sine, cosine) = (sine[0] * sign, cosine[0]);
            let (first, second) = (pair[0], pair[1]);
            pair[0] = first * cosine - second * sine;
            pair[1] = second * cosine + first * sine;
        }
    }
}
