//! ConvNeXt (Liu et al., *A ConvNet for the 2020s*, 2022) and ConvNeXt V2 (Woo et al., 2023), as
//! timm builds them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, add, add_scaled};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, VolumeForm, multiply_adds};
use crate::layers::{
    Conv, Conv2dConfig, DropPath, GlobalResponseNorm, GlobalResponseNormConfig, Initializer,
    LayerNorm, LayerNormConfig, Projection, drop_path_rates,
};
use crate::{Approach, Error};

struct Variant {
    name: &'static str,
    channels: [usize; 4],
    blocks: [usize; 4],
    /// Keeps its MLPs as 1 × 1 convolutions.
    conv_mlp: bool,
}

const fn variant(
    name: &'static str,
    channels: [usize; 4],
    blocks: [usize; 4],
    conv_mlp: bool,
) -> Variant {
    Variant {
        name,
        channels,
        blocks,
        conv_mlp,
    }
}

#[rustfmt::skip]
const VARIANTS: &[Variant] = &[
    variant("convnext_atto", [40, 80, 160, 320], [2, 2, 6, 2], true),
    variant("convnext_femto", [48, 96, 192, 384], [2, 2, 6, 2], true),
    variant("convnext_pico", [64, 128, 256, 512], [2, 2, 6, 2], true),
    variant("convnext_nano", [80, 160, 320, 640], [2, 2, 8, 2], true),
    variant("convnext_tiny", [96, 192, 384, 768], [3, 3, 9, 3], false),
    variant("convnext_small", [96, 192, 384, 768], [3, 3, 27, 3], false),
    variant("convnext_base", [128, 256, 512, 1024], [3, 3, 27, 3], false),
    variant("convnext_large", [192, 384, 768, 1536], [3, 3, 27, 3], false),
    variant("convnext_xlarge", [256, 512, 1024, 2048], [3, 3, 27, 3], false),
    variant("convnextv2_atto", [40, 80, 160, 320], [2, 2, 6, 2], true),
    variant("convnextv2_femto", [48, 96, 192, 384], [2, 2, 6, 2], true),
    variant("convnextv2_pico", [64, 128, 256, 512], [2, 2, 6, 2], true),
    variant("convnextv2_nano", [80, 160, 320, 640], [2, 2, 8, 2], true),
    variant("convnextv2_tiny", [96, 192, 384, 768], [3, 3, 9, 3], false),
    variant("convnextv2_small", [96, 192, 384, 768], [3, 3, 27, 3], false),
    variant("convnextv2_base", [128, 256, 512, 1024], [3, 3, 27, 3], false),
    variant("convnextv2_large", [192, 384, 768, 1536], [3, 3, 27, 3], false),
    variant("convnextv2_huge", [352, 704, 1408, 2816], [3, 3, 27, 3], false),
];

const DEEPEST_STRIDE: usize = 32;
/// Start of the first version's layer scales.
const LAYER_SCALE: f64 = 1e-6;

impl Variant {
    fn is_second(&self) -> bool {
        self.name.starts_with("convnextv2")
    }

    /// The largest was never published at 224 px.
    fn image_size(&self) -> usize {
        if self.name.ends_with("huge") {
            384
        } else {
            224
        }
    }
}

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::ConvNext,
        image_size: variant.image_size(),
        licence: match variant.is_second() {
            true => "CC-BY-NC-4.0",
            false => "Apache-2.0",
        },
    })
}

/// Configuration of a [`ConvNext`].
#[derive(Clone, Debug)]
pub struct ConvNextConfig {
    channels: [usize; 4],
    blocks: [usize; 4],
    conv_mlp: bool,
    second: bool,
    inputs: usize,
    drop_path: f64,
    form: Option<VolumeForm>,
}

impl EncoderFamily for ConvNextConfig {
    type Encoder = ConvNext;
    const FIRST_CONVOLUTION: &'static str = "stem_0.weight";
    const VOLUMES: &'static [Approach] = &[Approach::Volume];

    /// The published variant `name` for images of `image_size` px with `inputs` channels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when 32 does not divide the image size.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error> {
        let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
            return Ok(None);
        };
        Error::check_image_size(name, image_size, DEEPEST_STRIDE)?;
        Ok(Some(Self {
            channels: variant.channels,
            blocks: variant.blocks,
            conv_mlp: variant.conv_mlp,
            second: variant.is_second(),
            inputs,
            drop_path: 0.0,
            form: None,
        }))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(mut self, rate: f64) -> Self {
        self.drop_path = rate;
        self
    }

    /// Channels of the four feature maps, finest (stride 4) first.
    fn channels(&self) -> Vec<usize> {
        self.channels.to_vec()
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let stem = multiply_adds::conv(image_size / 4, [self.inputs, self.channels[0]], 4);
        let stage = |index: usize| {
            let (side, channels) = (image_size / (4 << index), self.channels[index]);
            let halve = match index {
                0 => 0,
                _ => multiply_adds::conv(side, [self.channels[index - 1], channels], 2),
            };
            let block =
                multiply_adds::depthwise(side, channels, 7) + multiply_adds::mlp(side, channels);
            halve + self.blocks[index] as u64 * block
        };
        stem + (0..4).map(stage).sum::<u64>()
    }

    fn over_volumes(mut self, form: VolumeForm) -> Result<Self, Error> {
        self.form = Some(form);
        Ok(self)
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> ConvNext {
        let form = self.form.as_ref();
        let rates = drop_path_rates(self.drop_path, &self.blocks);
        let stages = rates.into_iter().enumerate().map(|(index, rates)| {
            let channels = self.channels[index];
            Stage {
                downsample: (index > 0).then(|| {
                    let inputs = self.channels[index - 1];
                    let halve = patchify([inputs, channels], 2);
                    (
                        LayerNormConfig::new(inputs).init(device),
                        halve.init_over(form.map(|form| form.entering(index)), device),
                    )
                }),
                blocks: rates
                    .into_iter()
                    .map(|rate| self.block(index, rate, device))
                    .collect(),
            }
        });
        ConvNext {
            stem_0: patchify([self.inputs, self.channels[0]], 4)
                .init_over(form.map(|form| form.entering(0)), device),
            stem_1: LayerNormConfig::new(self.channels[0]).init(device),
            stages: stages.collect(),
        }
    }
}

impl ConvNextConfig {
    fn block(&self, stage: usize, rate: f64, device: &Device) -> Block {
        let channels = self.channels[stage];
        let hidden = 4 * channels;
        let form = self.form.as_ref();
        let layers = VolumeForm::layers_or_one(form, stage);
        let scale = Initializer::Constant(LAYER_SCALE);
        Block {
            conv_dw: Conv2dConfig::new([channels, channels], 7)
                .with_groups(channels)
                .init_over(form.map(|form| form.within(stage)), device),
            norm: LayerNormConfig::new(channels).init(device),
            mlp: ResponseMlp {
                fc1: Projection::new([channels, hidden], self.conv_mlp, device),
                grn: self.second.then(|| {
                    GlobalResponseNormConfig::new(hidden)
                        .over(layers)
                        .init(device)
                }),
                fc2: Projection::new([hidden, channels], self.conv_mlp, device),
            },
            gamma: (!self.second).then(|| scale.init([channels], device)),
            drop_path: DropPath::new(rate).over(layers),
        }
    }
}

/// A convolution whose patches do not overlap.
fn patchify(channels: [usize; 2], side: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, side)
        .with_stride(side)
        .with_padding(0)
}

/// The encoder: a stem and four stages. Maps run channels last between convolutions.
#[derive(Module, Debug)]
pub struct ConvNext {
    stem_0: Conv,
    stem_1: LayerNorm,
    stages: Vec<Stage>,
}

impl StagedEncoder for ConvNext {
    /// How many blocks each stage has.
    fn blocks(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.blocks.len()).collect()
    }

    /// One block of a stage; the first with what leads to it.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, size / stride, size / stride, channels]` at strides 4, 8, 16 and 32
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let Stage { downsample, blocks } = &self.stages[stage];
        let input = match (downsample, block) {
            (None, 0) => {
                let patches = channels_last(self.stem_0.forward(input));
                self.stem_1.forward(patches)
            }
            (Some((norm, halve)), 0) => {
                channels_last(halve.forward(channels_first(norm.forward(input))))
            }
            _ => input,
        };
        blocks[block].forward(input)
    }

    /// Maps run channels last within.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        x.permute([0, 3, 1, 2])
    }
}

fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<(LayerNorm, Conv)>,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    conv_dw: Conv,
    norm: LayerNorm,
    mlp: ResponseMlp,
    gamma: Option<Param<Tensor<1>>>,
    drop_path: DropPath,
}

impl Block {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = channels_last(self.conv_dw.forward(channels_first(input.clone())));
        let x = self.mlp.forward(self.norm.forward(x));
        let x = self.drop_path.forward(x);
        match &self.gamma {
            Some(gamma) => add_scaled(input, x, gamma.val()),
            None => add(x, input),
        }
    }
}

/// Two projections with GELU between, in the second version with a response norm after it.
#[derive(Module, Debug)]
struct ResponseMlp {
    fc1: Projection,
    grn: Option<GlobalResponseNorm>,
    fc2: Projection,
}

impl ResponseMlp {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.fc1.forward_activated(input, Activation::Gelu);
        let x = match &self.grn {
            Some(norm) => norm.forward(x),
            None => x,
        };
        self.fc2.forward(x)
    }
}
