//! ResNet (He et al., *Deep residual learning*, 2015) as torchvision and timm build it; everybody's
//! baseline.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{EncoderFamily, EncoderInfo, Family, StagedEncoder, VolumeForm, multiply_adds};
use inkling_kernels::{Activation, add_activated};

use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, Conv, Conv2dConfig, Depth, DropPath, drop_path_rates, max_pool,
};
use crate::{Approach, Error};

struct Variant {
    name: &'static str,
    blocks: [usize; 4],
    /// Three convolutions per block instead of two, the last widening four times.
    bottleneck: bool,
}

#[rustfmt::skip]
const VARIANTS: &[Variant] = &[
    Variant { name: "resnet18", blocks: [2, 2, 2, 2], bottleneck: false },
    Variant { name: "resnet34", blocks: [3, 4, 6, 3], bottleneck: false },
    Variant { name: "resnet50", blocks: [3, 4, 6, 3], bottleneck: true },
    Variant { name: "resnet101", blocks: [3, 4, 23, 3], bottleneck: true },
    Variant { name: "resnet152", blocks: [3, 8, 36, 3], bottleneck: true },
];

const DEEPEST_STRIDE: usize = 32;
const STEM: usize = 64;

pub(super) fn catalogue() -> impl Iterator<Item = EncoderInfo> {
    VARIANTS.iter().map(|variant| EncoderInfo {
        name: variant.name,
        family: Family::ResNet,
        image_size: 224,
        licence: "Apache-2.0",
    })
}

/// Configuration of a [`ResNet`].
#[derive(Clone, Debug)]
pub struct ResNetConfig {
    blocks: [usize; 4],
    bottleneck: bool,
    inputs: usize,
    drop_path: f64,
    form: Option<VolumeForm>,
}

impl EncoderFamily for ResNetConfig {
    type Encoder = ResNet;
    const FIRST_CONVOLUTION: &'static str = "conv1.weight";
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
            blocks: variant.blocks,
            bottleneck: variant.bottleneck,
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

    /// Channels of the five feature maps, finest (stride 2) first.
    fn channels(&self) -> Vec<usize> {
        let stages = (0..4).map(|stage| (STEM << stage) * self.widening());
        std::iter::once(STEM).chain(stages).collect()
    }

    /// Multiplications, each with an addition, for one image of `image_size` px.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let channels = self.channels();
        let stem = multiply_adds::conv(image_size / 2, [self.inputs, STEM], 7);
        let stage = |index: usize| {
            let (side, width) = (image_size / (4 << index), STEM << index);
            let first = if index > 0 { 2 * side } else { side };
            (0..self.blocks[index])
                .map(|place| match place {
                    0 => self.block_multiply_adds(first, side, channels[index], width),
                    _ => self.block_multiply_adds(side, side, channels[index + 1], width),
                })
                .sum::<u64>()
        };
        stem + (0..4).map(stage).sum::<u64>()
    }

    fn over_volumes(mut self, form: VolumeForm) -> Result<Self, Error> {
        self.form = Some(form);
        Ok(self)
    }

    /// Makes the encoder.
    fn init(&self, device: &Device) -> ResNet {
        let (channels, form) = (self.channels(), self.form.as_ref());
        let rates = drop_path_rates(self.drop_path, &self.blocks);
        let stage = |index: usize| -> Vec<Block> {
            let blocks = rates[index].iter().enumerate().map(|(place, &rate)| {
                let inputs = channels[if place == 0 { index } else { index + 1 }];
                let halves = place == 0 && index > 0;
                self.block(inputs, index, halves, rate, device)
            });
            blocks.collect()
        };
        ResNet {
            conv1: Conv2dConfig::new([self.inputs, STEM], 7)
                .with_stride(2)
                .with_bias(false)
                .init_over(form.map(|form| form.entering(0)), device),
            bn1: BatchNorm2dConfig::new(STEM).init(device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            pooled: form.map_or([1, 1], |form| [form.layers_before(1), form.strides[1]]),
        }
    }
}

impl ResNetConfig {
    fn widening(&self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }

    /// Those of a block from maps of `from × from` to `to × to`.
    fn block_multiply_adds(&self, from: usize, to: usize, inputs: usize, width: usize) -> u64 {
        let outputs = width * self.widening();
        let branch = match self.bottleneck {
            true => {
                multiply_adds::conv(from, [inputs, width], 1)
                    + multiply_adds::conv(to, [width, width], 3)
                    + multiply_adds::conv(to, [width, outputs], 1)
            }
            false => {
                multiply_adds::conv(to, [inputs, width], 3)
                    + multiply_adds::conv(to, [width, width], 3)
            }
        };
        let shortcut = match inputs == outputs {
            true => 0,
            false => multiply_adds::conv(to, [inputs, outputs], 1),
        };
        branch + shortcut
    }

    fn block(
        &self,
        inputs: usize,
        stage: usize,
        halves: bool,
        rate: f64,
        device: &Device,
    ) -> Block {
        let (width, stride) = (STEM << stage, if halves { 2 } else { 1 });
        let outputs = width * self.widening();
        let form = self.form.as_ref();
        let entering = form.map(|form| match halves {
            true => form.entering(stage + 1),
            false => form.within(stage + 1),
        });
        let before = entering.map(|depth| Depth { stride: 1, ..depth });
        let within = form.map(|form| form.within(stage + 1));
        let conv = |channels, kernel, (stride, depth)| {
            Conv2dConfig::new(channels, kernel)
                .with_stride(stride)
                .with_bias(false)
                .init_over(depth, device)
        };
        let halving = (stride, entering);
        let norm = |channels| BatchNorm2dConfig::new(channels).init(device);
        let (first, second) = match self.bottleneck {
            true => ((1, (1, before)), (3, halving)),
            false => ((3, halving), (3, (1, within))),
        };
        Block {
            conv1: conv([inputs, width], first.0, first.1),
            bn1: norm(width),
            conv2: conv([width, width], second.0, second.1),
            bn2: norm(width),
            conv3: self
                .bottleneck
                .then(|| conv([width, outputs], 1, (1, within))),
            bn3: self.bottleneck.then(|| norm(outputs)),
            downsample: (stride > 1 || inputs != outputs)
                .then(|| (conv([inputs, outputs], 1, halving), norm(outputs))),
            drop_path: DropPath::new(rate).over(VolumeForm::layers_or_one(form, stage + 1)),
        }
    }
}

/// The encoder: a stem and four stages.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv,
    bn1: BatchNorm2d,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    /// Layers that the pooling after the stem takes, and its stride among them.
    #[module(skip)]
    pooled: [usize; 2],
}

impl StagedEncoder for ResNet {
    const STEM_IS_STAGE: bool = true;

    /// How many blocks each stage has; the stem is a stage of one.
    fn blocks(&self) -> Vec<usize> {
        let stages = self.stages().into_iter().map(Vec::len);
        std::iter::once(1).chain(stages).collect()
    }

    /// One block of a stage.
    ///
    /// # Shapes
    /// - input: the image `[batch, inputs, size, size]` or the block's before
    /// - output: `[batch, channels, size / stride, size / stride]` at strides 2, 4, 8, 16 and 32
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        let Some(stage) = stage.checked_sub(1) else {
            let activation = Some(Activation::Relu);
            return self.conv1.forward_normed(input, &self.bn1, activation);
        };
        let input = match (stage, block) {
            (0, 0) => max_pool(input, self.pooled[0], self.pooled[1]),
            _ => input,
        };
        self.stages()[stage][block].forward(input)
    }
}

impl ResNet {
    fn stages(&self) -> [&Vec<Block>; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
    }
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv,
    bn1: BatchNorm2d,
    conv2: Conv,
    bn2: BatchNorm2d,
    conv3: Option<Conv>,
    bn3: Option<BatchNorm2d>,
    downsample: Option<(Conv, BatchNorm2d)>,
    drop_path: DropPath,
}

impl Block {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some((conv, norm)) => conv.forward_normed(input.clone(), norm, None),
            None => input.clone(),
        };
        let rectified = Some(Activation::Relu);
        let x = self.conv1.forward_normed(input, &self.bn1, rectified);
        let x = match (&self.conv3, &self.bn3) {
            (Some(conv), Some(norm)) => {
                let x = self.conv2.forward_normed(x, &self.bn2, rectified);
                // Nothing is dropped where nothing is recorded.
                if !x.device().is_autodiff() {
                    return conv.forward_normed_onto(shortcut, x, norm, Activation::Relu);
                }
                conv.forward_normed(x, norm, None)
            }
            _ => self.conv2.forward_normed(x, &self.bn2, None),
        };
        add_activated(self.drop_path.forward(x), shortcut, Activation::Relu)
    }
}
