use burn::module::Module;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::tensor::{Device, Tensor};
use inkling_kernels::Activation;

use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, Conv2d, Conv2dConfig, Dropout, Initializer, Resize,
};

/// Sides of the maps that the coarsest features are pooled to.
const POOLED: [usize; 4] = [1, 2, 3, 6];

/// Configuration of a [`UperNet`] decoder.
#[derive(Clone, Debug)]
pub struct UperNetConfig {
    encoder: Vec<usize>,
    width: usize,
    dropout: f64,
}

impl UperNetConfig {
    /// A decoder of `width` channels over feature maps of `encoder` channels, finest first.
    pub fn new(encoder: &[usize], width: usize) -> Self {
        Self {
            encoder: encoder.to_vec(),
            width,
            dropout: 0.0,
        }
    }

    /// Sets the share of features dropped before the head during training.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Makes the decoder; convolutions start Kaiming-uniform.
    pub fn init(&self, device: &Device) -> UperNet {
        let width = self.width;
        let conv = |inputs, kernel| ConvModule::new([inputs, width], kernel, device);
        let (coarsest, finer) = self.encoder.split_last().unwrap_or((&0, &[]));
        let pool = |side| AdaptiveAvgPool2dConfig::new([side, side]).init();
        UperNet {
            psp_modules: POOLED
                .iter()
                .map(|&side| (pool(side), conv(*coarsest, 1)))
                .collect(),
            bottleneck: conv(coarsest + POOLED.len() * width, 3),
            lateral_convs: finer.iter().map(|&inputs| conv(inputs, 1)).collect(),
            fpn_convs: finer.iter().map(|_| conv(width, 3)).collect(),
            fpn_bottleneck: conv(self.encoder.len() * width, 3),
            dropout: Dropout::of_channels(self.dropout),
        }
    }
}

/// Unified perceptual parsing (Xiao et al., 2018), with the names and numbers of mmsegmentation's
/// `UPerHead`: the coarsest map pooled at four scales for context, then a feature pyramid; all
/// levels are enlarged to the finest and merged.
#[derive(Module, Debug)]
pub struct UperNet {
    psp_modules: Vec<(AdaptiveAvgPool2d, ConvModule)>,
    bottleneck: ConvModule,
    lateral_convs: Vec<ConvModule>,
    fpn_convs: Vec<ConvModule>,
    fpn_bottleneck: ConvModule,
    dropout: Dropout,
}

impl UperNet {
    /// # Shapes
    /// - features: `[batch, channels, side, side]`, finest first
    /// - output: `[batch, width, side, side]` of the finest map's side
    pub fn forward(&self, mut features: Vec<Tensor<4>>) -> Tensor<4> {
        let coarsest = features
            .pop()
            .expect("an encoder gives at least one feature map");
        let mut level = self.context(coarsest);
        let mut merged = vec![level.clone()];
        let finer = features.into_iter().zip(&self.lateral_convs);
        for ((map, lateral), smooth) in finer.zip(&self.fpn_convs).rev() {
            let lateral = lateral.forward(map);
            level = lateral.clone() + Resize::Bilinear.to(level, side(&lateral));
            merged.insert(0, smooth.forward(level.clone()));
        }
        let finest = side(&merged[0]);
        let levels = merged
            .into_iter()
            .map(|map| Resize::Bilinear.to(map, finest));
        let joined = Tensor::cat(levels.collect(), 1);
        self.dropout.forward(self.fpn_bottleneck.forward(joined))
    }

    /// The coarsest map beside what its surroundings look like.
    fn context(&self, coarsest: Tensor<4>) -> Tensor<4> {
        let size = side(&coarsest);
        let mut parts = vec![coarsest.clone()];
        for (pool, conv) in &self.psp_modules {
            let map = conv.forward(pool.forward(coarsest.clone()));
            parts.push(Resize::Bilinear.to(map, size));
        }
        self.bottleneck.forward(Tensor::cat(parts, 1))
    }
}

fn side(map: &Tensor<4>) -> [usize; 2] {
    let [_, _, height, width] = map.dims();
    [height, width]
}

/// A convolution without bias, a batch norm and a ReLU; mmcv's `ConvModule`.
#[derive(Module, Debug)]
struct ConvModule {
    conv: Conv2d,
    bn: BatchNorm2d,
}

impl ConvModule {
    fn new(channels: [usize; 2], kernel: usize, device: &Device) -> Self {
        let initializer = Initializer::KaimingUniform {
            gain: std::f64::consts::SQRT_2,
        };
        Self {
            conv: Conv2dConfig::new(channels, kernel)
                .with_bias(false)
                .with_initializer(initializer)
                .init(device),
            bn: BatchNorm2dConfig::new(channels[1]).init(device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.conv
            .forward_normed(input, &self.bn, Some(Activation::Relu))
    }
}
