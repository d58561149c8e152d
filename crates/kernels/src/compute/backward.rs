//! The backward passes of operations bound by multiplications.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use crate::compute::ops::{
    Attention, ComputeOps, conv_sizes, conv3d_sizes, depthwise_sizes, pointwise_sizes,
};
use crate::conv_unfolded::Conv3dOptions;
use crate::conv3d;
use crate::flex_tensors::{
    contiguous, dims, from_values, into_owned, values, view, with_positive_strides,
};
use crate::{
    Activation, MulPrecision, activation, attention, channels_first, channels_last, conv3x3,
    depthwise, layer_norm, linear, pointwise,
};

/// Runs `$forward`, and records `$backward` with `$state` for the backward pass if a parent is tracked.
macro_rules! differentiable {
    ($backward:expr, [$($parent:ident),+], $state:expr, $forward:expr) => {
        match $backward.prepare::<C>([$($parent.node()),+]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                $(let $parent = $parent.into_primitive();)+
                prep.finish($state, $forward)
            }
            OpsKind::UnTracked(prep) => {
                $(let $parent = $parent.into_primitive();)+
                prep.finish($forward)
            }
        }
    };
}
pub(crate) use differentiable;

impl<C: CheckpointStrategy> ComputeOps for Autodiff<Flex, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        differentiable!(
            Activate,
            [x],
            (x.clone(), activation),
            Flex::activate(x, activation)
        )
    }

    fn conv3x3(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm_follows: bool,
        precision: MulPrecision,
    ) -> FloatTensor<Self> {
        differentiable!(
            Conv3x3,
            [images, weight, bias],
            (images.clone(), weight.clone(), precision),
            Flex::conv3x3(images, weight, bias, norm_follows, precision)
        )
    }

    fn conv_volumes(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layers: usize,
        options: Conv3dOptions,
        precision: MulPrecision,
    ) -> FloatTensor<Self> {
        differentiable!(
            Conv3d,
            [images, weight, bias],
            (images.clone(), weight.clone(), (layers, options), precision),
            Flex::conv_volumes(images, weight, bias, layers, options, precision)
        )
    }

    fn conv_depthwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            ConvDepthwise,
            [images, weight, bias],
            (images.clone(), weight.clone()),
            Flex::conv_depthwise(images, weight, bias)
        )
    }

    fn conv_pointwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: MulPrecision,
    ) -> FloatTensor<Self> {
        differentiable!(
            ConvPointwise,
            [images, weight, bias],
            (images.clone(), weight.clone(), precision),
            Flex::conv_pointwise(images, weight, bias, precision)
        )
    }

    fn sdpa(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
        precision: MulPrecision,
    ) -> FloatTensor<Self> {
        differentiable!(
            AttentionBackward,
            [query, key, value, bias],
            Attention::new(
                [query.clone(), key.clone(), value.clone()],
                bias.clone(),
                scale,
                precision
            ),
            Flex::sdpa(query, key, value, bias, scale, precision)
        )
    }

    fn norm_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        differentiable!(
            LayerNorm,
            [x, weight, bias],
            (x.clone(), weight.clone(), epsilon),
            Flex::norm_rows(x, weight, bias, epsilon)
        )
    }

    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: MulPrecision,
    ) -> FloatTensor<Self> {
        differentiable!(
            Linear,
            [x, weight, bias],
            (x.clone(), weight.clone(), precision),
            Flex::linear_rows(x, weight, bias, precision)
        )
    }
}

#[derive(Debug)]
struct Activate;

impl Backward<Flex, 1> for Activate {
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let mut gradient = into_owned(grads.consume::<Flex>(&ops.node));
        if let Some(parent) = parent {
            let (x, activation) = ops.state;
            let x = contiguous(x);
            activation::backward(values(&x), gradient.storage_mut(), activation);
            grads.register::<Flex>(parent.id, gradient);
        }
    }
}

/// Declares the backward pass `$name` of a convolution: `$sizes` reads the sizes from images, weight and
/// `$depth`, the module `$kind` has the gradients, and `$precision` is given where products have one.
macro_rules! convolution_backward {
    ($name:ident, $sizes:ident, $kind:ident $([$depth:ident: $depth_type:ty])? $(, $precision:ident: $type:ty)?) => {
        #[derive(Debug)]
        struct $name;

        impl Backward<Flex, 3> for $name {
            type State = (FlexTensor, FlexTensor $(, $depth_type)? $(, $type)?);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let gradient = contiguous(grads.consume::<Flex>(&ops.node));
                let (images, weight $(, $depth)? $(, $precision)?) = ops.state;
                let (images, weight) = (contiguous(images), contiguous(weight));
                let sizes = $sizes(&images, &weight $(, $depth)?);
                let [by_images, by_weight, by_bias] = ops.parents;
                let output_grad = values(&gradient);
                if let Some(parent) = by_images {
                    let grad = $kind::image_gradient($($precision,)? sizes, output_grad, values(&weight));
                    let shape = images.layout().shape().clone();
                    grads.register::<Flex>(parent.id, from_values(grad, shape));
                }
                if let Some(parent) = by_weight {
                    let grad = $kind::weight_gradient($($precision,)? sizes, values(&images), output_grad);
                    let shape = weight.layout().shape().clone();
                    grads.register::<Flex>(parent.id, from_values(grad, shape));
                }
                if let Some(parent) = by_bias {
                    grads.register::<Flex>(parent.id, sum_over_pixels(gradient));
                }
            }
        }
    };
}

convolution_backward!(Conv3x3, conv_sizes, conv3x3, precision: MulPrecision);
convolution_backward!(Conv3d, conv3d_sizes, conv3d [places: (usize, Conv3dOptions)], precision: MulPrecision);
convolution_backward!(ConvDepthwise, depthwise_sizes, depthwise);
convolution_backward!(ConvPointwise, pointwise_sizes, pointwise, precision: MulPrecision);

/// The gradient of a bias `[channels]`, given the output's `[batch, channels, height, width]`.
fn sum_over_pixels(gradient: FlexTensor) -> FlexTensor {
    let [_, channels, height, width] = dims(&gradient);
    let gradient = contiguous(gradient);
    let sums = channels_first::sums(values(&gradient), height * width);
    from_values(channels_first::by_channel(&sums, channels), [channels])
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 4> for AttentionBackward {
    type State = Attention;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = with_positive_strides(grads.consume::<Flex>(&ops.node));
        let sizes = ops.state.sizes;
        let input_grads = attention::backward(sizes, ops.state.inputs(), view(&gradient));
        let attention::Sizes {
            groups,
            heads,
            positions,
            width,
            biases,
        } = sizes;
        // The kernel's outermost axis is the head, the tensors' the group.
        let grouped = |grad, size: [usize; 4]| from_values(grad, size).transpose(0, 1);
        let mut register = |parent: usize, grad: FlexTensor| {
            if let Some(parent) = &ops.parents[parent] {
                grads.register::<Flex>(parent.id, grad);
            }
        };
        let shape = [heads, groups, positions, width];
        register(0, grouped(input_grads.query, shape));
        register(1, grouped(input_grads.key, shape));
        register(2, grouped(input_grads.value, shape));
        register(
            3,
            grouped(input_grads.bias, [heads, biases, positions, positions]),
        );
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    type State = (FlexTensor, FlexTensor, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = into_owned(grads.consume::<Flex>(&ops.node));
        let (x, weight, epsilon) = ops.state;
        let (x, weight) = (contiguous(x), contiguous(weight));
        let weight_grads = layer_norm::backward(
            values(&x),
            values(&weight),
            gradient.storage_mut(),
            epsilon as f32,
        );
        let shape = weight.layout().shape().clone();
        if let Some(parent) = &ops.parents[0] {
            grads.register::<Flex>(parent.id, gradient);
        }
        if let Some(parent) = &ops.parents[1] {
            grads.register::<Flex>(parent.id, from_values(weight_grads.weight, shape.clone()));
        }
        if let Some(parent) = &ops.parents[2] {
            grads.register::<Flex>(parent.id, from_values(weight_grads.bias, shape));
        }
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    type State = (FlexTensor, FlexTensor, MulPrecision);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (x, weight, precision) = ops.state;
        let (x, weight) = (contiguous(x), contiguous(weight));
        let [outputs, inputs] = dims(&weight);
        let (size, output_grad) = ([inputs, outputs], values(&gradient));
        if let Some(parent) = &ops.parents[0] {
            let grad = linear::row_gradient(precision, output_grad, values(&weight), size);
            let shape = x.layout().shape().clone();
            grads.register::<Flex>(parent.id, from_values(grad, shape));
        }
        if let Some(parent) = &ops.parents[1] {
            let grad = linear::weight_gradient(precision, values(&x), output_grad, size);
            grads.register::<Flex>(parent.id, from_values(grad, [outputs, inputs]));
        }
        if let Some(parent) = &ops.parents[2] {
            let grad = channels_last::sum_rows(output_grad, outputs);
            grads.register::<Flex>(parent.id, from_values(grad, [outputs]));
        }
    }
}
