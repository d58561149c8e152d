//! The operations on burn's tensors: on the processor by the kernels, elsewhere as burn has them.

use burn::backend::flex::FlexTensor;
use burn::backend::{Dispatch, DispatchDevice, Flex};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{DType, Device, Tensor, activation as plain, module};

use crate::operations::{Kernels, Way, Weights, affine_forward, convolve_forward, linear_forward};
use crate::passes::{rearrange, unfold_windows};
use crate::profile::timed;
use crate::{Activation, Numbers};

/// Whether the kernels serve a tensor: one of f32 on flex.
pub fn is_served<const D: usize>(tensor: &Tensor<D>) -> bool {
    let device = tensor.device().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_)) && tensor.dtype() == DType::F32
}

/// Whether nothing records gradients of a tensor on flex, so that results may replace arguments.
fn is_final<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_served(tensor) && !tensor.device().is_autodiff()
}

/// A layer's bias, zeros where it has none.
fn or_zeros(bias: Option<Tensor<1>>, features: usize, device: &Device) -> Tensor<1> {
    bias.unwrap_or_else(|| Tensor::zeros([features], device))
}

pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor
        .try_into_primitive::<Flex>()
        .expect("the tensor lies on flex")
}

/// A function of every value.
///
/// # Shapes
/// - input and output: any
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let device = x.device();
    timed("activation", &device, move || {
        activated(x, Some(activation))
    })
}

fn activated<const D: usize>(x: Tensor<D>, activation: Option<Activation>) -> Tensor<D> {
    match activation {
        None => x,
        Some(activation) if is_served(&x) => {
            Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation))
        }
        Some(activation) => plain_activation(x, activation),
    }
}

/// What burn makes of an activation.
pub fn plain_activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Relu => plain::relu(x),
        Activation::Silu => plain::silu(x),
        Activation::Gelu => plain::gelu(x),
        Activation::GeluTanh => {
            let scale = (2.0 / std::f64::consts::PI).sqrt();
            let square = x.clone().square();
            let inner = x.clone() * (square * 0.044_715 + 1.0) * scale;
            x * (inner.tanh() + 1.0) * 0.5
        }
        Activation::Sigmoid => plain::sigmoid(x),
    }
}

/// A 2D convolution; `torch.nn.functional.conv2d`.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs / groups, kernel, kernel]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, …, …]`
pub fn conv2d(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    let device = images.device();
    let kind = kind_of(images.dims(), weight.dims(), &options);
    timed(kind, &device, move || {
        convolved(images, weight, bias, options, None)
    })
}

/// [`conv2d`], then `activation(factor · x + summand)`, one factor and summand for each channel, in
/// the same pass where nothing records gradients: what a batch norm does outside training.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs / groups, kernel, kernel]`
/// - bias, factor, summand: `[outputs]`
/// - output: `[batch, outputs, …, …]`
pub fn conv2d_affine(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    [factor, summand]: [Tensor<1>; 2],
    activation: Option<Activation>,
) -> Tensor<4> {
    let device = images.device();
    let kind = kind_of(images.dims(), weight.dims(), &options);
    timed(kind, &device, move || {
        let after = Some(([factor, summand], activation));
        convolved(images, weight, bias, options, after)
    })
}

type AfterTensors = ([Tensor<1>; 2], Option<Activation>);

fn convolved(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: Option<AfterTensors>,
) -> Tensor<4> {
    let finished = |x: Tensor<4>, after: Option<AfterTensors>| match after {
        Some(([factor, summand], activation)) => scaled(x, factor, summand, activation),
        None => x,
    };
    let way = match way_of(&images, &weight, &options) {
        Ok(way) => way,
        Err(Other::Patches) => return finished(convolve_patches(images, weight, bias), after),
        Err(Other::Windows) => {
            return finished(convolve_windows(images, weight, bias, &options), after);
        }
        Err(Other::Any) => return finished(module::conv2d(images, weight, bias, options), after),
    };
    let [outputs, ..] = weight.dims();
    let (bias, numbers) = (or_zeros(bias, outputs, &images.device()), Numbers::chosen());
    if is_final(&images) && is_final(&weight) {
        let kernel = (primitive(weight), primitive(bias));
        let after = after.map(|([factor, summand], activation)| {
            (primitive(factor), primitive(summand), activation)
        });
        let kept = (numbers, Weights::Stay);
        let output = convolve_forward(way, primitive(images), kernel, after, kept);
        return Tensor::from_primitive::<Flex>(output);
    }
    let (images, weight) = (images.into_dispatch(), weight.into_dispatch());
    let bias = bias.into_dispatch();
    let output = Tensor::from_dispatch(match way {
        Way::Full => Dispatch::convolve(images, weight, bias, numbers),
        Way::Depthwise => Dispatch::convolve_depthwise(images, weight, bias),
        Way::Pointwise => Dispatch::convolve_pointwise(images, weight, bias, numbers),
    });
    finished(output, after)
}

/// Convolutions that no kernel of their own serves.
enum Other {
    /// Kernels that meet without overlap, gap or border.
    Patches,
    /// Windows that are unfolded first.
    Windows,
    Any,
}

/// The kernel that serves a convolution.
fn way_of(images: &Tensor<4>, weight: &Tensor<4>, options: &ConvOptions<2>) -> Result<Way, Other> {
    let same_device = images.device() == weight.device();
    if !same_device || !is_served(images) || !is_served(weight) {
        return Err(Other::Any);
    }
    let [_, inputs, height, width] = images.dims();
    let [outputs, _, side, other] = weight.dims();
    let keeps_size = side == other
        && options.stride == [1, 1]
        && options.dilation == [1, 1]
        && options.padding_begin() == [side / 2; 2]
        && options.padding_end() == [side / 2; 2]
        && height * width > 0;
    let depthwise = options.groups == inputs && outputs == inputs && inputs > 1;
    match side {
        3 if keeps_size && options.groups == 1 => Ok(Way::Full),
        3 | 5 | 7 if keeps_size && depthwise => Ok(Way::Depthwise),
        1 if keeps_size && options.groups == 1 => Ok(Way::Pointwise),
        _ if is_patches(images.dims(), weight.dims(), options) => Err(Other::Patches),
        _ if is_windows(weight.dims(), options) => Err(Other::Windows),
        _ => Err(Other::Any),
    }
}

/// Whether kernels meet without overlap, gap or border.
fn is_patches(images: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> bool {
    let side = weight[2];
    weight[3] == side
        && options.stride == [side; 2]
        && options.dilation == [1, 1]
        && options.padding_begin() == [0, 0]
        && options.padding_end() == [0, 0]
        && options.groups == 1
        && images[2].is_multiple_of(side)
        && images[3].is_multiple_of(side)
}

/// A convolution of patches that do not overlap: a linear layer of each patch.
fn convolve_patches(images: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [batch, inputs, height, width] = images.dims();
    let [outputs, _, side, _] = weight.dims();
    let (rows, columns) = (height / side, width / side);
    let size = [batch, rows, columns, inputs * side * side];
    let split = [batch, inputs, rows, side, columns, side];
    // Runs as long as they can be: of pixels, or of channels, which lie together between the layers
    // of encoders that have many.
    let (order, weight) = match inputs < side * side {
        true => ([0, 2, 4, 1, 3, 5], weight),
        false => ([0, 2, 4, 3, 5, 1], weight.permute([0, 2, 3, 1])),
    };
    let patches = rearrange(images, split, order, size);
    let weight = weight.reshape([outputs, inputs * side * side]);
    projected(patches, weight, bias, None).permute([0, 3, 1, 2])
}

/// Whether kernels move by more than a pixel, over borders alike at every side.
fn is_windows(weight: [usize; 4], options: &ConvOptions<2>) -> bool {
    let [border, stride] = [options.padding_begin()[0], options.stride[0]];
    weight[3] == weight[2]
        && stride > 1
        && options.stride == [stride; 2]
        && options.dilation == [1, 1]
        && options.padding_begin() == [border; 2]
        && options.padding_end() == [border; 2]
        && options.groups == 1
}

/// A convolution as a linear layer of what its kernel sees.
fn convolve_windows(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: &ConvOptions<2>,
) -> Tensor<4> {
    let [outputs, inputs, side, _] = weight.dims();
    let images = images.permute([0, 2, 3, 1]);
    let windows = unfold_windows(images, side, options.stride[0], options.padding_begin()[0]);
    let weight = weight.permute([0, 2, 3, 1]);
    let weight = weight.reshape([outputs, side * side * inputs]);
    projected(windows, weight, bias, None).permute([0, 3, 1, 2])
}

/// What a profile calls a convolution.
fn kind_of(images: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> &'static str {
    match (weight[2], options.groups) {
        (_, groups) if groups > 1 && groups == images[1] => "depthwise convolution",
        (1, _) => "convolution 1 × 1",
        (3, 1) if options.stride == [1, 1] => "convolution 3 × 3",
        _ => "other convolution",
    }
}

/// Attention of the positions of each group: `softmax(scale · query · keyᵀ + bias) · value`.
///
/// # Shapes
/// - query, key, value: `[groups, heads, positions, width]`
/// - bias: `[n, heads, positions, positions]`, `n` dividing `groups`: group `g` takes that of
///   `g % n`
/// - output: `[groups, positions, heads × width]`
pub fn attend(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<3> {
    let device = query.device();
    timed("attention", &device, move || {
        let [groups, heads, positions, width] = query.dims();
        let mixed = if is_served(&query) {
            let none = || Tensor::zeros([0, heads, positions, positions], &query.device());
            let bias = bias.unwrap_or_else(none);
            Tensor::from_dispatch(Dispatch::attend(
                query.into_dispatch(),
                key.into_dispatch(),
                value.into_dispatch(),
                bias.into_dispatch(),
                scale,
                Numbers::chosen(),
            ))
        } else {
            plain_attention(query, key, value, bias, scale)
        };
        mixed
            .swap_dims(1, 2)
            .reshape([groups, positions, heads * width])
    })
}

/// Attention step by step, `[groups, heads, positions, width]`.
pub fn plain_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    let [groups, heads, positions, _] = query.dims();
    let mut scores = (query * scale).matmul(key.swap_dims(2, 3));
    if let Some(bias) = bias {
        let [biases, ..] = bias.dims();
        let split = [groups / biases, biases * heads, positions, positions];
        let bias = bias.reshape([1, biases * heads, positions, positions]);
        scores = (scores.reshape(split) + bias).reshape([groups, heads, positions, positions]);
    }
    plain::softmax(scores, 3).matmul(value)
}

/// Normalisation over the last axis; `torch.nn.functional.layer_norm`.
///
/// # Shapes
/// - input and output: `[..., features]`
/// - weight, bias: `[features]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    let device = x.device();
    timed("layer norm", &device, move || {
        if !is_served(&x) {
            return module::layer_norm(x, weight, bias, epsilon);
        }
        let bias = or_zeros(bias, weight.dims()[0], &weight.device());
        let (x, weight, bias) = (
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
        );
        Tensor::from_dispatch(Dispatch::normalize(x, weight, bias, epsilon))
    })
}

/// `activation(x · weightᵀ + bias)`; `torch.nn.functional.linear` and what follows it.
///
/// # Shapes
/// - x: `[..., inputs]`
/// - weight: `[outputs, inputs]`
/// - bias: `[outputs]`
/// - output: `[..., outputs]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Option<Activation>,
) -> Tensor<D> {
    let device = x.device();
    timed("linear", &device, move || {
        projected(x, weight, bias, activation)
    })
}

fn projected<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Option<Activation>,
) -> Tensor<D> {
    if is_final(&x) && is_final(&weight) {
        let (weight, bias) = (primitive(weight), bias.map(primitive));
        let output = linear_forward(
            primitive(x),
            weight,
            bias,
            activation,
            (Numbers::chosen(), Weights::Stay),
        );
        return Tensor::from_primitive::<Flex>(output);
    }
    let product = if is_served(&x) {
        let bias = or_zeros(bias, weight.dims()[0], &weight.device()).into_dispatch();
        Tensor::from_dispatch(Dispatch::project(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias,
            Numbers::chosen(),
        ))
    } else {
        module::linear(x, weight.transpose(), bias)
    };
    activated(product, activation)
}

/// `activation(factor · x + summand)`, one factor and summand for each channel.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - factor, summand: `[channels]`
pub fn affine(
    x: Tensor<4>,
    factor: Tensor<1>,
    summand: Tensor<1>,
    activation: Option<Activation>,
) -> Tensor<4> {
    let device = x.device();
    timed("batch norm", &device, move || {
        scaled(x, factor, summand, activation)
    })
}

fn scaled(
    x: Tensor<4>,
    factor: Tensor<1>,
    summand: Tensor<1>,
    activation: Option<Activation>,
) -> Tensor<4> {
    if is_final(&x) {
        let (factor, summand) = (primitive(factor), primitive(summand));
        let output = affine_forward(primitive(x), factor, summand, activation);
        return Tensor::from_primitive::<Flex>(output);
    }
    let [channels] = factor.dims();
    let along = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
    activated(x * along(factor) + along(summand), activation)
}

/// A transposed convolution whose squares do not overlap: every pixel becomes a square of
/// `side × side`; `torch.nn.functional.conv_transpose2d` with kernel and stride alike.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[inputs, outputs, side, side]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, height × side, width × side]`
pub fn conv_transpose2d(images: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let device = images.device();
    timed("transposed convolution", &device, move || {
        let [inputs, outputs, side, _] = weight.dims();
        if !is_served(&images) || !is_served(&weight) {
            let options = ConvTransposeOptions::new([side; 2], [0, 0], [0, 0], [1, 1], 1);
            return module::conv_transpose2d(images, weight, Some(bias), options);
        }
        let [batch, _, height, width] = images.dims();
        let area = side * side;
        let weight = weight.permute([2, 3, 1, 0]);
        let weight = weight.reshape([area * outputs, inputs]);
        let bias = bias.repeat_dim(0, area);
        let squares = projected(images.permute([0, 2, 3, 1]), weight, Some(bias), None);
        rearrange(
            squares,
            [batch, height, width, side, side * outputs],
            [0, 1, 3, 2, 4],
            [batch, height * side, width * side, outputs],
        )
        .permute([0, 3, 1, 2])
    })
}
