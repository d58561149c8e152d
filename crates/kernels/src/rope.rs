//! Rotary positions: pairs of neighbouring features, turned by angles.

use rayon::prelude::*;

use crate::vectors::vectorized;

/// Rows of one task.
const ROWS: usize = 32;

/// The angles of every position, and the features that they rotate.
#[derive(Clone, Copy, Debug)]
pub struct RopeAngles<'a> {
    /// Positions before the patches, which are not rotated.
    pub prefix: usize,
    /// The leading features of a row that are rotated, a multiple of `width`.
    pub features: usize,
    /// Features of a head.
    pub width: usize,
    /// `[patches, width]`: of each feature, for the two of a pair may differ.
    pub sines: &'a [f32],
    /// `[patches, width]`.
    pub cosines: &'a [f32],
    /// Whether to apply the transposed matrix of each pair, as gradients do: where both features have one angle,
    /// the rotation back.
    pub transposed: bool,
}

/// Rotates the pairs in place.
///
/// # Shapes
/// - rows: `[batch, prefix + patches, features]`
pub fn rotate(rows: &mut [f32], features: usize, angles: RopeAngles<'_>) {
    let positions = angles.prefix + angles.sines.len() / angles.width;
    let tasks = rows.par_chunks_mut(ROWS * features).enumerate();
    tasks.for_each(|(task, rows)| {
        vectorized(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(features).enumerate() {
                    let position = (task * ROWS + index) % positions;
                    if position >= angles.prefix {
                        rotate_row(
                            &mut row[..angles.features],
                            position - angles.prefix,
                            angles,
                        );
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn rotate_row(row: &mut [f32], patch: usize, angles: RopeAngles<'_>) {
    let place = patch * angles.width..(patch + 1) * angles.width;
    let (sines, cosines) = (&angles.sines[place.clone()], &angles.cosines[place]);
    for head in row.chunks_exact_mut(angles.width) {
        let pairs = sines.chunks_exact(2).zip(cosines.chunks_exact(2));
        for (pair, (sine, cosine)) in head.chunks_exact_mut(2).zip(pairs) {
            let (first, second) = (pair[0], pair[1]);
            let of_other = match angles.transposed {
                true => [-sine[1], -sine[0]],
                false => [sine[0], sine[1]],
            };
            pair[0] = first * cosine[0] - second * of_other[0];
            pair[1] = second * cosine[1] + first * of_other[1];
        }
    }
}
