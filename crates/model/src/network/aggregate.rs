use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::Aggregation;
use crate::layers::{Conv2d, Conv2dConfig, Initializer};

/// The trainable layer that combines several maps of logits into one.
#[derive(Module, Debug)]
pub enum Aggregate {
    /// `aggregate.weight`, `[1, maps, 1, 1]`, and `aggregate.bias`.
    Linear(Conv2d),
    /// `aggregate.score`.
    Attention(Scores),
}

/// A score for each map at each pixel, from the decoder's features.
#[derive(Module, Debug)]
pub struct Scores {
    score: Conv2d,
}

impl Aggregation {
    /// The layer for `maps` maps, made of `channels` features each; none where there is nothing to train.
    pub(super) fn init(self, maps: usize, channels: usize, device: &Device) -> Option<Aggregate> {
        let conv = |inputs| {
            Conv2dConfig::new([inputs, 1], 1)
                .with_initializer(Initializer::XavierUniform)
                .init(device)
        };
        match self {
            Self::Linear => Some(Aggregate::Linear(conv(maps))),
            Self::Attention => Some(Aggregate::Attention(Scores {
                score: conv(channels),
            })),
            Self::Mean | Self::Max => None,
        }
    }

    /// The part that is not linear.
    ///
    /// # Shapes
    /// - logits: `[batch, maps, rows, columns]`
    /// - features: `[batch × maps, channels, rows, columns]`, what the logits were made of
    /// - output: `[batch, maps, rows, columns]`, or one map where nothing linear is left to do
    pub(super) fn partial(
        self,
        layer: Option<&Aggregate>,
        logits: Tensor<4>,
        features: Tensor<4>,
    ) -> Tensor<4> {
        match (self, layer) {
            (Self::Max, _) => logits.max_dim(1),
            (Self::Attention, Some(Aggregate::Attention(Scores { score }))) => {
                let scores = score.forward(features).reshape(logits.dims());
                (softmax(scores, 1) * logits).sum_dim(1)
            }
            _ => logits,
        }
    }

    /// The part that is linear: `[batch, maps, rows, columns]` to `[batch, 1, rows, columns]`.
    pub(super) fn combine(self, layer: Option<&Aggregate>, maps: Tensor<4>) -> Tensor<4> {
        match (self, layer) {
            (Self::Linear, Some(Aggregate::Linear(conv))) => conv.forward(maps),
            (Self::Mean, _) => maps.mean_dim(1),
            _ => maps,
        }
    }
}
