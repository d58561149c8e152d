//! Swin Transformer V2 (Liu et al., *Swin Transformer V2: scaling up capacity and resolution*,
//! 2022) as timm builds it: cosine attention in shifted windows, biases from log-spaced relative
//! positions, norms after the branches. Over volumes, windows have a depth and are shifted along it
//! too.

use burn::module::{Module, Param};
use burn::nn::Relu;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::{
    Activation, activate, add, add_window_mask, attention, expand_position_bias, from_weights,
    l2_normalize, rearrange, roll,
};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, VolumeForm, multiply_adds};
use crate::layers::{
    Conv, Conv2dConfig, DropPath, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    Mlp, MlpConfig, Partition, PartitionKind, drop_path_rates, mean_of_layers, roll_layers,
    split_heads,
};
use crate::{Approach, Error};

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
    form: Option<VolumeForm>,
}

impl EncoderFamily for SwinConfig {
    type Encoder = Swin;
    const FIRST_CONVOLUTION: &'static str = "patch_embed.proj.weight";
    const VOLUMES: &'static [Approach] = &[Approach::VolumeSwin, Approach::PseudoVolumeSwin];

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
            form: None,
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

    /// Depth's windows are of `form.window` layers at most, and of all where there are fewer.
    fn over_volumes(mut self, form: VolumeForm) -> Result<Self, Error> {
        for (stage, layers) in (0..4).map(|stage| (stage, form.layers_of(stage))) {
            let window = form.window.map_or(1, |window| window.min(layers));
            if window == 0 || !layers.is_multiple_of(window) {
                return Err(Error::Setting {
                    key: "depth_window",
                    found: format!("{window}"),
                    expected: format!(
                        "a divisor of the {layers} layers of stage {} (model.depth = {} by \
                         model.depth_strides = {:?})",
                        stage + 1,
                        form.layers,
                        form.strides
                    ),
                });
            }
        }
        self.form = Some(form);
        Ok(self)
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> Swin {
        let form = self.form.as_ref();
        let rates = drop_path_rates(self.drop_path, &self.blocks);
        let layers = rates.into_iter().enumerate().map(|(stage, rates)| {
            let channels = self.width << stage;
            let blocks = rates.into_iter().enumerate();
            Stage {
                downsample: (stage > 0).then(|| Downsample {
                    reduction: {
                        let merged = 2 * channels * form.map_or(1, |form| form.strides[stage]);
                        let reduction = LinearConfig::new([merged, channels]);
                        reduction.with_bias(false).init(device)
                    },
                    layers: form.map_or(1, |form| form.strides[stage]),
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
                    .init_over(form.map(|form| form.entering(0)), device),
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
        let depth = self.depth_windows(stage, index);
        let layers = depth.map_or(1, |depth| depth.layers);
        let collapses = self.collapses_in(stage, index);
        Block {
            attn: self.attention(stage, depth.map(|depth| depth.window), device),
            norm1: norm(channels, device),
            mlp: MlpConfig::new(channels, 4 * channels).init(device),
            norm2: norm(channels, device),
            drop_path1: DropPath::new(rate).over(layers),
            drop_path2: DropPath::new(rate).over(if collapses { 1 } else { layers }),
            partition: Partition::new(PartitionKind::Block, window),
            shift: if shifted { window / 2 } else { 0 },
            window,
            depth: depth.unwrap_or_default(),
            collapses,
        }
    }

    /// Whether a block leaves one layer of all.
    fn collapses_in(&self, stage: usize, index: usize) -> bool {
        let collapses = self.form.as_ref().is_some_and(|form| form.collapses);
        collapses && stage == 0 && index == 0
    }

    /// A block's windows along depth; none where it sees images.
    fn depth_windows(&self, stage: usize, index: usize) -> Option<DepthWindows> {
        let form = self.form.as_ref()?;
        if self.collapses_in(stage, index) {
            let layers = form.layers / form.strides[0];
            return Some(DepthWindows {
                layers,
                window: layers,
                shift: 0,
            });
        }
        if form.collapses {
            return None;
        }
        let layers = form.layers_of(stage);
        let window = form.window.map_or(1, |window| window.min(layers));
        let shifted = index % 2 == 1 && layers > window;
        Some(DepthWindows {
            layers,
            window,
            shift: if shifted { window / 2 } else { 0 },
        })
    }

    /// `depth` is that of the windows; none of images have one.
    fn attention(&self, stage: usize, depth: Option<usize>, device: &Device) -> Attention {
        let channels = self.width << stage;
        let heads = channels / HEAD_WIDTH;
        let start = Initializer::Constant(10.0_f64.ln());
        let (window, axes) = (self.window_of(stage), if depth.is_some() { 3 } else { 2 });
        Attention {
            logit_scale: start.init([heads, 1, 1], device),
            q_bias: Initializer::ZEROS.init([channels], device),
            v_bias: Initializer::ZEROS.init([channels], device),
            cpb_mlp: (
                LinearConfig::new([axes, POSITION_HIDDEN]).init(device),
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
            depth,
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
    proj: Conv,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

/// Two by two neighbours become one, with twice the channels; over volumes those of several layers.
#[derive(Module, Debug)]
struct Downsample {
    reduction: Linear,
    norm: LayerNorm,
    layers: usize,
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
        let merged = match self.layers {
            1 => merged,
            layers => rearrange(
                merged,
                [batch / layers, layers, height * width / 4, 4 * channels],
                [0, 2, 1, 3],
                [batch / layers, height / 2, width / 2, layers * 4 * channels],
            ),
        };
        self.norm.forward(self.reduction.forward(merged))
    }
}

/// The layers of volumes and the windows along them.
#[derive(Clone, Copy, Debug)]
struct DepthWindows {
    /// Layers of a volume.
    layers: usize,
    /// Layers of a window.
    window: usize,
    /// Layers that the windows are shifted by.
    shift: usize,
}

impl Default for DepthWindows {
    /// Of an image.
    fn default() -> Self {
        Self {
            layers: 1,
            window: 1,
            shift: 0,
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    attn: Attention,
    norm1: LayerNorm,
    mlp: Mlp,
    norm2: LayerNorm,
    drop_path1: DropPath,
    drop_path2: DropPath,
    #[module(skip)]
    partition: Partition,
    shift: usize,
    window: usize,
    #[module(skip)]
    depth: DepthWindows,
    /// Whether one layer is left, the mean of all.
    collapses: bool,
}

impl Block {
    /// `[batch, height, width, channels]` in and out, over volumes `[batch × layers, …]`.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let attended = self.norm1.forward(self.attend(input.clone()));
        let x = add(self.drop_path1.forward(attended), input);
        let x = if self.collapses {
            mean_of_layers(x, self.depth.layers)
        } else {
            x
        };
        let mixed = self.norm2.forward(self.mlp.forward(x.clone()));
        add(self.drop_path2.forward(mixed), x)
    }

    fn attend(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, height, width, _] = input.dims();
        let device = input.device();
        let depth = self.depth;
        let is_shifted = self.shift > 0 || depth.shift > 0;
        let mask = is_shifted.then(|| self.mask(height, width, &device));
        let shifted = roll(input, [height - self.shift, width - self.shift]);
        let shifted = roll_layers(shifted, depth.layers, depth.layers - depth.shift);
        let plane = (height / self.window) * (width / self.window);
        let windows = self.deepened(self.partition.split(shifted), plane);
        let windows = self.flattened(self.attn.forward(windows, mask), plane);
        let joined = self.partition.join(windows, [height, width]);
        let joined = roll_layers(joined, depth.layers, depth.shift);
        roll(joined, [self.shift; 2])
    }

    /// `plane` windows of each layer, `[batch × layers × plane, area, channels]`, as windows of volumes,
    /// `[batch × deep × plane, layers × area, channels]`.
    fn deepened(&self, windows: Tensor<3>, plane: usize) -> Tensor<3> {
        let [groups, area, channels] = windows.dims();
        let layers = self.depth.window;
        if layers == 1 {
            return windows;
        }
        let deep = groups / (layers * plane);
        let split = [deep, layers, plane, area * channels];
        let shape = [deep * plane, layers * area, channels];
        rearrange(windows, split, [0, 2, 1, 3], shape)
    }

    /// The inverse of [`deepened`](Self::deepened).
    fn flattened(&self, windows: Tensor<3>, plane: usize) -> Tensor<3> {
        let [groups, positions, channels] = windows.dims();
        let layers = self.depth.window;
        if layers == 1 {
            return windows;
        }
        let (deep, area) = (groups / plane, positions / layers);
        let split = [deep, plane, layers, area * channels];
        let shape = [deep * layers * plane, area, channels];
        rearrange(windows, split, [0, 2, 1, 3], shape)
    }

    /// Scores to add in each window, `[windows, positions, positions]`: positions that the shift
    /// brought together from opposite edges must not attend to each other.
    fn mask(&self, height: usize, width: usize, device: &Device) -> Tensor<3> {
        let DepthWindows { layers, .. } = self.depth;
        let (window, deep) = (self.window, self.depth.window);
        let area = window * window;
        let down = bands(layers, deep, self.depth.shift);
        let (rows, columns) = (
            bands(height, window, self.shift),
            bands(width, window, self.shift),
        );
        let mut values = Vec::with_capacity(layers * height * width * deep * area);
        for first in (0..layers).step_by(deep) {
            for top in (0..height).step_by(window) {
                for left in (0..width).step_by(window) {
                    let bands = (0..deep * area).map(|p| {
                        let (layer, p) = (first + p / area, p % area);
                        let across = 3 * rows[top + p / window] + columns[left + p % window];
                        9 * down[layer] + across
                    });
                    let bands: Vec<u32> = bands.collect();
                    for &query in &bands {
                        let score = |&key: &u32| if key == query { 0.0 } else { APART };
                        values.extend(bands.iter().map(score));
                    }
                }
            }
        }
        let (windows, positions) = (layers * height * width / (deep * area), deep * area);
        let shape = [windows, positions, positions];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// Which of three bands of a shifted axis each of its `size` places belongs to: the last window holds
/// two that lie apart.
fn bands(size: usize, window: usize, shift: usize) -> Vec<u32> {
    let band = |place: usize| match place {
        place if place < size - window => 0,
        place if place < size - shift => 1,
        _ => 2,
    };
    (0..size).map(band).collect()
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
    /// Layers of the windows; none of images.
    depth: Option<usize>,
    pretrained: usize,
}

impl Attention {
    /// `[batch × windows, positions, channels]` in and out; the mask is `[windows, positions,
    /// positions]`.
    fn forward(&self, input: Tensor<3>, mask: Option<Tensor<3>>) -> Tensor<3> {
        let [_, _, channels] = input.dims();
        let device = input.device();
        let none = Tensor::zeros([channels], &device);
        let bias = Tensor::cat(vec![self.q_bias.val(), none, self.v_bias.val()], 0);
        let scale = self.logit_scale.val().clamp_max(100.0_f64.ln()).exp();
        // Queries as long as their head's scale, keys of length one.
        let ones = Tensor::ones([self.heads], &device);
        let lengths = Tensor::cat(vec![scale.reshape([self.heads]), ones], 0);
        let qkv = self.qkv.with_bias(input, Some(bias), None);
        let qkv = l2_normalize(qkv, lengths, HEAD_WIDTH);
        let [query, key, value] = split_heads(qkv, self.heads);
        let bias = self.position_bias(&device);
        let bias = match mask {
            Some(mask) => add_window_mask(bias, mask),
            None => bias.unsqueeze(),
        };
        let attended = attention(query, key, value, Some(bias), 1.0);
        self.proj.forward(attended)
    }

    /// `[heads, positions, positions]`, between 0 and 16.
    fn position_bias(&self, device: &Device) -> Tensor<3> {
        let (first, _, second) = &self.cpb_mlp;
        let weights = [first.values(), second.values()].concat();
        let settings = [self.window, self.depth.unwrap_or(0), self.pretrained];
        let table = from_weights(weights, &settings, || {
            let hidden = first.forward_activated(self.log_distances(device), Activation::Relu);
            activate(second.forward(hidden), Activation::Sigmoid) * 16.0
        });
        match self.depth {
            None => expand_position_bias(table, self.window),
            Some(depth) => expand_volume_bias(table, depth, self.window),
        }
    }

    /// Every relative distance `(dy, dx)` by the window of pretraining, log-spaced: `[(2 window − 1)²,
    /// 2]`; of volumes `(dz, dy, dx)` with the window's own depth, `[(2 depth − 1) (2 window − 1)², 3]`.
    fn log_distances(&self, device: &Device) -> Tensor<2> {
        let reach = self.window as i64 - 1;
        let unit = 8.0 / (self.pretrained as f32 - 1.0).max(1.0);
        let log = |d: i64, unit: f32| {
            let scaled = d as f32 * unit;
            scaled.signum() * (scaled.abs() + 1.0).log2() / 3.0
        };
        let deep = self.depth.map_or(0, |depth| depth as i64 - 1);
        let deep_unit = 8.0 / (deep as f32).max(1.0);
        let mut values = Vec::new();
        for dz in -deep..=deep {
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    values.extend(self.depth.map(|_| log(dz, deep_unit)));
                    values.extend([log(dy, unit), log(dx, unit)]);
                }
            }
        }
        let axes = if self.depth.is_some() { 3 } else { 2 };
        let rows = values.len() / axes;
        Tensor::from_data(TensorData::new(values, [rows, axes]), device)
    }
}

/// Biases of every pair of positions in a window of a volume, `[heads, positions, positions]`, from
/// those of every distance, `[(2 depth − 1) (2 window − 1)², heads]`.
fn expand_volume_bias(table: Tensor<2>, depth: usize, window: usize) -> Tensor<3> {
    let [_, heads] = table.dims();
    let (area, reach) = (window * window, 2 * window - 1);
    let positions = depth * area;
    let place = |p: usize| [p / area, p % area / window, p % window];
    let index = |query: usize, key: usize| {
        let ([z, y, x], [kz, ky, kx]) = (place(query), place(key));
        let (dz, dy, dx) = (z + depth - 1 - kz, y + window - 1 - ky, x + window - 1 - kx);
        ((dz * reach + dy) * reach + dx) as i32
    };
    let pairs = (0..positions).flat_map(|query| (0..positions).map(move |key| index(query, key)));
    let pairs = TensorData::new(pairs.collect::<Vec<_>>(), [positions * positions]);
    let pairs = Tensor::from_data(pairs, &table.device());
    let biases = table.swap_dims(0, 1).select(1, pairs);
    biases.reshape([heads, positions, positions])
}
