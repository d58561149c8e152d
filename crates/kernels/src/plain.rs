//! The same functions by burn's own operations: for other devices, and for tests to compare with.

use burn::tensor::{Tensor, activation as plain};

use crate::Activation;

/// [`activate`](crate::activate) by burn's operations.
pub fn plain_activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Relu => plain::relu(x),
        Activation::Silu => plain::silu(x),
        Activation::Gelu => plain::gelu(x),
        Activation::GeluTanh => {
            let scale = (2.0 / std::f64::consts::PI).sqrt();
            let square = x.clone().square();
            let inner = x.clone() * (square * 0.044_715 + 1.0) * scale;
            x * (inner.tanh() + 1.0) * 0.5
        }
        Activation::Sigmoid => plain::sigmoid(x),
        Activation::LeakyRelu => plain::leaky_relu(x, 0.01),
    }
}
