use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, upsample2x_concat};

use crate::encoders::VolumeForm;
use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, Conv, Conv2dConfig, Depth, Initializer, Scse, repeat_layers,
};

/// Configuration of a [`Unet`] decoder.
#[derive(Clone, Debug)]
pub struct UnetConfig {
    encoder: Vec<usize>,
    blocks: Vec<usize>,
    scse: bool,
    form: Option<VolumeForm>,
}

impl UnetConfig {
    /// A decoder over feature maps of `encoder` channels (finest first) with one block per entry
    /// of `blocks` (its output channels); each block doubles the resolution.
    pub fn new(encoder: &[usize], blocks: &[usize]) -> Self {
        Self {
            encoder: encoder.to_vec(),
            blocks: blocks.to_vec(),
            scse: false,
            form: None,
        }
    }

    /// Puts [`Scse`] attention before and after each block's convolutions. Every width, joined
    /// with its skip, must be at least [`Scse::NARROWEST`].
    pub fn with_scse(mut self, scse: bool) -> Self {
        self.scse = scse;
        self
    }

    /// Decodes volumes' maps, as an encoder of this form gives them: kernels have a depth, and layers
    /// are repeated where a skip has more.
    pub fn over_volumes(mut self, form: &VolumeForm) -> Self {
        self.form = Some(form.clone());
        self
    }

    /// The map of the encoder, from the finest, whose layers the result of the block `index` has.
    fn map_of(&self, index: usize) -> usize {
        self.encoder.len().saturating_sub(index + 2)
    }

    /// The map of the encoder, from the finest, whose layers the decoder's result has.
    pub fn last_map(&self) -> usize {
        self.map_of(self.blocks.len() - 1)
    }

    /// Makes the decoder; convolutions start Kaiming-uniform.
    pub fn init(&self, device: &Device) -> Unet {
        let form = self.form.as_ref();
        let mut layers = VolumeForm::layers_or_one(form, self.encoder.len() - 1);
        let mut coarse_to_fine = self.encoder.iter().rev().copied();
        let mut inputs = coarse_to_fine.next().unwrap_or(0);
        let blocks = self
            .blocks
            .iter()
            .enumerate()
            .map(|(index, &outputs)| {
                let skip = coarse_to_fine.next().unwrap_or(0);
                let depth = form.map(|form| form.within(self.map_of(index)));
                let before = layers;
                layers = depth.map_or(1, |depth| depth.layers);
                let attention =
                    |channels| self.scse.then(|| Scse::new(channels, device).over(layers));
                let block = Block {
                    conv1: conv_norm([inputs + skip, outputs], depth, device),
                    attention1: attention(inputs + skip),
                    conv2: conv_norm([outputs, outputs], depth, device),
                    attention2: attention(outputs),
                    repeats: layers / before,
                };
                inputs = outputs;
                block
            })
            .collect();
        Unet { blocks }
    }
}

/// A 3 × 3 (× 3) convolution without bias, then a batch norm: `conv.0` and `conv.1`, as
/// segmentation_models_pytorch numbers them.
type ConvNorm = (Conv, BatchNorm2d);

fn conv_norm(channels: [usize; 2], depth: Option<Depth>, device: &Device) -> ConvNorm {
    let initializer = Initializer::KaimingUniform {
        gain: std::f64::consts::SQRT_2,
    };
    let conv = Conv2dConfig::new(channels, 3)
        .with_bias(false)
        .with_initializer(initializer);
    (
        conv.init_over(depth, device),
        BatchNorm2dConfig::new(channels[1]).init(device),
    )
}

fn conv_norm_relu((conv, norm): &ConvNorm, input: Tensor<4>) -> Tensor<4> {
    conv.forward_normed(input, norm, Some(Activation::Relu))
}

/// The decoder of segmentation_models_pytorch's U-Net (Ronneberger et al., *U-Net*), of any
/// length.
#[derive(Module, Debug)]
pub struct Unet {
    blocks: Vec<Block>,
}

impl Unet {
    /// # Shapes
    /// - features: `[batch, channels, size / stride, size / stride]`, finest first, strides
    ///   doubling; over volumes `[batch × layers, …]`
    /// - output: `[batch, blocks.last(), size', size']` with `size'` the coarsest map's, doubled
    ///   once per block
    pub fn forward(&self, features: Vec<Tensor<4>>) -> Tensor<4> {
        let mut coarse_to_fine = features.into_iter().rev();
        let coarsest = coarse_to_fine
            .next()
            .expect("an encoder gives at least one feature map");
        let blocks = self.blocks.iter().enumerate();
        blocks.fold(coarsest, |x, (index, block)| {
            // segmentation_models_pytorch hands a skip, be it an empty one, to all but the last of
            // five blocks, and attends to what was joined with a skip.
            block.forward(x, coarse_to_fine.next(), index < LAST_BLOCK)
        })
    }
}

/// The block that reaches the image's own size.
const LAST_BLOCK: usize = 4;

#[derive(Module, Debug)]
struct Block {
    conv1: ConvNorm,
    attention1: Option<Scse>,
    conv2: ConvNorm,
    attention2: Option<Scse>,
    /// How often each layer is repeated first.
    repeats: usize,
}

impl Block {
    fn forward(&self, input: Tensor<4>, skip: Option<Tensor<4>>, attend: bool) -> Tensor<4> {
        let joined = upsample2x_concat(repeat_layers(input, self.repeats), skip);
        let joined = match (&self.attention1, attend) {
            (Some(attention), true) => attention.forward(joined),
            _ => joined,
        };
        let x = conv_norm_relu(&self.conv2, conv_norm_relu(&self.conv1, joined));
        match &self.attention2 {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}
