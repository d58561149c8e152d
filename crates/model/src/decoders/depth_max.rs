use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, max_over_layers};

use crate::layers::{BatchNorm2d, BatchNorm2dConfig, Conv2d, Conv2dConfig, Resize, unfolded};

/// The Vesuvius Grand Prize's decoder: the largest of each feature along depth, then a 2D pyramid from
/// the coarsest map to the finest, and logits of its size.
#[derive(Module, Debug)]
pub struct DepthMax {
    /// From the map of that number and the next coarser one to as many channels as the finer has.
    convs: Vec<(Conv2d, BatchNorm2d)>,
    logit: Conv2d,
    #[module(skip)]
    layers: Vec<usize>,
}

impl DepthMax {
    /// Over volumes' maps of `channels` channels and `layers` layers, finest first.
    pub fn new(channels: &[usize], layers: &[usize], device: &Device) -> Self {
        let join = |pair: &[usize]| {
            let conv = Conv2dConfig::new([pair[0] + pair[1], pair[0]], 3).with_bias(false);
            let norm = BatchNorm2dConfig::new(pair[0]).init(device);
            (conv.init(device), norm)
        };
        Self {
            convs: channels.windows(2).map(join).collect(),
            logit: Conv2dConfig::new([channels[0], 1], 1).init(device),
            layers: layers.to_vec(),
        }
    }

    /// The largest of each feature along depth, which is all that is needed of the map of a stage.
    ///
    /// # Shapes
    /// - map: `[batch × layers, channels, rows, columns]`
    /// - output: `[batch, channels, rows, columns]`
    pub fn kept(&self, stage: usize, map: Tensor<4>) -> Tensor<4> {
        max_over_layers(unfolded(map, self.layers[stage]))
    }

    /// # Shapes
    /// - features: `[batch, channels, rows, columns]`, what was [kept](Self::kept), finest first
    /// - output: `[batch, 1, rows, columns]` of the finest
    pub fn forward(&self, features: Vec<Tensor<4>>) -> Tensor<4> {
        let mut coarse_to_fine = features.into_iter().rev();
        let coarsest = coarse_to_fine.next().expect("an encoder has a map");
        let joins = self.convs.iter().rev().zip(coarse_to_fine);
        let finest = joins.fold(coarsest, |x, ((conv, norm), skip)| {
            let [_, _, rows, columns] = skip.dims();
            let x = Resize::Bilinear.to(x, [rows, columns]);
            let joined = Tensor::cat(vec![skip, x], 1);
            conv.forward_normed(joined, norm, Some(Activation::Relu))
        });
        self.logit.forward(finest)
    }
}
