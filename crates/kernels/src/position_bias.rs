//! Relative position bias (Liu et al., *Swin Transformer*): a table by relative position, expanded to
//! the pairs of a window's positions.

use rayon::prelude::*;

/// For each (query, key) pair of a `size × size` window, the row of their relative distance in a
/// table of all `(2 size − 1)²` of them: `[size⁴]`, the query slowest.
pub fn relative_position_index(size: usize) -> Vec<i64> {
    let place = move |p: usize| (p / size, p % size);
    (0..size * size)
        .flat_map(|q| (0..size * size).map(move |k| (place(q), place(k))))
        .map(|((qy, qx), (ky, kx))| (qy + size - 1 - ky) * (2 * size - 1) + qx + size - 1 - kx)
        .map(|index| index as i64)
        .collect()
}

/// Calls `run` for every query and every row of keys: with the index of the row's first pair in
/// `[size², size²]`, and the table row of its last key; earlier keys have the table rows that follow.
fn rows(size: usize, mut run: impl FnMut(usize, usize)) {
    let reach = 2 * size - 1;
    for query in 0..size * size {
        let (qy, qx) = (query / size, query % size);
        for ky in 0..size {
            run(
                (query * size + ky) * size,
                (qy + size - 1 - ky) * reach + qx,
            );
        }
    }
}

/// Expands a table to pairs.
///
/// # Shapes
/// - table: `[(2 size − 1)², heads]`
/// - output: `[heads, size², size²]` (query, key)
pub fn expand(table: &[f32], size: usize, heads: usize) -> Vec<f32> {
    let area = size * size;
    let mut biases = vec![0.0; heads * area * area];
    let heads_of_table = biases.par_chunks_mut(area * area).enumerate();
    heads_of_table.for_each(|(head, biases)| {
        let column: Vec<f32> = table[head..].iter().step_by(heads).copied().collect();
        rows(size, |start, last| {
            let distances = column[last..][..size].iter().rev();
            for (bias, &distance) in biases[start..][..size].iter_mut().zip(distances) {
                *bias = distance;
            }
        });
    });
    biases
}

/// The gradient of the table, given that of the pairs: sums over pairs of one relative position.
///
/// # Shapes
/// - gradient: `[heads, size², size²]`
/// - output: `[(2 size − 1)², heads]`
pub fn backward(gradient: &[f32], size: usize, heads: usize) -> Vec<f32> {
    let area = size * size;
    let distances = (2 * size - 1) * (2 * size - 1);
    let columns = gradient.par_chunks(area * area).map(|gradient| {
        let mut column = vec![0.0; distances];
        rows(size, |start, last| {
            let sums = column[last..][..size].iter_mut().rev();
            for (sum, grad) in sums.zip(&gradient[start..][..size]) {
                *sum += grad;
            }
        });
        column
    });
    let columns: Vec<Vec<f32>> = columns.collect();
    let mut table = Vec::with_capacity(distances * heads);
    for distance in 0..distances {
        table.extend(columns.iter().map(|column| column[distance]));
    }
    table
}
