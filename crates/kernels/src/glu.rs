//! Gated linear units: half of the features, after an activation, times the other half.

use rayon::prelude::*;

use crate::activation::{Activation, apply_serial, backward_serial};
use crate::computed::computed;

/// Which half of the features is the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateHalf {
    /// The first, as timm's SwiGLU has it.
    First,
    /// The second, as `torch.nn.GLU` and GEGLU have it.
    Second,
}

impl GateHalf {
    /// The gate and the value of two halves.
    pub fn of<T>(self, [first, second]: [T; 2]) -> (T, T) {
        match self {
            Self::First => (first, second),
            Self::Second => (second, first),
        }
    }
}

/// Values of one task, about.
const TASK: usize = 1 << 14;

fn rows_of_a_task(hidden: usize) -> usize {
    (TASK / hidden.max(1)).max(1)
}

/// `activation(gate) · value`.
///
/// # Shapes
/// - both: `[rows, 2 × hidden]`
/// - output: `[rows, hidden]`
pub fn forward(both: &[f32], hidden: usize, activation: Activation, gate: GateHalf) -> Vec<f32> {
    let piece = rows_of_a_task(hidden) * hidden;
    computed(both.len() / 2, piece, |task, output| {
        let pairs = output.chunks_exact_mut(hidden);
        let rows = both[task * 2 * piece..].chunks_exact(2 * hidden);
        for (output, both) in pairs.zip(rows) {
            let (gate, value) = gate.of(both.split_at(hidden).into());
            output.copy_from_slice(gate);
            apply_serial(output, activation);
            for (output, value) in output.iter_mut().zip(value) {
                *output *= value;
            }
        }
    })
}

/// The gradient of both halves, given that of the output.
///
/// # Shapes
/// - both and output: `[rows, 2 × hidden]`
/// - gradients: `[rows, hidden]`
pub fn backward(
    both: &[f32],
    gradients: &[f32],
    hidden: usize,
    gate: (Activation, GateHalf),
) -> Vec<f32> {
    let mut input_grads = vec![0.0; both.len()];
    let rows = rows_of_a_task(hidden);
    input_grads
        .par_chunks_mut(rows * 2 * hidden)
        .zip(both.par_chunks(rows * 2 * hidden))
        .zip(gradients.par_chunks(rows * hidden))
        .for_each(|((input_grads, both), gradients)| {
            let rows = input_grads
                .chunks_exact_mut(2 * hidden)
                .zip(both.chunks_exact(2 * hidden))
                .zip(gradients.chunks_exact(hidden));
            for ((input_grads, both), gradient) in rows {
                row_backward(input_grads, both, gradient, gate);
            }
        });
    input_grads
}

fn row_backward(
    input_grads: &mut [f32],
    both: &[f32],
    gradient: &[f32],
    (activation, half): (Activation, GateHalf),
) {
    let (gate, value) = half.of(both.split_at(gradient.len()).into());
    let (by_gate, by_value) = half.of(input_grads.split_at_mut(gradient.len()).into());
    for ((grad, gradient), value) in by_gate.iter_mut().zip(gradient).zip(value) {
        *grad = gradient * value;
    }
    backward_serial(gate, by_gate, activation);
    by_value.copy_from_slice(gate);
    apply_serial(by_value, activation);
    for (grad, gradient) in by_value.iter_mut().zip(gradient) {
        *grad *= gradient;
    }
}
