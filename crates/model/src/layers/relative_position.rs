use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use inkling_kernels::{Activation, expand_position_bias, from_weights};

use super::{Dropout, Linear, LinearConfig};

/// Configuration of a [`RelativePositionMlp`].
#[derive(Clone, Debug)]
pub struct RelativePositionMlpConfig {
    size: usize,
    heads: usize,
    hidden: usize,
    dropout: f64,
}

impl RelativePositionMlpConfig {
    /// Biases for `heads` heads over groups of `size × size` positions, from an MLP with
    /// `hidden` units.
    pub fn new(size: usize, heads: usize, hidden: usize) -> Self {
        Self {
            size,
            heads,
            hidden,
            dropout: 0.125,
        }
    }

    /// Sets the dropout between the two layers during training; timm's is 0.125.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Makes the layer.
    pub fn init(&self, device: &Device) -> RelativePositionMlp {
        RelativePositionMlp {
            mlp: RelativeMlp {
                fc1: LinearConfig::new([2, self.hidden]).init(device),
                fc2: LinearConfig::new([self.hidden, self.heads]).init(device),
                drop: Dropout::new(self.dropout),
            },
            size: self.size,
            heads: self.heads,
        }
    }
}

#[derive(Module, Debug)]
struct RelativeMlp {
    fc1: Linear,
    fc2: Linear,
    drop: Dropout,
}

/// Attention biases from log-spaced relative coordinates through a small MLP, as Swin V2 does it,
/// in timm's `cr` form: `sign(d) · ln(1 + |d|)` without a final sigmoid. Because the MLP sees
/// distances, not table rows, weights fit any window size.
#[derive(Module, Debug)]
pub struct RelativePositionMlp {
    mlp: RelativeMlp,
    size: usize,
    heads: usize,
}

impl RelativePositionMlp {
    /// The biases to add to attention scores.
    ///
    /// # Shapes
    /// - output: `[heads, size × size, size × size]` (query, key)
    pub fn forward(&self, device: &Device) -> Tensor<3> {
        let RelativeMlp { fc1, fc2, drop } = &self.mlp;
        let weights = [fc1.values(), fc2.values()].concat();
        let table = from_weights(weights, &[self.size], || {
            let hidden = fc1.forward_activated(self.log_distances(device), Activation::Relu);
            fc2.forward(drop.forward(hidden))
        });
        expand_position_bias(table, self.size)
    }

    /// Every relative distance `(dy, dx)`, log-spaced: `[(2 size − 1)², 2]`.
    fn log_distances(&self, device: &Device) -> Tensor<2> {
        let reach = self.size as i64 - 1;
        let log = |d: i64| (d.signum() as f32) * (1.0 + d.abs() as f32).ln();
        let values: Vec<f32> = (-reach..=reach)
            .flat_map(|dy| (-reach..=reach).flat_map(move |dx| [log(dy), log(dx)]))
            .collect();
        let rows = values.len() / 2;
        Tensor::from_data(TensorData::new(values, [rows, 2]), device)
    }
}
