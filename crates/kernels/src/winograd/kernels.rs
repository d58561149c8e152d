//! Kernels, transformed.

use rayon::prelude::*;

use super::{ELEMENTS, IN};
use crate::conv3x3::{Sizes, TAPS, TapOrder};
use crate::matrix::{DotUnit, MulPrecision};
use crate::vectors::vectorized;

/// Transformed kernels, `[ELEMENTS, outputs / rows, inputs, rows]` with the rows of a register tile;
/// zeros beyond the last output.
#[derive(Debug)]
pub struct Packed(pub(super) Vec<u32>);

/// Transforms kernels for [`forward`](super::forward), in f64.
///
/// # Shapes
/// - weights: `[outputs, inputs, 3, 3]`, or turned by 180° `[inputs, outputs, 3, 3]`
pub fn pack(sizes: Sizes, weights: &[f32], order: TapOrder) -> Packed {
    let [rows, _] = DotUnit::of(MulPrecision::F32).tile();
    let blocks = sizes.outputs.div_ceil(rows);
    let block = sizes.inputs * rows;
    let mut packed = vec![0; ELEMENTS * blocks * block];
    // The pieces of each block of outputs, one for each element.
    let mut pieces: Vec<Vec<&mut [u32]>> = Vec::new();
    pieces.resize_with(blocks, || Vec::with_capacity(ELEMENTS));
    for element in packed.chunks_mut(blocks * block) {
        for (pieces, piece) in pieces.iter_mut().zip(element.chunks_mut(block)) {
            pieces.push(piece);
        }
    }
    let kernel = |output, input| match order {
        TapOrder::Forward => output * sizes.inputs + input,
        TapOrder::Turned => input * sizes.outputs + output,
    };
    let tasks = pieces.into_par_iter().enumerate();
    tasks.for_each(|(block, mut pieces)| {
        let outputs = block * rows..sizes.outputs.min((block + 1) * rows);
        vectorized(
            #[inline(always)]
            || {
                for input in 0..sizes.inputs {
                    let mut taps = [[0.0; KERNELS]; TAPS];
                    for (lane, output) in outputs.clone().enumerate() {
                        let kernel = &weights[kernel(output, input) * TAPS..][..TAPS];
                        for (tap, lanes) in taps.iter_mut().enumerate() {
                            lanes[lane] = f64::from(kernel[order.tap(tap)]);
                        }
                    }
                    let elements = transform_kernels(taps);
                    for (piece, element) in pieces.iter_mut().zip(&elements) {
                        let words = &mut piece[input * rows..][..rows];
                        for (word, value) in words.iter_mut().zip(element) {
                            *word = (*value as f32).to_bits();
                        }
                    }
                }
            },
        );
    });
    Packed(packed)
}

/// Kernels that are transformed at once: as many as a register tile has rows, or more.
const KERNELS: usize = 8;
/// The same tap or element of several kernels.
type Lanes = [f64; KERNELS];

/// `G · kernel · Gᵀ` of several kernels.
#[inline(always)]
fn transform_kernels(taps: [Lanes; TAPS]) -> [Lanes; ELEMENTS] {
    let mut elements = [[0.0; KERNELS]; ELEMENTS];
    let mut half = [[[0.0; KERNELS]; TAPS / 3]; IN];
    for x in 0..3 {
        let lines = transform_kernel_line([taps[x], taps[3 + x], taps[6 + x]]);
        for (half, line) in half.iter_mut().zip(lines) {
            half[x] = line;
        }
    }
    for (elements, half) in elements.chunks_exact_mut(IN).zip(half) {
        elements.copy_from_slice(&transform_kernel_line(half));
    }
    elements
}

/// One line of `G · kernel`: three taps become six elements.
#[inline(always)]
fn transform_kernel_line([a, b, c]: [Lanes; 3]) -> [Lanes; IN] {
    use std::f64::consts::SQRT_2;
    let mut line = [[0.0; KERNELS]; IN];
    for lane in 0..KERNELS {
        let (a, b, c) = (a[lane], b[lane], c[lane]);
        let (even, odd) = (-2.0 / 3.0 * a - c * (1.0 / 3.0), SQRT_2 / 3.0 * b);
        let (even2, odd2) = (a * (1.0 / 6.0) + c * (1.0 / 3.0), SQRT_2 / 6.0 * b);
        let elements = [a, even - odd, even + odd, even2 + odd2, even2 - odd2, c];
        for (line, element) in line.iter_mut().zip(elements) {
            line[lane] = element;
        }
    }
    line
}
