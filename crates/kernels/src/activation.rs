//! Activations and their derivatives over slices.

use rayon::prelude::*;

use crate::exponential::{erf, exp, sigmoid};
use crate::vectors::{MulAdd, vectorized_sums};

/// An elementwise function without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · Φ(x)` with the normal distribution's Φ: the exact GELU.
    Gelu,
    /// GELU with Φ approximated by a hyperbolic tangent; `gelu(approximate="tanh")`.
    GeluTanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `max(x, 0.01 · x)`: PyTorch's and nnU-Net's leaky ReLU.
    LeakyRelu,
}

/// Values of one task, which stay in the L1 cache.
const PIECE: usize = 8192;

/// Calls `$run::<Function>(…)` with the function that `$activation` names.
macro_rules! with_function {
    ($activation:expr, $run:ident($($argument:expr),*)) => {
        match $activation {
            Activation::Relu => $run::<Relu>($($argument),*),
            Activation::Silu => $run::<Silu>($($argument),*),
            Activation::Gelu => $run::<Gelu>($($argument),*),
            Activation::GeluTanh => $run::<GeluTanh>($($argument),*),
            Activation::Sigmoid => $run::<Sigmoid>($($argument),*),
            Activation::LeakyRelu => $run::<LeakyRelu>($($argument),*),
        }
    };
}

/// Applies the activation in place, on all threads.
pub fn apply(values: &mut [f32], activation: Activation) {
    values
        .par_chunks_mut(PIECE)
        .for_each(|piece| apply_serial(piece, activation));
}

/// Applies the activation in place, on this thread.
pub fn apply_serial(values: &mut [f32], activation: Activation) {
    with_function!(activation, map(values));
}

/// Multiplies gradients by the derivative at the arguments, in place, on all threads.
///
/// # Panics
/// When the slices differ in length.
pub fn backward(arguments: &[f32], gradients: &mut [f32], activation: Activation) {
    assert_eq!(arguments.len(), gradients.len());
    gradients
        .par_chunks_mut(PIECE)
        .zip(arguments.par_chunks(PIECE))
        .for_each(|(gradients, arguments)| backward_serial(arguments, gradients, activation));
}

/// [`backward`] on this thread.
pub fn backward_serial(arguments: &[f32], gradients: &mut [f32], activation: Activation) {
    with_function!(activation, scale(arguments, gradients));
}

fn map<C: Function>(values: &mut [f32]) {
    vectorized_sums(
        #[inline(always)]
        |mul_add| {
            for value in values.iter_mut() {
                *value = C::value(mul_add, *value);
            }
        },
    );
}

fn scale<C: Function>(arguments: &[f32], gradients: &mut [f32]) {
    vectorized_sums(
        #[inline(always)]
        |mul_add| {
            for (gradient, &argument) in gradients.iter_mut().zip(arguments) {
                *gradient *= C::derivative(mul_add, argument);
            }
        },
    );
}

/// A function of one number and its derivative.
trait Function {
    fn value(mul_add: MulAdd, x: f32) -> f32;
    fn derivative(mul_add: MulAdd, x: f32) -> f32;
}

struct Relu;
struct Silu;
struct Gelu;
struct GeluTanh;
struct Sigmoid;
struct LeakyRelu;

impl Function for Relu {
    #[inline(always)]
    fn value(_: MulAdd, x: f32) -> f32 {
        // Not-a-number passes, as in PyTorch.
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn derivative(_: MulAdd, x: f32) -> f32 {
        if x > 0.0 { 1.0 } else { 0.0 }
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value(mul_add: MulAdd, x: f32) -> f32 {
        x / (1.0 + exp(mul_add, -x))
    }

    #[inline(always)]
    fn derivative(mul_add: MulAdd, x: f32) -> f32 {
        let s = sigmoid(mul_add, x);
        s * (1.0 + x * (1.0 - s))
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn value(mul_add: MulAdd, x: f32) -> f32 {
        0.5 * x * (1.0 + erf(mul_add, x * std::f32::consts::FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn derivative(mul_add: MulAdd, x: f32) -> f32 {
        const DENSITY: f32 = 0.398_942_3;
        let share = 0.5 * (1.0 + erf(mul_add, x * std::f32::consts::FRAC_1_SQRT_2));
        share + x * DENSITY * exp(mul_add, -0.5 * x * x)
    }
}

impl LeakyRelu {
    const SLOPE: f32 = 0.01;
}

impl Function for LeakyRelu {
    #[inline(always)]
    fn value(_: MulAdd, x: f32) -> f32 {
        if x < 0.0 { x * Self::SLOPE } else { x }
    }

    #[inline(always)]
    fn derivative(_: MulAdd, x: f32) -> f32 {
        if x > 0.0 { 1.0 } else { Self::SLOPE }
    }
}

impl GeluTanh {
    const SCALE: f32 = 0.797_884_6;
    const CUBE: f32 = 0.044_715;

    /// `0.5 · (1 + tanh(u))`, which is the sigmoid of `2u`.
    #[inline(always)]
    fn share(mul_add: MulAdd, x: f32) -> f32 {
        sigmoid(mul_add, 2.0 * Self::SCALE * x * (1.0 + Self::CUBE * x * x))
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn value(mul_add: MulAdd, x: f32) -> f32 {
        x * Self::share(mul_add, x)
    }

    #[inline(always)]
    fn derivative(mul_add: MulAdd, x: f32) -> f32 {
        let share = Self::share(mul_add, x);
        let inner = 2.0 * Self::SCALE * (1.0 + 3.0 * Self::CUBE * x * x);
        share + x * share * (1.0 - share) * inner
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value(mul_add: MulAdd, x: f32) -> f32 {
        sigmoid(mul_add, x)
    }

    #[inline(always)]
    fn derivative(mul_add: MulAdd, x: f32) -> f32 {
        let s = sigmoid(mul_add, x);
        s * (1.0 - s)
    }
}
