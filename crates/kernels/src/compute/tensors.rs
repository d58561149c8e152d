//! Operations bound by multiplications on burn's tensors: by the kernels on flex, else by burn.

use burn::backend::{Dispatch, Flex};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, activation as plain, module};

use super::ops::{
    After, ComputeOps, ConvKind, WeightCache, affine_forward, conv_forward, conv_pointwise_onto,
    conv3d_forward, linear_forward, squares_forward,
};
use crate::conv_unfolded::Conv3dOptions;
use crate::conv3d::DepthBorder;
use crate::dispatch::{has_kernels, is_final, or_zeros, primitive};
use crate::memory_bound::tensors::{add, rearrange};
use crate::plain::plain_activation;
use crate::profile::{timed, timed_products};
use crate::{Activation, MulPrecision};

/// An activation, elementwise.
///
/// # Shapes
/// - input and output: any
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let device = x.device();
    timed("activation", &device, move || {
        activate_optional(x, Some(activation))
    })
}

/// `activation(left + right)`: a shortcut, and what a residual block makes.
///
/// # Shapes
/// - left, right and output: any, all the same
pub fn add_activated<const D: usize>(
    left: Tensor<D>,
    right: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    activate(add(left, right), activation)
}

fn activate_optional<const D: usize>(x: Tensor<D>, activation: Option<Activation>) -> Tensor<D> {
    match activation {
        None => x,
        Some(activation) if has_kernels(&x) => {
            Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation))
        }
        Some(activation) => plain_activation(x, activation),
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
    conv2d_then(images, weight, bias, options, After::Nothing)
}

/// [`conv2d`], where a norm follows that takes the statistics of this very output: it may be computed by Winograd's
/// transforms, whose roundings norms forgive.
///
/// # Shapes
/// - as [`conv2d`]'s
pub fn conv2d_before_norm(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    conv2d_then(images, weight, bias, options, After::Norm)
}

/// [`conv2d`], then `activation(scale · x + shift)`, one scale and summand for each channel, in
/// the same pass where nothing records gradients: what a batch norm does outside training.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs / groups, kernel, kernel]`
/// - bias, scale, shift: `[outputs]`
/// - output: `[batch, outputs, …, …]`
pub fn conv2d_affine(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    [scale, shift]: [Tensor<1>; 2],
    activation: Option<Activation>,
) -> Tensor<4> {
    let after = After::Affine(([scale, shift], activation));
    conv2d_then(images, weight, bias, options, after)
}

/// [`conv2d_affine`] added to the images of a shortcut from `first` on before the activation, the end of a residual
/// block: `activation(scale · x + shift + shortcut)`. By 1 × 1 kernels it is one pass, in place of the shortcut
/// where nobody else has it.
///
/// # Shapes
/// - as [`conv2d_affine`]'s; shortcut and output: as its output, with as many images or more, which stay
pub fn conv2d_affine_onto(
    (shortcut, first): (Tensor<4>, usize),
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    [scale, shift]: [Tensor<1>; 2],
    activation: Activation,
) -> Tensor<4> {
    let is_pointwise = matches!(
        conv_kind(&images, &weight, &options),
        Ok(ConvKind::Pointwise)
    );
    if !is_pointwise || !is_final(&images) || !is_final(&weight) || !is_final(&shortcut) {
        let scales = [scale, shift];
        let x = conv2d_affine(images, weight, bias, options, scales, None);
        let ([all, ..], [count, ..]) = (shortcut.dims(), x.dims());
        if count == all {
            return add_activated(x, shortcut, activation);
        }
        let sum = add_activated(x, shortcut.clone().narrow(0, first, count), activation);
        return shortcut.slice_assign(first..first + count, sum);
    }
    let device = images.device();
    let label = profile_label(images.dims(), weight.dims(), &options);
    let [outputs, inputs, ..] = weight.dims();
    timed_products(label, &device, inputs, move || {
        let bias = or_zeros(bias, outputs, &images.device());
        let kernel = (primitive(weight), primitive(bias));
        let epilogue = (primitive(scale), primitive(shift), Some(activation));
        let (shortcut, images) = ((primitive(shortcut), first), primitive(images));
        let precision = MulPrecision::current();
        let output = conv_pointwise_onto(shortcut, images, kernel, epilogue, precision);
        Tensor::from_primitive::<Flex>(output)
    })
}

type EpilogueTensors = ([Tensor<1>; 2], Option<Activation>);

fn conv2d_then(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After<EpilogueTensors>,
) -> Tensor<4> {
    let device = images.device();
    let label = profile_label(images.dims(), weight.dims(), &options);
    let [_, kernel @ ..] = weight.dims();
    timed_products(label, &device, kernel.iter().product(), move || {
        convolve(images, weight, bias, options, after)
    })
}

fn convolve(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After<EpilogueTensors>,
) -> Tensor<4> {
    let finished = |x: Tensor<4>, after: After<EpilogueTensors>| match after {
        After::Affine(([scale, shift], activation)) => scaled(x, scale, shift, activation),
        After::Nothing | After::Norm => x,
    };
    let kind = match conv_kind(&images, &weight, &options) {
        Ok(kind) => kind,
        Err(Fallback::Patches) => return finished(conv_patches(images, weight, bias), after),
        Err(Fallback::Strided) => {
            let [outputs, inputs, side, _] = weight.dims();
            let weight = weight.reshape([outputs, inputs, 1, side, side]);
            let places = Conv3dOptions::in_plane(options.stride[0], options.padding_begin()[0]);
            return finished(conv_volumes(images, weight, bias, (1, places)), after);
        }
        Err(Fallback::Burn) => {
            return finished(module::conv2d(images, weight, bias, options), after);
        }
    };
    let [outputs, ..] = weight.dims();
    let (bias, precision) = (
        or_zeros(bias, outputs, &images.device()),
        MulPrecision::current(),
    );
    if is_final(&images) && is_final(&weight) {
        let kernel = (primitive(weight), primitive(bias));
        let after = match after {
            After::Affine(([scale, shift], activation)) => {
                After::Affine((primitive(scale), primitive(shift), activation))
            }
            After::Norm => After::Norm,
            After::Nothing => After::Nothing,
        };
        let kept = (precision, WeightCache::Keep);
        let output = conv_forward(kind, primitive(images), kernel, after, kept);
        return Tensor::from_primitive::<Flex>(output);
    }
    let (images, weight) = (images.into_dispatch(), weight.into_dispatch());
    let (bias, norm_follows) = (bias.into_dispatch(), !matches!(after, After::Nothing));
    let output = Tensor::from_dispatch(match kind {
        ConvKind::Conv3x3 => Dispatch::conv3x3(images, weight, bias, norm_follows, precision),
        ConvKind::Depthwise => Dispatch::conv_depthwise(images, weight, bias),
        ConvKind::Pointwise => Dispatch::conv_pointwise(images, weight, bias, precision),
    });
    finished(output, after)
}

/// A 3D convolution; `torch.nn.functional.conv3d`.
///
/// # Shapes
/// - images: `[volumes × layers, inputs, height, width]`
/// - weight: `[outputs, inputs, deep, side, side]`
/// - bias: `[outputs]`
/// - output: `[volumes × output layers, outputs, rows, columns]`
pub fn conv3d(
    images: Tensor<4>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    layers: usize,
    options: Conv3dOptions,
) -> Tensor<4> {
    let device = images.device();
    let [_, kernel @ ..] = weight.dims();
    let products = kernel.iter().product();
    timed_products(
        "convolution of volumes",
        &device,
        products,
        move || match has_kernels(&images) && has_kernels(&weight) {
            true => conv_volumes(images, weight, bias, (layers, options)),
            false => plain_conv3d(images, weight, bias, layers, options),
        },
    )
}

/// [`conv3d`] by the kernels.
fn conv_volumes(
    images: Tensor<4>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    (layers, options): (usize, Conv3dOptions),
) -> Tensor<4> {
    let [outputs, ..] = weight.dims();
    let bias = or_zeros(bias, outputs, &images.device());
    let precision = MulPrecision::current();
    if is_final(&images) && is_final(&weight) {
        let kernel = (primitive(weight), primitive(bias));
        let kept = (precision, WeightCache::Keep);
        let output = conv3d_forward(primitive(images), kernel, (layers, options), kept);
        return Tensor::from_primitive::<Flex>(output);
    }
    Tensor::from_dispatch(Dispatch::conv_volumes(
        images.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        layers,
        options,
        precision,
    ))
}

/// [`conv3d`] by burn's operations.
pub fn plain_conv3d(
    images: Tensor<4>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    layers: usize,
    options: Conv3dOptions,
) -> Tensor<4> {
    let [count, inputs, height, width] = images.dims();
    let x = images.reshape([count / layers, layers, inputs, height, width]);
    let x = x.swap_dims(1, 2);
    let depth = options.depth_padding;
    let (x, padding) = match options.border {
        DepthBorder::Replicate if depth > 0 => {
            let outermost = |layer| x.clone().narrow(2, layer, 1).repeat_dim(2, depth);
            let parts = vec![outermost(0), x.clone(), outermost(layers - 1)];
            (Tensor::cat(parts, 2), 0)
        }
        _ => (x, depth),
    };
    let Conv3dOptions {
        depth_stride,
        stride,
        padding: side,
        ..
    } = options;
    let options = ConvOptions::new(
        [depth_stride, stride, stride],
        [padding, side, side],
        [1; 3],
        1,
    );
    let output = module::conv3d(x, weight, bias, options).swap_dims(1, 2);
    let [volumes, layers, outputs, rows, columns] = output.dims();
    output.reshape([volumes * layers, outputs, rows, columns])
}

/// How a convolution runs that has no kernel of its own.
enum Fallback {
    /// As a linear layer of patches that neither overlap nor leave gaps.
    Patches,
    /// As a product of matrices.
    Strided,
    /// By burn's own operation.
    Burn,
}

/// The kernel of a convolution, or what stands in for one.
fn conv_kind(
    images: &Tensor<4>,
    weight: &Tensor<4>,
    options: &ConvOptions<2>,
) -> Result<ConvKind, Fallback> {
    let same_device = images.device() == weight.device();
    if !same_device || !has_kernels(images) || !has_kernels(weight) {
        return Err(Fallback::Burn);
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
        3 if keeps_size && options.groups == 1 => Ok(ConvKind::Conv3x3),
        3 | 5 | 7 if keeps_size && depthwise => Ok(ConvKind::Depthwise),
        1 if keeps_size && options.groups == 1 => Ok(ConvKind::Pointwise),
        _ if is_patches(images.dims(), weight.dims(), options) => Err(Fallback::Patches),
        _ if is_strided(images.dims(), weight.dims(), options) => Err(Fallback::Strided),
        _ => Err(Fallback::Burn),
    }
}

/// Whether the stride is the kernel's side, without padding or remainder.
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

/// A convolution whose stride is its kernel's side, as a linear layer of each patch.
fn conv_patches(images: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let [batch, inputs, height, width] = images.dims();
    let [outputs, _, side, _] = weight.dims();
    let (rows, columns) = (height / side, width / side);
    let size = [batch, rows, columns, inputs * side * side];
    let split = [batch, inputs, rows, side, columns, side];
    // The copy's innermost axis is the longer one, pixels or channels; encoders with many channels
    // keep those contiguous.
    let (order, weight) = match inputs < side * side {
        true => ([0, 2, 4, 1, 3, 5], weight),
        false => ([0, 2, 4, 3, 5, 1], weight.permute([0, 2, 3, 1])),
    };
    let patches = rearrange(images, split, order, size);
    let weight = weight.reshape([outputs, inputs * side * side]);
    linear_then(patches, weight, bias, None).permute([0, 3, 1, 2])
}

/// Whether the stride is above 1, with square kernels and the same padding at every side.
fn is_strided(images: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> bool {
    let [border, stride] = [options.padding_begin()[0], options.stride[0]];
    weight[3] == weight[2]
        && images[2].min(images[3]) + 2 * border >= weight[2]
        && stride > 1
        && options.stride == [stride; 2]
        && options.dilation == [1, 1]
        && options.padding_begin() == [border; 2]
        && options.padding_end() == [border; 2]
        && options.groups == 1
}

/// The label of a convolution in a profile.
fn profile_label(images: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> &'static str {
    match (weight[2], options.groups) {
        (_, groups) if groups > 1 && groups == images[1] => "depthwise convolution",
        (1, _) => "convolution 1 × 1",
        (3, 1) if options.stride == [1, 1] => "convolution 3 × 3",
        _ => "other convolution",
    }
}

/// `softmax(scale · query · keyᵀ + bias) · value` within each group;
/// `torch.nn.functional.scaled_dot_product_attention`.
///
/// # Shapes
/// - query, key, value: `[groups, heads, positions, width]`
/// - bias: `[n, heads, positions, positions]`, `n` dividing `groups`: group `g` takes bias `g % n`
/// - output: `[groups, positions, heads × width]`
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<3> {
    let device = query.device();
    let [groups, heads, positions, width] = query.dims();
    // Of the scores and of their sum.
    timed_products("attention", &device, 2 * positions, move || {
        let mixed = if has_kernels(&query) {
            let none = || Tensor::zeros([0, heads, positions, positions], &query.device());
            let bias = bias.unwrap_or_else(none);
            Tensor::from_dispatch(Dispatch::sdpa(
                query.into_dispatch(),
                key.into_dispatch(),
                value.into_dispatch(),
                bias.into_dispatch(),
                scale,
                MulPrecision::current(),
            ))
        } else {
            plain_attention(query, key, value, bias, scale)
        };
        mixed
            .swap_dims(1, 2)
            .reshape([groups, positions, heads * width])
    })
}

/// [`attention`] by burn's operations; the output is `[groups, heads, positions, width]`.
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
        if !has_kernels(&x) {
            return module::layer_norm(x, weight, bias, epsilon);
        }
        let bias = or_zeros(bias, weight.dims()[0], &weight.device());
        let (x, weight, bias) = (
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
        );
        Tensor::from_dispatch(Dispatch::norm_rows(x, weight, bias, epsilon))
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
    let [_, inputs] = weight.dims();
    timed_products("linear", &device, inputs, move || {
        linear_then(x, weight, bias, activation)
    })
}

fn linear_then<const D: usize>(
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
            (MulPrecision::of_linear_layers(), WeightCache::Keep),
        );
        return Tensor::from_primitive::<Flex>(output);
    }
    let product = if has_kernels(&x) {
        let bias = or_zeros(bias, weight.dims()[0], &weight.device()).into_dispatch();
        Tensor::from_dispatch(Dispatch::linear_rows(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias,
            MulPrecision::current(),
        ))
    } else {
        module::linear(x, weight.transpose(), bias)
    };
    activate_optional(product, activation)
}

/// `activation(scale · x + shift)`, one scale and summand for each channel.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - scale, shift: `[channels]`
pub fn affine(
    x: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    activation: Option<Activation>,
) -> Tensor<4> {
    let device = x.device();
    timed("batch norm", &device, move || {
        scaled(x, scale, shift, activation)
    })
}

fn scaled(
    x: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    activation: Option<Activation>,
) -> Tensor<4> {
    if is_final(&x) {
        let (scale, shift) = (primitive(scale), primitive(shift));
        let output = affine_forward(primitive(x), scale, shift, activation);
        return Tensor::from_primitive::<Flex>(output);
    }
    let [channels] = scale.dims();
    let along = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
    activate_optional(x * along(scale) + along(shift), activation)
}

/// A transposed convolution whose stride is its kernel's side;
/// `torch.nn.functional.conv_transpose2d(..., stride=side)`.
///
/// # Shapes
/// - images: `[batch, inputs, height, width]`
/// - weight: `[inputs, outputs, side, side]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, height × side, width × side]`
pub fn conv_transpose2d(images: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let device = images.device();
    let [inputs, outputs, side, _] = weight.dims();
    let [batch, _, height, width] = images.dims();
    timed_products("transposed convolution", &device, inputs, move || {
        if !has_kernels(&images) || !has_kernels(&weight) {
            let options = ConvTransposeOptions::new([side; 2], [0, 0], [0, 0], [1, 1], 1);
            return module::conv_transpose2d(images, weight, Some(bias), options);
        }
        let area = side * side;
        let bias = bias.repeat_dim(0, area);
        let pixels = images.permute([0, 2, 3, 1]);
        let squares = if is_final(&pixels) && is_final(&weight) {
            let kernel = (primitive(weight), primitive(bias));
            let output = squares_forward(primitive(pixels), kernel, MulPrecision::current());
            Tensor::from_primitive::<Flex>(output)
        } else {
            let weight = weight.permute([2, 3, 1, 0]);
            linear_then(
                pixels,
                weight.reshape([area * outputs, inputs]),
                Some(bias),
                None,
            )
        };
        rearrange(
            squares,
            [batch, height, width, side, side * outputs],
            [0, 1, 3, 2, 4],
            [batch, height * side, width * side, outputs],
        )
        .permute([0, 3, 1, 2])
    })
}
