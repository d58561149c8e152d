//! Functions between layers, value and slope, over whole slices.

use rayon::prelude::*;

use crate::exponential::{erf, exp, sigmoid};
use crate::vectors::vectorized;

/// A function between layers that has no weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// The exact Gaussian error linear unit.
    Gelu,
    /// GELU as TensorFlow approximates it by a hyperbolic tangent.
    GeluTanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

/// What one task works on: a piece that stays in the nearest cache.
const PIECE: usize = 8192;

/// Calls `$run::<Curve>(…)` with the curve that `$activation` names.
macro_rules! with_curve {
    ($activation:expr, $run:ident($($argument:expr),*)) => {
        match $activation {
            Activation::Relu => $run::<Relu>($($argument),*),
            Activation::Silu => $run::<Silu>($($argument),*),
            Activation::Gelu => $run::<Gelu>($($argument),*),
            Activation::GeluTanh => $run::<GeluTanh>($($argument),*),
            Activation::Sigmoid => $run::<Sigmoid>($($argument),*),
        }
    };
}

/// Replaces every value by the function's, on all threads.
pub fn apply(values: &mut [f32], activation: Activation) {
    values
        .par_chunks_mut(PIECE)
        .for_each(|piece| apply_here(piece, activation));
}

/// Replaces every value by the function's, on this thread.
pub fn apply_here(values: &mut [f32], activation: Activation) {
    with_curve!(activation, map(values));
}

/// Replaces the gradients of the function's values by those of its arguments, on all threads.
///
/// # Panics
/// When the slices differ in length.
pub fn pull_back(arguments: &[f32], gradients: &mut [f32], activation: Activation) {
    assert_eq!(arguments.len(), gradients.len());
    gradients
        .par_chunks_mut(PIECE)
        .zip(arguments.par_chunks(PIECE))
        .for_each(|(gradients, arguments)| pull_back_here(arguments, gradients, activation));
}

/// [`pull_back`] on this thread.
pub fn pull_back_here(arguments: &[f32], gradients: &mut [f32], activation: Activation) {
    with_curve!(activation, scale(arguments, gradients));
}

fn map<C: Curve>(values: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for value in values.iter_mut() {
                *value = C::value(*value);
            }
        },
    );
}

fn scale<C: Curve>(arguments: &[f32], gradients: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (gradient, &argument) in gradients.iter_mut().zip(arguments) {
                *gradient *= C::slope(argument);
            }
        },
    );
}

/// A function of one number and its derivative.
trait Curve {
    fn value(x: f32) -> f32;
    fn slope(x: f32) -> f32;
}

struct Relu;
struct Silu;
struct Gelu;
struct GeluTanh;
struct Sigmoid;

impl Curve for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        // Not-a-number passes, as in PyTorch.
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        if x > 0.0 { 1.0 } else { 0.0 }
    }
}

impl Curve for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x / (1.0 + exp(-x))
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let s = sigmoid(x);
        s * (1.0 + x * (1.0 - s))
    }
}

impl Curve for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        const DENSITY: f32 = 0.398_942_3;
        let share = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        share + x * DENSITY * exp(-0.5 * x * x)
    }
}

impl GeluTanh {
    const SCALE: f32 = 0.797_884_6;
    const CUBE: f32 = 0.044_715;

    /// `0.5 · (1 + tanh(u))`, which is the sigmoid of `2u`.
    #[inline(always)]
    fn share(x: f32) -> f32 {
        sigmoid(2.0 * Self::SCALE * x * (1.0 + Self::CUBE * x * x))
    }
}

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * Self::share(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let share = Self::share(x);
        let inner = 2.0 * Self::SCALE * (1.0 + 3.0 * Self::CUBE * x * x);
        share + x * share * (1.0 - share) * inner
    }
}

impl Curve for Sigmoid {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        sigmoid(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let s = sigmoid(x);
        s * (1.0 - s)
    }
}
