use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, silu};

/// A function between layers that has no weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// The exact Gaussian error linear unit.
    Gelu,
    /// GELU as TensorFlow approximates it by a hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// # Shapes
    /// - input and output: any
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(x),
            Self::Gelu => gelu(x),
            Self::GeluTanh => gelu_tanh(x),
        }
    }
}

fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    let square = x.clone().square();
    let inner = x.clone() * (square * 0.044_715 + 1.0) * scale;
    x * (inner.tanh() + 1.0) * 0.5
}
