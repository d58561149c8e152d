use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, attend_over_layers};

use crate::layers::{
    Conv2d, Conv2dConfig, GroupNorm, Resize, VolumeConv, VolumeConvConfig, in_parts, resize_layers,
    unfolded,
};

/// The decoder of `scrollprize/ink_canonical_2um`: a 3D pyramid from the coarsest map to the finest,
/// summed over depth by attention, and logits of the finest map's size.
#[derive(Module, Debug)]
pub struct DepthAttention {
    channel_reduce: Vec<(VolumeConv, GroupNorm)>,
    /// Coarsest first.
    decoder_blocks: Vec<Block>,
    depth_collapse: Collapse,
    logit: Conv2d,
    #[module(skip)]
    layers: Vec<usize>,
}

#[derive(Module, Debug)]
struct Collapse {
    attn_conv: VolumeConv,
}

/// Groups of a norm, where they divide the channels.
const GROUPS: usize = 32;

fn norm(channels: usize, layers: usize, device: &Device) -> GroupNorm {
    let groups = (1..=GROUPS)
        .rev()
        .find(|&groups| channels.is_multiple_of(groups));
    GroupNorm::new(groups.unwrap_or(1), channels, device).over(layers)
}

impl DepthAttention {
    /// Over volumes' maps of `channels` channels and `layers` layers, finest first, each narrowed to
    /// `widths` first.
    pub fn new(channels: &[usize], widths: &[usize], layers: &[usize], device: &Device) -> Self {
        let reduce = |index: usize| {
            let conv = VolumeConvConfig::new([channels[index], widths[index]], 1, layers[index]);
            (
                conv.init(device),
                norm(widths[index], layers[index], device),
            )
        };
        let last = widths.len() - 1;
        let block = |index: usize| {
            let inputs = widths[index + 1] + widths[index];
            Block::new([inputs, widths[index]], layers[index], device)
        };
        Self {
            channel_reduce: (0..=last).map(reduce).collect(),
            decoder_blocks: (0..last).rev().map(block).collect(),
            depth_collapse: Collapse {
                attn_conv: VolumeConvConfig::new([widths[0], 1], 1, layers[0])
                    .with_bias(true)
                    .init(device),
            },
            logit: Conv2dConfig::new([widths[0], 1], 1).init(device),
            layers: layers.to_vec(),
        }
    }

    /// The map of a stage, narrowed.
    ///
    /// # Shapes
    /// - map: `[batch × layers, channels, rows, columns]`
    /// - output: `[batch × layers, width, rows, columns]`
    pub fn kept(&self, stage: usize, map: Tensor<4>) -> Tensor<4> {
        let (conv, norm) = &self.channel_reduce[stage];
        norm.apply(conv.forward(map), Some(Activation::Relu))
    }

    /// # Shapes
    /// - features: `[batch × layers, width, rows, columns]`, what was [kept](Self::kept), finest first
    /// - output: `[batch, 1, rows, columns]` of the finest
    pub fn forward(&self, features: Vec<Tensor<4>>) -> Tensor<4> {
        let mut coarse_to_fine = features.into_iter().zip(self.layers.iter().copied()).rev();
        let (mut x, mut layers) = coarse_to_fine.next().expect("an encoder has a map");
        for ((skip, target), block) in coarse_to_fine.zip(&self.decoder_blocks) {
            x = block.forward(beside(resize_layers(x, layers, target), skip));
            layers = target;
        }
        let scores = unfolded(self.depth_collapse.attn_conv.forward(x.clone()), layers);
        let sum = attend_over_layers(unfolded(x, layers), scores);
        self.logit.forward(sum)
    }
}

/// Images at once where nothing is recorded.
const AT_ONCE: usize = 8;

/// `coarse`, enlarged to the size of `skip`, and then the channels of `skip`.
fn beside(coarse: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
    let [images, _, rows, columns] = skip.dims();
    let at_once = match skip.device().is_autodiff() {
        true => images,
        false => AT_ONCE,
    };
    in_parts(0, images, at_once, |range| {
        let part = |x: &Tensor<4>| x.clone().narrow(0, range.start, range.len());
        let enlarged = Resize::Bilinear.to(part(&coarse), [rows, columns]);
        Tensor::cat(vec![enlarged, part(&skip)], 1)
    })
}

#[derive(Module, Debug)]
struct Block {
    conv1: VolumeConv,
    gn1: GroupNorm,
    conv2: VolumeConv,
    gn2: GroupNorm,
    shortcut: VolumeConv,
}

impl Block {
    fn new([inputs, outputs]: [usize; 2], layers: usize, device: &Device) -> Self {
        let conv =
            |inputs, kernel| VolumeConvConfig::new([inputs, outputs], kernel, layers).init(device);
        Self {
            conv1: conv(inputs, 3),
            gn1: norm(outputs, layers, device),
            conv2: conv(outputs, 3),
            gn2: norm(outputs, layers, device),
            shortcut: conv(inputs, 1),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shortcut = self.shortcut.forward(input.clone());
        let x = self.conv1.forward(input);
        let x = self.gn1.apply(x, Some(Activation::Relu));
        let x = self.gn2.apply(self.conv2.forward(x), None);
        activate(x + shortcut, Activation::Relu)
    }
}
