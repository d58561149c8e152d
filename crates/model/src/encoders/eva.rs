//! EVA-02 (Fang et al., *EVA-02: a visual representation for neon genesis*, 2023) as timm builds
//! it: a plain vision transformer with rotary positions, SwiGLU, and norms within the branches
//! from the base size on. Features are the patches after every quarter of the blocks, as the
//! authors' own segmentors take them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{add, attention, rearrange};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, multiply_adds};
use crate::Error;
use crate::layers::{
    Conv2d, Conv2dConfig, DropPath, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    Rotary, RotaryAngles, SwiGlu, SwiGluConfig, drop_path_rates, split_heads,
};

#[derive(Clone, Copy, Debug)]
struct Size {
    width: usize,
    blocks: usize,
    /// Queries, keys and values in tensors of their own, and a norm in the SwiGLU.
    split: bool,
}

const TINY: Size = Size {
    width: 192,
    blocks: 12,
    split: false,
};
const SMALL: Size = Size {
    width: 384,
    blocks: 12,
    split: false,
};
const BASE: Size = Size {
    width: 768,
    blocks: 12,
    split: true,
};
const LARGE: Size = Size {
    width: 1024,
    blocks: 24,
    split: true,
};

struct Variant {
    name: &'static str,
    image_size: usize,
    patch: usize,
    size: Size,
    /// Trained with CLIP: a norm within attention.
    clip: bool,
}

const fn variant(name: &'static str, image_size: usize, patch: usize, size: Size) -> Variant {
    Variant {
        name,
        image_size,
        patch,
        size,
        clip: false,
    }
}

const fn clip(mut variant: Variant) -> Variant {
    variant.clip = true;
    variant
}

/// timm's names; the `patch16` ones without `clip` are the encoders of the authors' segmentors,
/// which timm makes by `create_model("eva02_base_patch14_224", patch_size=16, img_size=512)`.
const VARIANTS: &[Variant] = &[
    variant("eva02_tiny_patch14_224", 224, 14, TINY),
    variant("eva02_tiny_patch14_336", 336, 14, TINY),
    variant("eva02_small_patch14_224", 224, 14, SMALL),
    variant("eva02_small_patch14_336", 336, 14, SMALL),
    variant("eva02_base_patch14_224", 224, 14, BASE),
    variant("eva02_base_patch14_448", 448, 14, BASE),
    variant("eva02_base_patch16_512", 512, 16, BASE),
    variant("eva02_large_patch14_224", 224, 14, LARGE),
    variant("eva02_large_patch14_448", 448, 14, LARGE),
    variant("eva02_large_patch16_512", 512, 16, LARGE),
    variant("eva02_large_patch16_640", 640, 16, LARGE),
    clip(variant("eva02_base_patch16_clip_224", 224, 16, BASE)),
    clip(variant("eva02_large_patch14_clip_224", 224, 14, LARGE)),
    clip(variant("eva02_large_patch14_clip_336", 336, 14, LARGE)),
];

/// Channels per attention head.
const HEAD_WIDTH: usize = 64;
/// The grid that rotary positions are measured on, in patches.
const REFERENCE_GRID: usize = 16;
/// Feature maps, and quarters of the encoder.
const FEATURES: usize = 4;

/// Features within the SwiGLU of an encoder of `width` channels.
fn hidden(width: usize) -> usize {
    width * 8 / 3
}

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::Eva,
        image_size: variant.image_size,
        licence: "MIT",
    })
}

/// Configuration of an [`Eva`].
#[derive(Clone, Debug)]
pub struct EvaConfig {
    size: Size,
    clip: bool,
    patch: usize,
    inputs: usize,
    grid: usize,
    drop_path: f64,
}

impl EncoderFamily for EvaConfig {
    type Encoder = Eva;
    const FIRST_CONVOLUTION: &'static str = "model.patch_embed.proj.weight";
    const IS_PLAIN: bool = true;

    /// The variant `name` for square images of `image_size` px with `inputs` channels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] when the image is not an even number of patches wide; half as many
    /// must be whole for the coarsest map of the feature pyramid.
    fn named(name: &str, inputs: usize, image_size: usize) -> Result<Option<Self>, Error> {
        let Some(variant) = VARIANTS.iter().find(|variant| variant.name == name) else {
            return Ok(None);
        };
        Error::check_image_size(name, image_size, 2 * variant.patch)?;
        Ok(Some(Self {
            size: variant.size,
            clip: variant.clip,
            patch: variant.patch,
            inputs,
            grid: image_size / variant.patch,
            drop_path: 0.0,
        }))
    }

    /// Sets the drop-path rate of the last block; earlier blocks' rates rise towards it.
    fn with_drop_path(mut self, rate: f64) -> Self {
        self.drop_path = rate;
        self
    }

    /// Channels of the four feature maps, shallowest first.
    fn channels(&self) -> Vec<usize> {
        vec![self.size.width; FEATURES]
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let (width, grid) = (self.size.width, image_size / self.patch);
        let tokens = 1 + grid * grid;
        let patches = multiply_adds::conv(grid, [self.inputs, width], self.patch);
        let block = multiply_adds::attention(1, tokens, width)
            + 3 * multiply_adds::linear(tokens, [width, hidden(width)]);
        patches + self.size.blocks as u64 * block
    }

    /// Makes the encoder with timm's start.
    fn init(&self, device: &Device) -> Eva {
        let width = self.size.width;
        let rates = drop_path_rates(self.drop_path, &[self.size.blocks]);
        let start = Initializer::Normal { std: 0.02 };
        let patches = Conv2dConfig::new([self.inputs, width], self.patch)
            .with_stride(self.patch)
            .with_padding(0)
            .with_initializer(start);
        let blocks = rates[0].iter().enumerate();
        Eva {
            model: Trunk {
                cls_token: start.init([1, 1, width], device),
                pos_embed: start.init([1, 1 + self.grid * self.grid, width], device),
                patch_embed: PatchEmbed {
                    proj: patches.init(device),
                },
                blocks: blocks
                    .map(|(index, &rate)| self.block(index, rate, device))
                    .collect(),
                rotary: Rotary::new(self.grid, REFERENCE_GRID, HEAD_WIDTH),
            },
        }
    }
}

impl EvaConfig {
    fn block(&self, index: usize, rate: f64, device: &Device) -> Block {
        let width = self.size.width;
        // Deeper branches start fainter.
        let damping = (2.0 * (index + 1) as f64).sqrt();
        Block {
            norm1: LayerNormConfig::new(width).init(device),
            attn: self.attention(damping, device),
            norm2: LayerNormConfig::new(width).init(device),
            mlp: SwiGluConfig::new(width, hidden(width))
                .with_split(self.size.split)
                .init(damping, device),
            drop_path: DropPath::new(rate),
        }
    }

    fn attention(&self, damping: f64, device: &Device) -> Attention {
        let width = self.size.width;
        let linear = |outputs, bias| {
            LinearConfig::new([width, outputs])
                .with_bias(bias)
                .with_spread(0.02)
                .init(device)
        };
        let zeros = || Initializer::ZEROS.init([width], device);
        let split = self.size.split;
        Attention {
            qkv: (!split).then(|| linear(3 * width, false)),
            q_bias: (!split).then(zeros),
            v_bias: (!split).then(zeros),
            q_proj: split.then(|| linear(width, true)),
            k_proj: split.then(|| linear(width, false)),
            v_proj: split.then(|| linear(width, true)),
            norm: self.clip.then(|| LayerNormConfig::new(width).init(device)),
            proj: LinearConfig::new([width, width])
                .with_spread(0.02 / damping)
                .init(device),
            heads: width / HEAD_WIDTH,
        }
    }
}

/// The encoder. timm's `features_only` wraps it once, which shows in the tensors' names.
#[derive(Module, Debug)]
pub struct Eva {
    model: Trunk,
}

impl StagedEncoder for Eva {
    /// How many blocks each quarter has.
    fn blocks(&self) -> Vec<usize> {
        vec![self.model.blocks.len() / FEATURES; FEATURES]
    }

    /// One block of a quarter; the very first with the patches.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, 1, 1 + patches, channels]`, the class token first
    fn block(&self, quarter: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let index = quarter * (self.model.blocks.len() / FEATURES) + block;
        let tokens = match index {
            0 => self.model.tokens(input),
            _ => input.squeeze_dim(1),
        };
        let angles = self.model.rotary.angles(&tokens.device());
        let tokens = self.model.blocks[index].forward(tokens, &angles);
        tokens.unsqueeze_dim(1)
    }

    /// The patches of a block's output as a map, `[batch, channels, size / patch, size / patch]`.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, _, tokens, width] = x.dims();
        let side = (tokens - 1).isqrt();
        let patches = x.narrow(2, 1, tokens - 1).squeeze_dim::<3>(1);
        let split = [batch, side, side, width];
        rearrange(patches, split, [0, 3, 1, 2], [batch, width, side, side])
    }
}

#[derive(Module, Debug)]
struct Trunk {
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    #[module(skip)]
    rotary: Rotary,
}

impl Trunk {
    /// `[batch, 1 + patches, channels]` of an image.
    fn tokens(&self, input: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embed.proj.forward(input);
        let [batch, width, _, _] = patches.dims();
        let patches = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let class = self.cls_token.val().expand([batch, 1, width]);
        Tensor::cat(vec![class, patches], 1) + self.pos_embed.val()
    }
}

#[derive(Module, Debug)]
struct PatchEmbed {
    proj: Conv2d,
}

#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: SwiGlu,
    drop_path: DropPath,
}

impl Block {
    /// `[batch, 1 + patches, channels]` in and out.
    fn forward(&self, input: Tensor<3>, angles: &RotaryAngles) -> Tensor<3> {
        let attended = self.attn.forward(self.norm1.forward(input.clone()), angles);
        let x = add(self.drop_path.forward(attended), input);
        let mixed = self.mlp.forward(self.norm2.forward(x.clone()));
        add(self.drop_path.forward(mixed), x)
    }
}

#[derive(Module, Debug)]
struct Attention {
    qkv: Option<Linear>,
    q_bias: Option<Param<Tensor<1>>>,
    v_bias: Option<Param<Tensor<1>>>,
    q_proj: Option<Linear>,
    k_proj: Option<Linear>,
    v_proj: Option<Linear>,
    norm: Option<LayerNorm>,
    proj: Linear,
    heads: usize,
}

impl Attention {
    fn forward(&self, input: Tensor<3>, angles: &RotaryAngles) -> Tensor<3> {
        let [query, key, value] = self.project(input, angles);
        let scale = (HEAD_WIDTH as f64).powf(-0.5);
        let attended = attention(query, key, value, None, scale);
        let attended = match &self.norm {
            Some(norm) => norm.forward(attended),
            None => attended,
        };
        self.proj.forward(attended)
    }

    /// Queries, keys (which have no bias) and values, `[batch, heads, positions, width]` each, the
    /// first two rotated by their positions.
    fn project(&self, input: Tensor<3>, angles: &RotaryAngles) -> [Tensor<4>; 3] {
        let channels = input.dims()[2];
        if let (Some(query), Some(key), Some(value)) = (&self.q_proj, &self.k_proj, &self.v_proj) {
            let (query, key) = (query.forward(input.clone()), key.forward(input.clone()));
            let value = value.forward(input);
            let rotated = [query, key].map(|x| angles.rotate(x, channels));
            let [query, key] = rotated.map(|x| {
                let [heads] = split_heads(x, self.heads);
                heads
            });
            let [value] = split_heads(value, self.heads);
            return [query, key, value];
        }
        let (Some(qkv), Some(query), Some(value)) = (&self.qkv, &self.q_bias, &self.v_bias) else {
            unreachable!("an EVA-02 has either kind of projection");
        };
        let none = Tensor::zeros([channels], &input.device());
        let bias = Tensor::cat(vec![query.val(), none, value.val()], 0);
        let packed = angles.rotate(qkv.with_bias(input, Some(bias), None), 2 * channels);
        split_heads(packed, self.heads)
    }
}
