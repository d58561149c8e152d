//! I3D, Inception with kernels that have a depth (Carreira and Zisserman, *Quo vadis, action
//! recognition?*, 2017), with non-local blocks in its last stage, under the Vesuvius Grand Prize's
//! decoder.
#![allow(non_snake_case, reason = "fields bear the tensors' names")]

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, PoolAxis, max_pool3d};
use serde::{Deserialize, Serialize};

use super::StagedNetwork;
use crate::decoders::DepthMax;
use crate::depth::Place;
use crate::encoders::Stages;
use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, Resize, VolumeConv, VolumeConvConfig, same_border, unfolded,
};
use crate::{Error, ModelSettings, Normalization};

/// `[model.i3d]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct I3dShape {
    /// All numbers of channels are divided by this, 1 to 16, for networks narrower than the published
    /// one.
    pub narrow: usize,
}

impl Default for I3dShape {
    fn default() -> Self {
        Self { narrow: 1 }
    }
}

const DEEPEST_STRIDE: usize = 32;

impl I3dShape {
    /// # Errors
    /// [`Error::Setting`] or [`Error::ImageSize`] for what fits no network.
    pub(crate) fn check(&self, image_size: usize) -> Result<(), Error> {
        if ![1, 2, 4, 8, 16].contains(&self.narrow) {
            return Err(Error::Setting {
                key: "i3d.narrow",
                found: self.narrow.to_string(),
                expected: "1, 2, 4, 8 or 16".to_owned(),
            });
        }
        Error::check_image_size("i3d", image_size, DEEPEST_STRIDE)
    }
}

/// Channels of a block's four branches: the first, the second's two, the third's two, the pooled one.
type Widths = [usize; 6];

/// The blocks of the second, third and fourth stage.
const STAGES: [&[Widths]; 3] = [
    &[[64, 96, 128, 16, 32, 32], [128, 128, 192, 32, 96, 64]],
    &[
        [192, 96, 208, 16, 48, 64],
        [160, 112, 224, 24, 64, 64],
        [128, 128, 256, 24, 64, 64],
        [112, 144, 288, 32, 64, 64],
        [256, 160, 320, 32, 128, 128],
    ],
    &[[256, 160, 320, 32, 128, 128], [384, 192, 384, 48, 128, 128]],
];
/// The pools before them: kernel and stride, along depth and in the plane.
const POOLS: [[[usize; 2]; 2]; 3] = [[[1, 3], [1, 2]], [[3, 3], [2, 2]], [[2, 2], [2, 2]]];

fn outputs(widths: Widths) -> usize {
    widths[0] + widths[2] + widths[4] + widths[5]
}

/// The network.
#[derive(Module, Debug)]
pub struct I3dNetwork {
    backbone: Backbone,
    decoder: DepthMax,
    #[module(skip)]
    normalization: Normalization,
    /// Layers of the four feature maps.
    #[module(skip)]
    layers: [usize; 4],
}

impl I3dNetwork {
    /// Makes the network that checked `settings` describe.
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Self {
        let narrow = settings.i3d.clone().unwrap_or_default().narrow;
        let halves = |layers: usize| layers.div_ceil(2);
        let first = halves(settings.depth);
        let layers = [first, first, halves(first), halves(halves(first))];
        let last = |stage: &[Widths]| outputs(stage[stage.len() - 1]);
        let [second, third, fourth] = STAGES.map(last);
        let channels = [192, second, third, fourth].map(|channels| channels / narrow);
        Self {
            backbone: Backbone::new(settings.depth, layers, narrow, device),
            decoder: DepthMax::new(&channels, &layers, device),
            normalization: settings.normalization.clone(),
            layers,
        }
    }
}

impl Stages for I3dNetwork {
    /// The stem's three convolutions are the first stage, of one block.
    fn blocks(&self) -> Vec<usize> {
        let mixed = STAGES.iter().map(|stage| stage.len());
        std::iter::once(1).chain(mixed).collect()
    }

    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let Some(index) = stage.checked_sub(1) else {
            return self.backbone.stem(input, self.layers[0]);
        };
        let input = match block {
            0 => pool_same(input, self.layers[index], POOLS[index]),
            _ => input,
        };
        self.backbone.mixed(index, block).forward(input)
    }
}

impl StagedNetwork for I3dNetwork {
    fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    fn encoder(&self) -> &dyn Stages {
        self
    }

    fn kept(&self, stage: usize, map: Tensor<4>) -> Tensor<4> {
        self.decoder.kept(stage, map)
    }

    fn partial(&self, features: Vec<Tensor<4>>, _batch: usize) -> Tensor<4> {
        self.decoder.forward(features)
    }

    fn enlargement(&self) -> Resize {
        Resize::Bilinear
    }

    fn enlarges_probabilities(&self) -> bool {
        true
    }

    fn place(&self, name: &str) -> Option<Place> {
        let rest = name.strip_prefix("backbone.")?;
        let Some(rest) = rest.strip_prefix("Mixed_") else {
            return Some(Place::Block { stage: 0, block: 0 });
        };
        let (stage, letter) = rest.split_at_checked(1)?;
        let letter = letter.bytes().next()?;
        Some(Place::Block {
            stage: stage.parse::<usize>().ok()?.checked_sub(2)?,
            block: usize::from(letter.checked_sub(b'b')?),
        })
    }
}

/// Under the names of the Grand Prize's checkpoints.
#[derive(Module, Debug)]
struct Backbone {
    Conv3d_1a_7x7: Unit,
    Conv3d_2b_1x1: Unit,
    Conv3d_2c_3x3: Unit,
    Mixed_3b: Mixed,
    Mixed_3c: Mixed,
    Mixed_4b: Mixed,
    Mixed_4c: Mixed,
    Mixed_4d: Mixed,
    Mixed_4e: Mixed,
    Mixed_4f: Mixed,
    Mixed_5b: Mixed,
    Mixed_5c: Mixed,
}

impl Backbone {
    fn new(depth: usize, layers: [usize; 4], narrow: usize, device: &Device) -> Self {
        let unit = |channels: [usize; 2], kernel, stride, layers| {
            Unit::new(channels.map(|c| c / narrow), kernel, stride, layers, device)
        };
        let first = Unit::new([1, 64 / narrow], 7, 2, depth, device);
        let mut inputs = 192 / narrow;
        let mut mixed = |stage: usize, block: usize| {
            let widths = STAGES[stage][block].map(|width| width / narrow);
            let attends = stage == 2;
            let made = Mixed::new(inputs, widths, attends, layers[stage + 1], device);
            inputs = outputs(widths);
            made
        };
        Self {
            Conv3d_1a_7x7: first,
            Conv3d_2b_1x1: unit([64, 64], 1, 1, layers[0]),
            Conv3d_2c_3x3: unit([64, 192], 3, 1, layers[0]),
            Mixed_3b: mixed(0, 0),
            Mixed_3c: mixed(0, 1),
            Mixed_4b: mixed(1, 0),
            Mixed_4c: mixed(1, 1),
            Mixed_4d: mixed(1, 2),
            Mixed_4e: mixed(1, 3),
            Mixed_4f: mixed(1, 4),
            Mixed_5b: mixed(2, 0),
            Mixed_5c: mixed(2, 1),
        }
    }

    fn mixed(&self, stage: usize, block: usize) -> &Mixed {
        let stages: [&[&Mixed]; 3] = [
            &[&self.Mixed_3b, &self.Mixed_3c],
            &[
                &self.Mixed_4b,
                &self.Mixed_4c,
                &self.Mixed_4d,
                &self.Mixed_4e,
                &self.Mixed_4f,
            ],
            &[&self.Mixed_5b, &self.Mixed_5c],
        ];
        stages[stage][block]
    }

    /// `layers` are left after the first convolution.
    fn stem(&self, patch: Tensor<4>, layers: usize) -> Tensor<4> {
        let x = self.Conv3d_1a_7x7.forward(patch);
        let x = pool_same(x, layers, [[1, 3], [1, 2]]);
        self.Conv3d_2c_3x3.forward(self.Conv3d_2b_1x1.forward(x))
    }
}

/// A convolution, a norm and a ReLU.
#[derive(Module, Debug)]
struct Unit {
    conv3d: VolumeConv,
    bn: BatchNorm2d,
}

impl Unit {
    fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        layers: usize,
        device: &Device,
    ) -> Self {
        let conv = VolumeConvConfig::new(channels, kernel, layers).with_stride([stride; 2]);
        Self {
            conv3d: conv.with_same_padding(true).init(device),
            bn: BatchNorm2dConfig::new(channels[1])
                .with_epsilon(1e-3)
                .init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let rectified = Some(Activation::Relu);
        self.conv3d.forward_normed(x, &self.bn, rectified)
    }
}

/// Inception's block: four branches side by side.
#[derive(Module, Debug)]
struct Mixed {
    nl_block: Option<NonLocal>,
    b0: Unit,
    b1a: Unit,
    b1b: Unit,
    b2a: Unit,
    b2b: Unit,
    b3b: Unit,
    layers: usize,
}

impl Mixed {
    fn new(inputs: usize, widths: Widths, attends: bool, layers: usize, device: &Device) -> Self {
        let unit =
            |inputs, outputs, kernel| Unit::new([inputs, outputs], kernel, 1, layers, device);
        let [first, second, second_out, third, third_out, pooled] = widths;
        Self {
            nl_block: attends.then(|| NonLocal::new(inputs, layers, device)),
            b0: unit(inputs, first, 1),
            b1a: unit(inputs, second, 1),
            b1b: unit(second, second_out, 3),
            b2a: unit(inputs, third, 1),
            b2b: unit(third, third_out, 3),
            b3b: unit(inputs, pooled, 1),
            layers,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = match &self.nl_block {
            Some(block) => block.forward(input),
            None => input,
        };
        let pooled = pool_same(x.clone(), self.layers, [[3, 3], [1, 1]]);
        let branches = vec![
            self.b0.forward(x.clone()),
            self.b1b.forward(self.b1a.forward(x.clone())),
            self.b2b.forward(self.b2a.forward(x)),
            self.b3b.forward(pooled),
        ];
        Tensor::cat(branches, 1)
    }
}

/// Every place sees all places of the volume, by the likeness of their features (Wang et al.,
/// *Non-local neural networks*, 2018, the Gaussian kind).
#[derive(Module, Debug)]
struct NonLocal {
    g: VolumeConv,
    W_z: (VolumeConv, BatchNorm2d),
    layers: usize,
}

impl NonLocal {
    fn new(channels: usize, layers: usize, device: &Device) -> Self {
        let conv = |channels| {
            VolumeConvConfig::new(channels, 1, layers)
                .with_bias(true)
                .init(device)
        };
        let half = channels / 2;
        let norm = BatchNorm2dConfig::new(channels).init(device);
        Self {
            g: conv([channels, half]),
            W_z: (conv([half, channels]), norm),
            layers,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [images, channels, height, width] = x.dims();
        let batch = images / self.layers;
        let places = self.layers * height * width;
        let rows = |x: Tensor<4>| {
            let [_, channels, ..] = x.dims();
            let x = unfolded(x, self.layers).permute([0, 1, 3, 4, 2]);
            x.reshape([batch, places, channels])
        };
        let likeness = rows(x.clone());
        let weights = softmax(likeness.clone().matmul(likeness.swap_dims(1, 2)), 2);
        let seen = weights.matmul(rows(self.g.forward(x.clone())));
        let seen = seen.reshape([images, height, width, channels / 2]);
        let (conv, norm) = &self.W_z;
        x + conv.forward_normed(seen.permute([0, 3, 1, 2]), norm, None)
    }
}

/// The largest value in reach, between zeros as TensorFlow's `SAME` puts them; kernels and strides are those along depth
/// and in the plane.
///
/// # Shapes
/// - x: `[batch × layers, channels, height, width]`
/// - output: `[batch × layers / stride, channels, height / stride, width / stride]`, rounded up
fn pool_same(x: Tensor<4>, layers: usize, [kernel, stride]: [[usize; 2]; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let axis = |size, index: usize| PoolAxis {
        kernel: kernel[index],
        stride: stride[index],
        border: same_border(size, kernel[index], stride[index]),
    };
    max_pool3d(
        x,
        layers,
        [axis(layers, 0), axis(height, 1), axis(width, 1)],
        0.0,
    )
}
