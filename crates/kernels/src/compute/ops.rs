//! A backend extension for operations bound by multiplications, and its forward passes on flex.

use std::any::Any;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use crate::channel_affine::ChannelAffine;
use crate::conv_unfolded::{self, Conv3dOptions};
use crate::conv3d;
use crate::conv3x3::TapOrder;
use crate::flex_tensors::{
    contiguous, dims, from_values, into_owned, values, view, with_positive_strides,
};
use crate::matrix::Lhs;
use crate::weight_cache::packed;
use crate::{
    Activation, MulPrecision, activation, attention, conv3x3, depthwise, layer_norm, linear,
    pointwise, winograd,
};

/// Operations bound by multiplications. All tensors hold f32. A layer without bias passes zeros, an
/// attention without bias a tensor of no values, because the macro takes no `Option`. `precision` is
/// that of the factors of all products, forward and backward. Some names differ from the tensor
/// functions' because burn's own operations bear those.
#[backend_extension(Flex, Autodiff)]
pub trait ComputeOps: Backend {
    /// [`crate::activate`]
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// [`crate::conv2d`] with 3 × 3 kernels, or [`crate::conv2d_before_norm`].
    fn conv3x3(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm_follows: bool,
        precision: MulPrecision,
    ) -> FloatTensor<Self>;

    /// [`crate::conv3d`]; the images of a volume's `layers` follow one another. [`crate::conv2d`] with a stride
    /// is one of single layers. (burn has a `conv3d` of its own.)
    fn conv_volumes(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layers: usize,
        options: Conv3dOptions,
        precision: MulPrecision,
    ) -> FloatTensor<Self>;

    /// [`crate::conv2d`] of each channel by itself.
    fn conv_depthwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::conv2d`] with 1 × 1 kernels.
    fn conv_pointwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: MulPrecision,
    ) -> FloatTensor<Self>;

    /// [`crate::attention`]; the output is `[groups, heads, positions, width]`.
    fn sdpa(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
        precision: MulPrecision,
    ) -> FloatTensor<Self>;

    /// [`crate::layer_norm`]
    fn norm_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// [`crate::linear`]
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: MulPrecision,
    ) -> FloatTensor<Self>;
}

impl ComputeOps for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut x = into_owned(x);
        activation::apply(x.storage_mut(), activation);
        x
    }

    fn conv3x3(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        norm_follows: bool,
        precision: MulPrecision,
    ) -> FlexTensor {
        let kernel = (weight, bias);
        let after = match norm_follows {
            true => After::Norm,
            false => After::Nothing,
        };
        let kept = (precision, WeightCache::Skip);
        conv_forward(ConvKind::Conv3x3, images, kernel, after, kept)
    }

    fn conv_volumes(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        layers: usize,
        options: Conv3dOptions,
        precision: MulPrecision,
    ) -> FlexTensor {
        let kept = (precision, WeightCache::Skip);
        conv3d_forward(images, (weight, bias), (layers, options), kept)
    }

    fn conv_depthwise(images: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let kept = (MulPrecision::F32, WeightCache::Skip);
        conv_forward(
            ConvKind::Depthwise,
            images,
            (weight, bias),
            After::Nothing,
            kept,
        )
    }

    fn conv_pointwise(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        precision: MulPrecision,
    ) -> FlexTensor {
        let kernel = (weight, bias);
        conv_forward(
            ConvKind::Pointwise,
            images,
            kernel,
            After::Nothing,
            (precision, WeightCache::Skip),
        )
    }

    fn sdpa(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        bias: FlexTensor,
        scale: f64,
        precision: MulPrecision,
    ) -> FlexTensor {
        let attention = Attention::new([query, key, value], bias, scale, precision);
        let attention::Sizes {
            groups,
            heads,
            positions,
            width,
            ..
        } = attention.sizes;
        let output = attention::forward(attention.sizes, attention.inputs());
        from_values(output, [groups, positions, heads, width]).transpose(1, 2)
    }

    fn norm_rows(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f64) -> FlexTensor {
        let (weight, bias) = (contiguous(weight), contiguous(bias));
        let mut x = into_owned(x);
        let bias = Some(values(&bias));
        layer_norm::forward(x.storage_mut(), values(&weight), bias, epsilon as f32);
        x
    }

    fn linear_rows(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        precision: MulPrecision,
    ) -> FlexTensor {
        linear_forward(x, weight, Some(bias), None, (precision, WeightCache::Skip))
    }
}

/// Whether packed weights are kept in the [`crate::weight_cache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightCache {
    /// Packed for this call: training changes them before the next.
    Skip,
    /// Packed once and kept as long as the weights live.
    Keep,
}

/// Bytes from which on weights are large.
const LARGE: usize = 16 << 20;
/// Pixels beside whose products packing takes little.
const MANY_PIXELS: usize = 256;
/// Pixels of a volume beside whose products packing 3D kernels takes a hundredth.
const VOLUME_PIXELS: usize = 4096;

impl WeightCache {
    /// Large weights are packed by every convolution of many pixels: that takes a few hundredths of its time, and to
    /// keep them would take their memory again.
    fn for_pixels(self, weight: &FlexTensor, pixels: usize) -> Self {
        let size = weight.layout().num_elements() * size_of::<f32>();
        match size > LARGE && pixels >= MANY_PIXELS {
            true => Self::Skip,
            false => self,
        }
    }

    /// 3D kernels, large or not, are packed by every convolution of so many pixels.
    fn for_volume(self, pixels: usize) -> Self {
        match pixels >= VOLUME_PIXELS {
            true => Self::Skip,
            false => self,
        }
    }

    fn packed<T: Any + Send + Sync>(
        self,
        weight: &FlexTensor,
        precision: MulPrecision,
        pack: impl FnOnce() -> T,
    ) -> Arc<T> {
        match self {
            Self::Skip => Arc::new(pack()),
            Self::Keep => packed(weight, precision, pack),
        }
    }
}

/// The convolutions that have a kernel of their own; all keep the images' size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvKind {
    /// 3 × 3, stride 1, one group.
    Conv3x3,
    /// One group per channel, 3 × 3 to 7 × 7, stride 1.
    Depthwise,
    /// 1 × 1, one group.
    Pointwise,
}

/// What comes after a convolution.
#[derive(Clone, Debug)]
pub enum After<E> {
    /// Anything.
    Nothing,
    /// A norm that takes the statistics of this very output.
    Norm,
    /// A norm of running statistics, in the same pass.
    Affine(E),
}

/// What is applied to a convolution's output in the same pass: `activation(scale · x + shift)` with
/// scale and shift `[channels]`.
pub type Epilogue = (FlexTensor, FlexTensor, Option<Activation>);

/// A convolution with bias, and what comes after it.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs / groups, kernel, kernel]`, bias: `[outputs]`
/// - output: `[batch, outputs, height, width]`
pub fn conv_forward(
    kind: ConvKind,
    images: FlexTensor,
    (weight, bias): (FlexTensor, FlexTensor),
    after: After<Epilogue>,
    (precision, weights): (MulPrecision, WeightCache),
) -> FlexTensor {
    let (images, weight) = (contiguous(images), contiguous(weight));
    let bias = contiguous(bias);
    let norm_follows = !matches!(after, After::Nothing);
    let epilogue = match after {
        After::Affine(epilogue) => Some(epilogue),
        After::Nothing | After::Norm => None,
    };
    let epilogue = epilogue
        .map(|(scale, shift, activation)| (contiguous(scale), contiguous(shift), activation));
    let epilogue = epilogue
        .as_ref()
        .map(|(scale, shift, activation)| ChannelAffine {
            scale: values(scale),
            shift: values(shift),
            activation: *activation,
        });
    let [batch, _, height, width] = dims(&images);
    let [outputs, ..]: [usize; 4] = dims(&weight);
    let (pixels, kernel, bias) = (values(&images), values(&weight), values(&bias));
    let output = match kind {
        ConvKind::Conv3x3 => {
            let sizes = conv_sizes(&images, &weight);
            // Not where no norm follows: that is MaxViT's stem, whose roundings its deepest networks
            // amplify a hundredfold.
            let fits = norm_follows && precision == MulPrecision::F32;
            let pays = match weights {
                WeightCache::Keep => winograd::pays(sizes),
                WeightCache::Skip => winograd::pays_in_training(sizes),
            };
            let weights = weights.for_pixels(&weight, batch * height * width);
            if fits && pays {
                let pack = || winograd::pack(sizes, kernel, TapOrder::Forward);
                let packed = weights.packed(&weight, precision, pack);
                let output = winograd::forward(sizes, pixels, &packed, Some(bias), epilogue);
                return from_values(output, [batch, outputs, height, width]);
            }
            let pack = || conv3x3::pack(precision, sizes, kernel);
            let packed = weights.packed(&weight, precision, pack);
            conv3x3::forward(precision, sizes, pixels, &packed, Some(bias), epilogue)
        }
        ConvKind::Depthwise => {
            let sizes = depthwise_sizes(&images, &weight);
            depthwise::forward(sizes, pixels, kernel, Some(bias), epilogue)
        }
        ConvKind::Pointwise => {
            let sizes = pointwise_sizes(&images, &weight);
            with_pointwise(&weight, sizes, (precision, weights), |weights| {
                pointwise::forward(precision, sizes, pixels, weights, bias, epilogue)
            })
        }
    };
    from_values(output, [batch, outputs, height, width])
}

/// `activation(scale · convolution + shift + shortcut)` by 1 × 1 kernels for the images of the shortcut from `first`
/// on, in place where nobody else has it.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs, 1, 1]`, bias: `[outputs]`
/// - shortcut and output: `[first + batch or more, outputs, height, width]`
pub fn conv_pointwise_onto(
    (shortcut, first): (FlexTensor, usize),
    images: FlexTensor,
    (weight, bias): (FlexTensor, FlexTensor),
    (scale, shift, activation): Epilogue,
    precision: MulPrecision,
) -> FlexTensor {
    let (images, weight, bias) = (contiguous(images), contiguous(weight), contiguous(bias));
    let (scale, shift) = (contiguous(scale), contiguous(shift));
    let epilogue = ChannelAffine {
        scale: values(&scale),
        shift: values(&shift),
        activation,
    };
    let sizes = pointwise_sizes(&images, &weight);
    let mut output = into_owned(shortcut);
    let image = sizes.outputs * sizes.area;
    let onto = &mut output.storage_mut::<f32>()[first * image..][..sizes.batch * image];
    let (pixels, bias, onto) = (values(&images), values(&bias), (onto, epilogue));
    with_pointwise(&weight, sizes, (precision, WeightCache::Keep), |weights| {
        pointwise::forward_onto(precision, sizes, pixels, weights, bias, onto);
    });
    output
}

/// Does `work` with the weights of a 1 × 1 convolution: as they lie for f32, else rounded and kept like packed ones.
fn with_pointwise<T>(
    weight: &FlexTensor,
    sizes: pointwise::Sizes,
    (precision, weights): (MulPrecision, WeightCache),
    work: impl FnOnce(&Lhs) -> T,
) -> T {
    let pack = || pointwise::pack(precision, sizes, values(weight));
    match precision {
        MulPrecision::F32 => work(&pack()),
        MulPrecision::Bf16 | MulPrecision::Int8 => {
            work(&weights.packed(weight, precision, || pack().into_owned()))
        }
    }
}

/// A 3D convolution with bias.
///
/// # Shapes
/// - images: `[volumes × layers, inputs, height, width]`
/// - weight: `[outputs, inputs, deep, side, side]`, bias: `[outputs]`
/// - output: `[volumes × output layers, outputs, rows, columns]`
pub fn conv3d_forward(
    images: FlexTensor,
    (weight, bias): (FlexTensor, FlexTensor),
    places: (usize, Conv3dOptions),
    (precision, weights): (MulPrecision, WeightCache),
) -> FlexTensor {
    let (images, weight) = (contiguous(images), contiguous(weight));
    let bias = contiguous(bias);
    let sizes = conv3d_sizes(&images, &weight, places);
    let layers = sizes.batch * sizes.output_layers();
    let [rows, columns] = [sizes.rows(), sizes.columns()];
    let weights = weights.for_volume(layers * rows * columns);
    let (volumes, bias) = (values(&images), Some(values(&bias)));
    let output = match conv3d::Sizes::direct(sizes) {
        Some(direct) => {
            let pack = || conv3d::pack(precision, direct, values(&weight));
            let packed = weights.packed(&weight, precision, pack);
            conv3d::forward(precision, direct, volumes, &packed, bias)
        }
        None => conv_unfolded::forward(precision, sizes, volumes, values(&weight), bias),
    };
    from_values(output, [layers, sizes.outputs, rows, columns])
}

/// `activation(x · weightᵀ + bias)`.
///
/// # Shapes
/// - x: `[..., inputs]`
/// - weight: `[outputs, inputs]`, bias: `[outputs]`
/// - output: `[..., outputs]`
pub fn linear_forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    activation: Option<Activation>,
    (precision, weights): (MulPrecision, WeightCache),
) -> FlexTensor {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), bias.map(contiguous));
    let [outputs, inputs] = dims(&weight);
    let size = [inputs, outputs];
    let pack = || linear::Weights::pack(precision, values(&weight), size);
    let packed = weights.packed(&weight, precision, pack);
    let bias = bias.as_ref().map(values);
    let output = linear::forward(values(&x), &packed, size, bias, activation);
    let mut shape = x.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = outputs;
    from_values(output, shape)
}

/// The squares of a transposed convolution whose stride is its kernel's side, each beside the pixel that it comes
/// from.
///
/// # Shapes
/// - pixels: `[batch, height, width, inputs]`
/// - weight: `[inputs, outputs, side, side]`, bias: `[side × side × outputs]`
/// - output: `[batch, height, width, side × side × outputs]`
pub fn squares_forward(
    pixels: FlexTensor,
    (weight, bias): (FlexTensor, FlexTensor),
    precision: MulPrecision,
) -> FlexTensor {
    let (pixels, bias) = (contiguous(pixels), contiguous(bias));
    let [batch, height, width, _]: [usize; 4] = dims(&pixels);
    let [inputs, outputs, side, _]: [usize; 4] = dims(&weight);
    let size = [inputs, side * side * outputs];
    let packed = packed(&weight, precision, || {
        let rows = contiguous(weight.permute(&[2, 3, 1, 0]));
        linear::Weights::pack(precision, values(&rows), size)
    });
    let bias = Some(values(&bias));
    let output = linear::forward(values(&pixels), &packed, size, bias, None);
    from_values(output, [batch, height, width, size[1]])
}

/// `activation(scale · x + shift)`.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - scale, shift: `[channels]`
pub fn affine_forward(
    x: FlexTensor,
    scale: FlexTensor,
    shift: FlexTensor,
    activation: Option<Activation>,
) -> FlexTensor {
    let (scale, shift) = (contiguous(scale), contiguous(shift));
    let [_, _, height, width] = dims(&x);
    let mut x = into_owned(x);
    let affine = ChannelAffine {
        scale: values(&scale),
        shift: values(&shift),
        activation,
    };
    affine.apply_to_all(x.storage_mut(), height * width);
    x
}

/// Sizes of a 3 × 3 convolution of images `[batch, inputs, height, width]` by a weight `[outputs, inputs, 3, 3]`.
pub fn conv_sizes(images: &FlexTensor, weight: &FlexTensor) -> conv3x3::Sizes {
    let [batch, inputs, height, width] = dims(images);
    let [outputs, ..]: [usize; 4] = dims(weight);
    conv3x3::Sizes {
        batch,
        inputs,
        outputs,
        height,
        width,
    }
}

/// Sizes of a convolution of images `[volumes × layers, inputs, height, width]` by a weight
/// `[outputs, inputs, deep, side, side]`.
pub fn conv3d_sizes(
    images: &FlexTensor,
    weight: &FlexTensor,
    (layers, options): (usize, Conv3dOptions),
) -> conv_unfolded::Sizes {
    let [count, inputs, height, width] = dims(images);
    let [outputs, _, deep, side, _] = dims(weight);
    conv_unfolded::Sizes {
        batch: count / layers,
        layers,
        inputs,
        height,
        width,
        deep,
        side,
        outputs,
        options,
    }
}

/// Sizes of a 1 × 1 convolution of images `[batch, inputs, height, width]` by a weight `[outputs, inputs, 1, 1]`.
pub fn pointwise_sizes(images: &FlexTensor, weight: &FlexTensor) -> pointwise::Sizes {
    let [batch, inputs, height, width] = dims(images);
    let [outputs, ..]: [usize; 4] = dims(weight);
    pointwise::Sizes {
        batch,
        inputs,
        outputs,
        area: height * width,
    }
}

/// Sizes of a convolution of images `[batch, channels, height, width]` by a weight `[channels, 1, side, side]`.
pub fn depthwise_sizes(images: &FlexTensor, weight: &FlexTensor) -> depthwise::Sizes {
    let [batch, channels, height, width] = dims(images);
    let [_, _, side, _] = dims(weight);
    depthwise::Sizes {
        batch,
        channels,
        height,
        width,
        side,
    }
}

/// The tensors of an attention, strided as they came, and their sizes.
#[derive(Clone, Debug)]
pub struct Attention {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    bias: FlexTensor,
    scale: f64,
    precision: MulPrecision,
    /// Sizes of the axes.
    pub sizes: attention::Sizes,
}

impl Attention {
    /// From queries, keys and values `[groups, heads, positions, width]`, which are copied only where an
    /// axis has a negative stride, and a bias `[n, heads, positions, positions]`.
    pub fn new(
        [query, key, value]: [FlexTensor; 3],
        bias: FlexTensor,
        scale: f64,
        precision: MulPrecision,
    ) -> Self {
        let [groups, heads, positions, width] = dims(&query);
        let [biases, ..]: [usize; 4] = dims(&bias);
        Self {
            query: with_positive_strides(query),
            key: with_positive_strides(key),
            value: with_positive_strides(value),
            bias: contiguous(bias),
            scale,
            precision,
            sizes: attention::Sizes {
                groups,
                heads,
                positions,
                width,
                biases,
            },
        }
    }

    /// The tensors as strided slices.
    pub fn inputs(&self) -> attention::Inputs<'_> {
        attention::Inputs {
            query: view(&self.query),
            key: view(&self.key),
            value: view(&self.value),
            bias: values(&self.bias),
            scale: self.scale as f32,
            precision: self.precision,
        }
    }
}
