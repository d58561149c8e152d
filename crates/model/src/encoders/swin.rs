//! Swin Transformer V2 (Liu et al., *Swin Transformer V2: scaling up capacity and resolution*,
//! 2022) as timm builds it: cosine attention in shifted windows, biases from log-spaced relative
//! positions, norms after the branches.

use burn::module::{Module, Param};
use burn::nn::Relu;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::{
    Activation, activate, add, attention, expand_position_bias, l2_normalize, rearrange, roll,
};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, multiply_adds};
use crate::Error;
use crate::layers::{
    Conv2d, Conv2dConfig, DropPath, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    Mlp, MlpConfig, Partition, PartitionKind, drop_path_rates,
};

struct Variant {
    name: &'static str,
    image_size: usize,
    window: usize,
    /// Window sizes of the four stages in pretraining, where they differ.
    pretrained: Option<[usize; 4]>,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    width: usize,
    blocks: [usize; 4],
}

const TINY: Size = Size {
    width: 96,
    blocks: [2, 2, 6, 2],
};
const SMALL: Size = Size {
    width: 96,
    blocks: [2, 2, 18, 2],
};
const BASE: Size = Size {
    width: 128,
    blocks: [2, 2, 18, 2],
};
const LARGE: Size = Size {
    width: 192,
    blocks: [2, 2, 18, 2],
};

const fn variant(name: &'static str, image_size: usize, window: usize, size: Size) -> Variant {
    Variant {
        name,
        image_size,
        window,
        pretrained: None,
        size,
    }
}

/// Fine-tuned at a larger window than that of pretraining, 12 (6 in the last stage).
const fn resized(mut variant: Variant) -> Variant {
    variant.pretrained = Some([12, 12, 12, 6]);
    variant
}

const VARIANTS: &[Variant] = &[
    variant("swinv2_tiny_window8_256", 256, 8, TINY),
    variant("swinv2_tiny_window16_256", 256, 16, TINY),
    variant("swinv2_small_window8_256", 256, 8, SMALL),
    variant("swinv2_small_window16_256", 256, 16, SMALL),
    variant("swinv2_base_window8_256", 256, 8, BASE),
    variant("swinv2_base_window16_256", 256, 16, BASE),
    variant("swinv2_base_window12_192", 192, 12, BASE),
    resized(variant("swinv2_base_window12to16_192to256", 256, 16, BASE)),
    resized(variant("swinv2_base_window12to24_192to384", 384, 24, BASE)),
    variant("swinv2_large_window12_192", 192, 12, LARGE),
    resized(variant(
        "swinv2_large_window12to16_192to256",
        256,
        16,
        LARGE,
    )),
    resized(variant(
        "swinv2_large_window12to24_192to384",
        384,
        24,
        LARGE,
    )),
];

const DEEPEST_STRIDE: usize = 32;
/// Channels per attention head.
const HEAD_WIDTH: usize = 32;
/// Hidden units of the relative-position MLPs.
const POSITION_HIDDEN: usize = 512;
/// Added to the norms' variance.
const EPSILON: f64 = 1e-5;
/// Attention scores of positions that lie apart on the sheet.
const APART: f32 = -100.0;

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::Swin,
        image_size: variant.image_size,
        licence: "MIT",
    })
}

/// Configuration of a [`Swin`].
#[derive(Clone, Debug)]
pub struct SwinConfig {
    width: usize,
    blocks: [usize; 4],
    window: usize,
    pretrained: Option<[usize; 4]>,
    inputs: usize,
    image_size: usize,
    drop_path: f64,
}

impl EncoderFamily for SwinConfig {
    type Encoder = Swin;
    const FIRST_CONVOLUTION: &'static str = "patch_embed.proj.weight";

    /// The published variant `name` for square images of `image_size` px with `inputs` channels.
    /// Stages smaller than the window take a window of their own size.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when a stage is not a whole number of windows.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error> {
        let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
            return Ok(None);
        };
        let config = Self {
            width: variant.size.width,
            blocks: variant.size.blocks,
            window: variant.window,
            pretrained: variant.pretrained,
            inputs,
            image_size,
            drop_path: 0.0,
        };
        Error::check_image_size(name, image_size, DEEPEST_STRIDE)?;
        let whole = (0..4).all(|stage| config.side(stage).is_multiple_of(config.window_of(stage)));
        let multiple = if whole {
            DEEPEST_STRIDE
        } else {
            DEEPEST_STRIDE * variant.window
        };
        Error::check_image_size(name, image_size, multiple)?;
        Ok(Some(config))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(mut self, rate: f64) -> Self {
        self.drop_path = rate;
        self
    }

    /// Channels of the four feature maps, finest (stride 4) first.
    fn channels(&self) -> Vec<usize> {
        (0..4).map(|stage| self.width << stage).collect()
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let stem = multiply_adds::conv(image_size / 4, [self.inputs, self.width], 4);
        let stage = |index: usize| {
            let (side, channels) = (image_size / (4 << index), self.width << index);
            let halve = match index {
                0 => 0,
                _ => multiply_adds::conv(side, [2 * channels, channels], 1),
            };
            let window = self.window.min(side);
            let groups = (side / window) * (side / window);
            let distances = (2 * window - 1) * (2 * window - 1);
            let positions =
                multiply_adds::linear(distances, [POSITION_HIDDEN, 2 + channels / HEAD_WIDTH]);
            let block = multiply_adds::attention(groups, window * window, channels)
                + positions
                + multiply_adds::mlp(side, channels);
            halve + self.blocks[index] as u64 * block
        };
        stem + (0..4).map(stage).sum::<u64>()
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> Swin {
        let rates = drop_path_rates(self.drop_path, &self.blocks);
        let layers = rates.into_iter().enumerate().map(|(stage, rates)| {
            let channels = self.width << stage;
            let blocks = rates.into_iter().enumerate();
            Stage {
                downsample: (stage > 0).then(|| Downsample {
                    reduction: LinearConfig::new([2 * channels, channels])
                        .with_bias(false)
                        .init(device),
                    norm: norm(channels, device),
                }),
                blocks: blocks
                    .map(|(index, rate)| self.block(stage, index, rate, device))
                    .collect(),
            }
        });
        Swin {
            patch_embed: PatchEmbed {
                proj: Conv2dConfig::new([self.inputs, self.width], 4)
                    .with_stride(4)
                    .with_padding(0)
                    .init(device),
                norm: norm(self.width, device),
            },
            layers: layers.collect(),
        }
    }
}

impl SwinConfig {
    /// Side of a stage's maps.
    fn side(&self, stage: usize) -> usize {
        self.image_size / (4 << stage)
    }

    fn window_of(&self, stage: usize) -> usize {
        self.window.min(self.side(stage))
    }

    fn block(&self, stage: usize, index: usize, rate: f64, device: &Device) -> Block {
        let channels = self.width << stage;
        let window = self.window_of(stage);
        // Every other block's windows are shifted by half; a single window has nowhere to go.
        let shifted = index % 2 == 1 && self.side(stage) > window;
        Block {
            attn: self.attention(stage, device),
            norm1: norm(channels, device),
            mlp: MlpConfig::new(channels, 4 * channels).init(device),
            norm2: norm(channels, device),
            drop_path: DropPath::new(rate),
            partition: Partition::new(PartitionKind::Block, window),
            shift: if shifted { window / 2 } else { 0 },
            window,
        }
    }

    fn attention(&self, stage: usize, device: &Device) -> Attention {
        let channels = self.width << stage;
        let heads = channels / HEAD_WIDTH;
        let start = Initializer::Constant(10.0_f64.ln());
        let window = self.window_of(stage);
        Attention {
            logit_scale: start.init([heads, 1, 1], device),
            q_bias: Initializer::ZEROS.init([channels], device),
            v_bias: Initializer::ZEROS.init([channels], device),
            cpb_mlp: (
                LinearConfig::new([2, POSITION_HIDDEN]).init(device),
                Relu::new(),
                LinearConfig::new([POSITION_HIDDEN, heads])
                    .with_bias(false)
                    .init(device),
            ),
            qkv: LinearConfig::new([channels, 3 * channels])
                .with_bias(false)
                .init(device),
            proj: LinearConfig::new([channels, channels]).init(device),
            heads,
            window,
            pretrained: self.pretrained.map_or(window, |windows| windows[stage]),
        }
    }
}

fn norm(channels: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(channels)
        .with_epsilon(EPSILON)
        .init(device)
}

/// The encoder: patches and four stages. Maps run channels last.
#[derive(Module, Debug)]
pub struct Swin {
    patch_embed: PatchEmbed,
    layers: Vec<Stage>,
}

impl StagedEncoder for Swin {
    /// How many blocks each stage has.
    fn blocks(&self) -> Vec<usize> {
        self.layers.iter().map(|stage| stage.blocks.len()).collect()
    }

    /// One block of a stage; the first with what leads to it.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, size / stride, size / stride, channels]` at strides 4, 8, 16 and 32
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let Stage { downsample, blocks } = &self.layers[stage];
        let input = match (downsample, block) {
            (None, 0) => {
                let patches = self.patch_embed.proj.forward(input);
                self.patch_embed.norm.forward(patches.permute([0, 2, 3, 1]))
            }
            (Some(downsample), 0) => downsample.forward(input),
            _ => input,
        };
        blocks[block].forward(input)
    }

    /// Maps run channels last within.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        x.permute([0, 3, 1, 2])
    }
}

#[derive(Module, Debug)]
struct PatchEmbed {
    proj: Conv2d,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

/// Two by two neighbours become one, with twice the channels.
#[derive(Module, Debug)]
struct Downsample {
    reduction: Linear,
    norm: LayerNorm,
}

impl Downsample {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = input.dims();
        let merged = rearrange(
            input,
            [batch, height / 2, 2, width / 2, 2, channels],
            [0, 1, 3, 4, 2, 5],
            [batch, height / 2, width / 2, 4 * channels],
        );
        self.norm.forward(self.reduction.forward(merged))
    }
}

#[derive(Module, Debug)]
struct Block {
    attn: Attention,
    norm1: LayerNorm,
    mlp: Mlp,
    norm2: LayerNorm,
    drop_path: DropPath,
    #[module(skip)]
    partition: Partition,
    shift: usize,
    window: usize,
}

impl Block {
    /// `[batch, height, width, channels]` in and out.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let attended = self.norm1.forward(self.attend(input.clone()));
        let x = add(self.drop_path.forward(attended), input);
        let mixed = self.norm2.forward(self.mlp.forward(x.clone()));
        add(self.drop_path.forward(mixed), x)
    }

    fn attend(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, height, width, _] = input.dims();
        let device = input.device();
        let mask = (self.shift > 0).then(|| self.mask(height, width, &device));
        let shifted = roll(input, [height - self.shift, width - self.shift]);
        let windows = self.attn.forward(self.partition.split(shifted), mask);
        let joined = self.partition.join(windows, [height, width]);
        roll(joined, [self.shift; 2])
    }

    /// Scores to add in each window, `[windows, positions, positions]`: positions that the shift
    /// brought together from opposite edges must not attend to each other.
    fn mask(&self, height: usize, width: usize, device: &Device) -> Tensor<3> {
        let band = |place: usize, size: usize| match place {
            place if place < size - self.window => 0,
            place if place < size - self.shift => 1,
            _ => 2,
        };
        let window = self.window;
        let area = window * window;
        let mut values = Vec::with_capacity(height * width * area);
        for top in (0..height).step_by(window) {
            for left in (0..width).step_by(window) {
                let bands: Vec<usize> = (0..area)
                    .map(|p| 3 * band(top + p / window, height) + band(left + p % window, width))
                    .collect();
                for query in &bands {
                    values.extend(
                        bands
                            .iter()
                            .map(|key| if key == query { 0.0 } else { APART }),
                    );
                }
            }
        }
        let windows = height * width / area;
        Tensor::from_data(TensorData::new(values, [windows, area, area]), device)
    }
}

#[derive(Module, Debug)]
struct Attention {
    logit_scale: Param<Tensor<3>>,
    q_bias: Param<Tensor<1>>,
    v_bias: Param<Tensor<1>>,
    cpb_mlp: (Linear, Relu, Linear),
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
    pretrained: usize,
}

impl Attention {
    /// `[batch × windows, positions, channels]` in and out; the mask is `[windows, positions,
    /// positions]`.
    fn forward(&self, input: Tensor<3>, mask: Option<Tensor<3>>) -> Tensor<3> {
        let [groups, positions, channels] = input.dims();
        let device = input.device();
        let none = Tensor::zeros([channels], &device);
        let bias = Tensor::cat(vec![self.q_bias.val(), none, self.v_bias.val()], 0);
        let scale = self.logit_scale.val().clamp_max(100.0_f64.ln()).exp();
        // Queries as long as their head's scale, keys of length one.
        let ones = Tensor::ones([self.heads], &device);
        let lengths = Tensor::cat(vec![scale.reshape([self.heads]), ones], 0);
        let qkv = self.qkv.with_bias(input, Some(bias), None);
        let qkv = l2_normalize(qkv, lengths, HEAD_WIDTH);
        let part = |index: usize| {
            qkv.clone()
                .narrow(2, index * channels, channels)
                .reshape([groups, positions, self.heads, HEAD_WIDTH])
                .swap_dims(1, 2)
        };
        let bias = self.position_bias(&device).unsqueeze::<4>();
        let bias = match mask {
            Some(mask) => bias + mask.unsqueeze_dim(1),
            None => bias,
        };
        let attended = attention(part(0), part(1), part(2), Some(bias), 1.0);
        self.proj.forward(attended)
    }

    /// `[heads, positions, positions]`, between 0 and 16.
    fn position_bias(&self, device: &Device) -> Tensor<3> {
        let (first, _, second) = &self.cpb_mlp;
        let hidden = first.forward_activated(self.log_distances(device), Activation::Relu);
        let table = activate(second.forward(hidden), Activation::Sigmoid) * 16.0;
        expand_position_bias(table, self.window)
    }

    /// Every relative distance `(dy, dx)` by the window of pretraining, log-spaced:
    /// `[(2 window − 1)², 2]`.
    fn log_distances(&self, device: &Device) -> Tensor<2> {
        let reach = self.window as i64 - 1;
        let unit = 8.0 / (self.pretrained as f32 - 1.0).max(1.0);
        let log = |d: i64| {
            let scaled = d as f32 * unit;
            scaled.signum() * (scaled.abs() + 1.0).log2() / 3.0
        };
        let values: Vec<f32> = (-reach..=reach)
            .flat_map(|dy| (-reach..=reach).flat_map(move |dx| [log(dy), log(dx)]))
            .collect();
        let rows = values.len() / 2;
        Tensor::from_data(TensorData::new(values, [rows, 2]), device)
    }
}
