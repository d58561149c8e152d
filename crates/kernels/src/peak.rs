//! What a processor can multiply at most, beside which operations are measured.

use std::time::{Duration, Instant};

use crate::matrix::{
    Addend, DotUnit, Lhs, MatrixLayout, MulPrecision, RhsPanels, StridedRows, Threading,
    multiply_into,
};

/// How long each thread multiplies.
const TIME: Duration = Duration::from_millis(100);
/// Sums of each value: both factors lie in the innermost cache.
const DEPTH: usize = 256;

/// Floating-point operations per second that the pool's threads reach together in products whose factors lie in
/// the innermost cache, a multiplication and an addition counting as two; the best of several tries.
pub fn peak_flops(precision: MulPrecision) -> f64 {
    (0..3).map(|_| once(precision)).fold(0.0, f64::max)
}

fn once(precision: MulPrecision) -> f64 {
    rayon::broadcast(|_| on_this_thread(precision))
        .into_iter()
        .sum()
}

fn on_this_thread(precision: MulPrecision) -> f64 {
    let unit = DotUnit::of(precision);
    let [rows, vectors] = unit.tile();
    let columns = vectors * unit.lanes();
    let values = vec![1.0; DEPTH * rows.max(columns)];
    let left = Lhs::new(
        precision,
        [rows, DEPTH],
        (&values, MatrixLayout::rows(DEPTH)),
    );
    let right = (&values[..], MatrixLayout::rows(columns));
    let right = RhsPanels::new(precision, [DEPTH, columns], right, Threading::Caller);
    let mut output = vec![0.0; rows * columns];
    let began = Instant::now();
    let mut flops = 0.0;
    while began.elapsed() < TIME {
        for _ in 0..100 {
            let mut output = StridedRows::new(&mut output, columns);
            multiply_into(precision, &left, &right, &mut output, Addend::Zero);
        }
        flops += 100.0 * (2 * rows * columns * DEPTH) as f64;
    }
    std::hint::black_box(&output);
    flops / began.elapsed().as_secs_f64()
}
