//! Planes `[n, area]`: sums over pixels, and one factor per plane.

use rayon::prelude::*;

use crate::vectors::{sum, sum_pairs, vectorized};

/// `Σ` over each plane.
///
/// # Shapes
/// - planes: `[n, area]`
/// - output: `[n]`
pub fn sums(planes: &[f32], area: usize) -> Vec<f32> {
    let planes = planes.par_chunks(area);
    planes
        .map(|plane| {
            vectorized(
                #[inline(always)]
                || sum(plane, |x| x),
            )
        })
        .collect()
}

/// `Σ left · right` over each plane.
///
/// # Shapes
/// - left, right: `[n, area]`
/// - output: `[n]`
pub fn sum_products(left: &[f32], right: &[f32], area: usize) -> Vec<f32> {
    let pairs = left.par_chunks(area).zip(right.par_chunks(area));
    pairs
        .map(|(left, right)| {
            vectorized(
                #[inline(always)]
                || sum_pairs(left, right, |left, right| left * right),
            )
        })
        .collect()
}

/// The sum over the batch of one number per plane.
///
/// # Shapes
/// - numbers: `[batch, channels]`
/// - output: `[channels]`
pub fn by_channel(numbers: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0.0; channels];
    for image in numbers.chunks_exact(channels) {
        for (sum, number) in sums.iter_mut().zip(image) {
            *sum += number;
        }
    }
    sums
}

/// `x · factor`, in place.
///
/// # Shapes
/// - planes: `[n, area]`
/// - factors: `[n]`
pub fn scale(planes: &mut [f32], area: usize, factors: &[f32]) {
    let pairs = planes.par_chunks_mut(area).zip(factors);
    pairs.for_each(|(plane, factor)| {
        vectorized(
            #[inline(always)]
            || {
                for x in plane.iter_mut() {
                    *x *= factor;
                }
            },
        );
    });
}

/// Planes filled with one number each.
///
/// # Shapes
/// - numbers: `[n]`
/// - output: `[n, area]`
pub fn filled(numbers: &[f32], area: usize) -> Vec<f32> {
    let mut planes = vec![0.0; numbers.len() * area];
    let pairs = planes.par_chunks_mut(area).zip(numbers);
    pairs.for_each(|(plane, &number)| plane.fill(number));
    planes
}
