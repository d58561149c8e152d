//! Nearest-neighbour upsampling by 2, and its gradient.

use rayon::prelude::*;

/// Repeats every pixel twice along both axes.
///
/// # Shapes
/// - planes: `[n, height, width]`
/// - target: `[n, 2 × height, 2 × width]`
pub fn nearest2x(planes: &[f32], [height, width]: [usize; 2], target: &mut [f32]) {
    target
        .par_chunks_mut(4 * height * width)
        .zip(planes.par_chunks(height * width))
        .for_each(|(target, plane)| {
            let rows = target.chunks_exact_mut(4 * width);
            for (rows, source) in rows.zip(plane.chunks_exact(width)) {
                let (first, second) = rows.split_at_mut(2 * width);
                for (pair, &x) in first.chunks_exact_mut(2).zip(source) {
                    pair[0] = x;
                    pair[1] = x;
                }
                second.copy_from_slice(first);
            }
        });
}

/// The gradient of [`nearest2x`]: sums of 2 × 2 pixels.
///
/// # Shapes
/// - planes: `[n, 2 × height, 2 × width]`
/// - target: `[n, height, width]`
pub fn backward(planes: &[f32], [height, width]: [usize; 2], target: &mut [f32]) {
    target
        .par_chunks_mut(height * width)
        .zip(planes.par_chunks(4 * height * width))
        .for_each(|(target, plane)| {
            let rows = target.chunks_exact_mut(width);
            for (row, source) in rows.zip(plane.chunks_exact(4 * width)) {
                let (first, second) = source.split_at(2 * width);
                let pairs = first.chunks_exact(2).zip(second.chunks_exact(2));
                for (sum, (above, below)) in row.iter_mut().zip(pairs) {
                    *sum = (above[0] + above[1]) + (below[0] + below[1]);
                }
            }
        });
}
