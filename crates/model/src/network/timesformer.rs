//! TimeSformer (Bertasius et al., *Is space-time attention all you need for video understanding?*,
//! 2021) as the pip package `timesformer-pytorch` builds it and the Vesuvius Grand Prize used it: the
//! layers are the frames of a film, and what is classified is 4 × 4 points of the patch.

use burn::module::{Module, Param};
use burn::nn::{LeakyRelu, LeakyReluConfig};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, GateHalf, add, attention, glu, plain_attention, rearrange};
use serde::{Deserialize, Serialize};

use super::StagedNetwork;
use crate::depth::Place;
use crate::encoders::Stages;
use crate::layers::{
    Constant, Dropout, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig, Resize,
    RotaryAngles, split_heads,
};
use crate::{Error, ModelSettings, Normalization};

/// `[model.timesformer]`: the sizes of the network, the published ones unless given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSformerShape {
    /// Features of a token.
    pub dim: usize,
    /// How many blocks follow one another.
    pub depth: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Features of a head; a multiple of 4.
    pub head_size: usize,
    /// Side of a token's pixels; the result has one point for each.
    pub patch: usize,
}

impl Default for TimeSformerShape {
    fn default() -> Self {
        Self {
            dim: 512,
            depth: 8,
            heads: 6,
            head_size: 64,
            patch: 16,
        }
    }
}

const MOST_BLOCKS: usize = 64;
const WIDEST: usize = 4_096;

impl TimeSformerShape {
    /// # Errors
    /// [`Error::Setting`] or [`Error::ImageSize`] for what fits no network.
    pub(crate) fn check(&self, image_size: usize) -> Result<(), Error> {
        let wrong = |key, found: usize, expected: &str| {
            Err(Error::Setting {
                key,
                found: found.to_string(),
                expected: expected.to_owned(),
            })
        };
        if !(1..=WIDEST).contains(&self.dim) {
            return wrong("timesformer.dim", self.dim, "1 to 4,096 features");
        }
        if !(1..=MOST_BLOCKS).contains(&self.depth) {
            return wrong("timesformer.depth", self.depth, "1 to 64 blocks");
        }
        if !(1..=MOST_BLOCKS).contains(&self.heads) {
            return wrong("timesformer.heads", self.heads, "1 to 64 heads");
        }
        if !(4..=256).contains(&self.head_size) || !self.head_size.is_multiple_of(4) {
            let expected = "a multiple of 4 up to 256";
            return wrong("timesformer.head_size", self.head_size, expected);
        }
        if !(1..=256).contains(&self.patch) {
            return wrong("timesformer.patch", self.patch, "1 to 256 pixels");
        }
        Error::check_image_size("timesformer", image_size, self.patch)
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct TimeSformerNetwork {
    backbone: Backbone,
    grid: usize,
    frames: usize,
    #[module(skip)]
    normalization: Normalization,
    #[module(skip)]
    angles: Constant<Device, [RotaryAngles; 2]>,
}

impl TimeSformerNetwork {
    /// Makes the network that checked `settings` describe.
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Self {
        let shape = settings.timesformer.clone().unwrap_or_default();
        let grid = settings.image_size / shape.patch;
        let sizes = Sizes {
            frames: settings.depth,
            places: grid * grid,
            heads: shape.heads,
            head_size: shape.head_size,
        };
        let dropout = settings.dropout;
        let block = |_| block(shape.dim, sizes, dropout, device);
        Self {
            backbone: Backbone {
                to_patch_embedding: LinearConfig::new([shape.patch * shape.patch, shape.dim])
                    .init(device),
                cls_token: Initializer::Normal { std: 1.0 }.init([1, shape.dim], device),
                layers: (0..shape.depth).map(block).collect(),
                to_out: (
                    LayerNormConfig::new(shape.dim)
                        .with_epsilon(EPSILON)
                        .init(device),
                    LinearConfig::new([shape.dim, grid * grid]).init(device),
                ),
            },
            grid,
            frames: settings.depth,
            normalization: settings.normalization.clone(),
            angles: Constant::default(),
        }
    }
}

impl Stages for TimeSformerNetwork {
    /// The embedding is the first block of the one stage.
    fn blocks(&self) -> Vec<usize> {
        vec![self.backbone.layers.len() + 1]
    }

    /// Tokens are `[batch, 1, 1 + frames × places, features]`.
    fn block(&self, _stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        match block.checked_sub(1) {
            None => self.backbone.embed(input, self.grid).unsqueeze_dim(1),
            Some(block) => {
                let angles = self.angles(&input.device());
                let tokens = input.squeeze_dim::<3>(1);
                pass(&self.backbone.layers[block], tokens, &angles).unsqueeze_dim(1)
            }
        }
    }
}

impl TimeSformerNetwork {
    /// The angles of frames, and of places.
    fn angles(&self, device: &Device) -> [RotaryAngles; 2] {
        let size = self.backbone.head_size();
        self.angles.of(device.clone(), || {
            [
                frame_angles(self.frames, size, device),
                place_angles(self.grid, size, device),
            ]
        })
    }
}

impl StagedNetwork for TimeSformerNetwork {
    fn images(&self, volume: Tensor<4>) -> Tensor<4> {
        volume
    }

    fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    fn encoder(&self) -> &dyn Stages {
        self
    }

    fn partial(&self, mut features: Vec<Tensor<4>>, batch: usize) -> Tensor<4> {
        let tokens = features.pop().expect("the stage has a map");
        let class = tokens.narrow(2, 0, 1).squeeze_dim::<3>(1);
        let (norm, linear) = &self.backbone.to_out;
        let logits = linear.forward(norm.forward(class));
        logits.reshape([batch, 1, self.grid, self.grid])
    }

    fn enlargement(&self) -> Resize {
        Resize::Bilinear
    }

    fn enlarges_probabilities(&self) -> bool {
        true
    }

    fn place(&self, name: &str) -> Option<Place> {
        let rest = name.strip_prefix("backbone.")?;
        if rest.starts_with("to_out.") {
            return None;
        }
        let Some(rest) = rest.strip_prefix("layers.") else {
            return Some(Place::Stem);
        };
        let (block, _) = rest.split_once('.')?;
        Some(Place::after_stem(0, block.parse().ok()?))
    }
}

const EPSILON: f64 = 1e-5;

#[derive(Module, Debug)]
struct Backbone {
    to_patch_embedding: Linear,
    /// `[1, features]`.
    cls_token: Param<Tensor<2>>,
    layers: Vec<Block>,
    to_out: (LayerNorm, Linear),
}

impl Backbone {
    fn head_size(&self) -> usize {
        self.layers[0].0.fn_.head_size
    }

    /// `[batch, frames, height, width]` to `[batch, 1 + frames × places, features]`.
    fn embed(&self, volume: Tensor<4>, grid: usize) -> Tensor<3> {
        let [batch, frames, height, width] = volume.dims();
        let (tall, wide) = (height / grid, width / grid);
        let patches = volume
            .reshape([batch * frames, grid, tall, grid, wide])
            .swap_dims(2, 3)
            .reshape([batch, frames * grid * grid, tall * wide]);
        let tokens = self.to_patch_embedding.forward(patches);
        let class = self.cls_token.val().unsqueeze_dim::<3>(0);
        Tensor::cat(vec![class.repeat_dim(0, batch), tokens], 1)
    }
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    frames: usize,
    places: usize,
    heads: usize,
    head_size: usize,
}

/// Attention over time, over space, and a feed-forward layer, numbered as in `torch.nn.ModuleList`.
type Block = (PreNorm<Attention>, PreNorm<Attention>, PreNorm<FeedForward>);

/// A layer of normed tokens.
#[derive(Module, Debug)]
struct PreNorm<M: Module> {
    /// `fn` in the file.
    fn_: M,
    norm: LayerNorm,
}

impl<M: Module> PreNorm<M> {
    fn new(dim: usize, layer: M, device: &Device) -> Self {
        Self {
            fn_: layer,
            norm: LayerNormConfig::new(dim).with_epsilon(EPSILON).init(device),
        }
    }
}

fn block(dim: usize, sizes: Sizes, dropout: f64, device: &Device) -> Block {
    let attention = |axis| {
        let attention = Attention::new(dim, sizes, axis, dropout, device);
        PreNorm::new(dim, attention, device)
    };
    (
        attention(Axis::Time),
        attention(Axis::Space),
        PreNorm::new(dim, FeedForward::new(dim, dropout, device), device),
    )
}

fn pass(block: &Block, x: Tensor<3>, [frames, places]: &[RotaryAngles; 2]) -> Tensor<3> {
    let (time, space, rest) = block;
    let x = add(time.fn_.forward(time.norm.forward(x.clone()), frames), x);
    let x = add(space.fn_.forward(space.norm.forward(x.clone()), places), x);
    add(rest.fn_.forward(rest.norm.forward(x.clone())), x)
}

/// What a group of tokens shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// A place: its tokens are of all frames.
    Time,
    /// A frame.
    Space,
}

#[derive(Module, Debug)]
struct Attention {
    to_qkv: Linear,
    to_out: (Linear, Dropout),
    #[module(skip)]
    axis: Axis,
    frames: usize,
    places: usize,
    heads: usize,
    head_size: usize,
}

impl Attention {
    fn new(dim: usize, sizes: Sizes, axis: Axis, dropout: f64, device: &Device) -> Self {
        let inner = sizes.heads * sizes.head_size;
        Self {
            to_qkv: LinearConfig::new([dim, 3 * inner])
                .with_bias(false)
                .init(device),
            to_out: (
                LinearConfig::new([inner, dim]).init(device),
                Dropout::new(dropout),
            ),
            axis,
            frames: sizes.frames,
            places: sizes.places,
            heads: sizes.heads,
            head_size: sizes.head_size,
        }
    }

    /// The class token's query attends to all tokens; every other one to the class token and its group.
    ///
    /// # Shapes
    /// - x and output: `[batch, 1 + frames × places, features]`, the class token first
    fn forward(&self, x: Tensor<3>, angles: &RotaryAngles) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let (heads, size) = (self.heads, self.head_size);
        let scale = (size as f64).powf(-0.5);
        let qkv = self.to_qkv.forward(x);

        let groups = self.grouped(qkv.clone().narrow(1, 1, tokens - 1));
        let [count, members, _] = groups.dims();
        // The class token comes first in every group, unrotated. What its query finds there is not looked at.
        let class = qkv.clone().narrow(1, 0, 1).repeat_dim(1, count / batch);
        let class = class.reshape([count, 1, 3 * heads * size]);
        let joined = angles.rotate(Tensor::cat(vec![class, groups], 1), 2 * heads * size);
        let [query, key, value] = split_heads(joined, heads);
        let own = self.ungrouped(attention(query, key, value, None, scale), members + 1);

        let [query, key, value] = split_heads(qkv, heads);
        let of_class = plain_attention(query.narrow(2, 0, 1), key, value, None, scale);
        let of_class = of_class.reshape([batch, 1, heads * size]);
        let (linear, dropout) = &self.to_out;
        dropout.forward(linear.forward(Tensor::cat(vec![of_class, own], 1)))
    }

    /// # Shapes
    /// - x: `[batch, frames × places, features]`
    /// - output: `[batch × groups, members, features]`
    fn grouped(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, size] = x.dims();
        let (frames, places) = (self.frames, self.places);
        match self.axis {
            Axis::Space => x.reshape([batch * frames, places, size]),
            Axis::Time => {
                let split = [batch, frames, places, size];
                rearrange(x, split, [0, 2, 1, 3], [batch * places, frames, size])
            }
        }
    }

    /// The inverse of [`grouped`](Self::grouped), without the first of the `members` of each group.
    fn ungrouped(&self, x: Tensor<3>, members: usize) -> Tensor<3> {
        let [groups, _, size] = x.dims();
        let (frames, places) = (self.frames, self.places);
        let own = match self.axis {
            Axis::Space => x
                .reshape([groups / frames, frames, members, size])
                .narrow(2, 1, places),
            Axis::Time => {
                let batch = groups / places;
                let split = [batch, places, members, size];
                rearrange(x, split, [0, 2, 1, 3], [batch, members, places, size])
                    .narrow(1, 1, frames)
            }
        };
        let [batch, ..] = own.dims();
        own.reshape([batch, frames * places, size])
    }
}

/// Of each frame. The package repeats a frame's angles the other way round, so that the two of a pair differ.
fn frame_angles(frames: usize, size: usize, device: &Device) -> RotaryAngles {
    let frequency = |index: usize| {
        let share = (2 * (index % (size / 2))) as f32 / size as f32;
        1.0 / 10_000f32.powf(share)
    };
    let angles: Vec<f32> = (0..frames)
        .flat_map(|frame| (0..size).map(move |index| frame as f32 * frequency(index)))
        .collect();
    RotaryAngles::new(&angles, size, device)
}

/// Of each place: rows in the first half of the features, columns in the second.
fn place_angles(grid: usize, size: usize, device: &Device) -> RotaryAngles {
    let count = size / 4;
    let scale = |index: usize| {
        let last = (count - 1).max(1) as f64;
        2f64.powf(index as f64 * 5f64.log2() / last) as f32
    };
    let along = |place: usize, index: usize| {
        let span = (grid - 1).max(1) as f32;
        (-1.0 + 2.0 * place as f32 / span) * scale(index) * std::f32::consts::PI
    };
    let places = (0..grid).flat_map(|row| (0..grid).map(move |column| [row, column]));
    let pairs = places
        .flatten()
        .flat_map(|place| (0..count).map(move |index| along(place, index)));
    let angles: Vec<f32> = pairs.flat_map(|angle| [angle; 2]).collect();
    RotaryAngles::new(&angles, size, device)
}

/// Two halves of features, one gated by the other.
#[derive(Module, Debug)]
struct FeedForward {
    /// Numbered as in `torch.nn.Sequential`, where the gate and the dropout count.
    net: (Linear, LeakyRelu, Dropout, Linear),
}

/// Features of the hidden layer, to those of a token.
const WIDENING: usize = 4;

impl FeedForward {
    fn new(dim: usize, dropout: f64, device: &Device) -> Self {
        let inner = dim * WIDENING;
        Self {
            net: (
                LinearConfig::new([dim, 2 * inner]).init(device),
                LeakyReluConfig::new().init(),
                Dropout::new(dropout),
                LinearConfig::new([inner, dim]).init(device),
            ),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (first, _, dropout, last) = &self.net;
        let gated = glu(first.forward(x), Activation::Gelu, GateHalf::Second);
        last.forward(dropout.forward(gated))
    }
}
