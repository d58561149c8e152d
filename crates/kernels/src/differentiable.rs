//! The operations' backward passes.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use crate::buffers::{dims, forwards, in_one_piece, taken, values, view, with_values};
use crate::operations::{Attention, Kernels, conv_sizes, depthwise_sizes, pointwise_sizes};
use crate::{
    Activation, Numbers, activation, attention, convolution, depthwise, features, layer_norm,
    linear, planes, pointwise,
};

/// Registers `$forward` with `$backward` as its way back, keeping `$state`.
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

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        differentiable!(
            Activate,
            [x],
            (x.clone(), activation),
            Flex::activate(x, activation)
        )
    }

    fn convolve(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self> {
        differentiable!(
            Convolve,
            [images, weight, bias],
            (images.clone(), weight.clone(), numbers),
            Flex::convolve(images, weight, bias, numbers)
        )
    }

    fn convolve_depthwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            ConvolveDepthwise,
            [images, weight, bias],
            (images.clone(), weight.clone()),
            Flex::convolve_depthwise(images, weight, bias)
        )
    }

    fn convolve_pointwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self> {
        differentiable!(
            ConvolvePointwise,
            [images, weight, bias],
            (images.clone(), weight.clone(), numbers),
            Flex::convolve_pointwise(images, weight, bias, numbers)
        )
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
        numbers: Numbers,
    ) -> FloatTensor<Self> {
        differentiable!(
            Attend,
            [query, key, value, bias],
            Attention::new(
                [query.clone(), key.clone(), value.clone()],
                bias.clone(),
                scale,
                numbers
            ),
            Flex::attend(query, key, value, bias, scale, numbers)
        )
    }

    fn normalize(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        differentiable!(
            Normalize,
            [x, weight, bias],
            (x.clone(), weight.clone(), epsilon),
            Flex::normalize(x, weight, bias, epsilon)
        )
    }

    fn project(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self> {
        differentiable!(
            Project,
            [x, weight, bias],
            (x.clone(), weight.clone(), numbers),
            Flex::project(x, weight, bias, numbers)
        )
    }
}

#[derive(Debug)]
struct Activate;

impl Backward<Flex, 1> for Activate {
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let mut gradient = taken(grads.consume::<Flex>(&ops.node));
        if let Some(parent) = parent {
            let (x, activation) = ops.state;
            let x = in_one_piece(x);
            activation::pull_back(values(&x), gradient.storage_mut(), activation);
            grads.register::<Flex>(parent.id, gradient);
        }
    }
}

/// The way back of a kind of convolution: sizes, module of its gradients, what the products
/// multiply, if that can be chosen.
macro_rules! convolution_backward {
    ($name:ident, $sizes:ident, $kind:ident $(, $numbers:ident: $type:ty)?) => {
        #[derive(Debug)]
        struct $name;

        impl Backward<Flex, 3> for $name {
            type State = (FlexTensor, FlexTensor $(, $type)?);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let gradient = in_one_piece(grads.consume::<Flex>(&ops.node));
                let (images, weight $(, $numbers)?) = ops.state;
                let (images, weight) = (in_one_piece(images), in_one_piece(weight));
                let sizes = $sizes(&images, &weight);
                let [by_images, by_weight, by_bias] = ops.parents;
                let slopes = values(&gradient);
                if let Some(parent) = by_images {
                    let slope = $kind::image_gradient($($numbers,)? sizes, slopes, values(&weight));
                    let shape = images.layout().shape().clone();
                    grads.register::<Flex>(parent.id, with_values(slope, shape));
                }
                if let Some(parent) = by_weight {
                    let slope = $kind::weight_gradient($($numbers,)? sizes, values(&images), slopes);
                    let shape = weight.layout().shape().clone();
                    grads.register::<Flex>(parent.id, with_values(slope, shape));
                }
                if let Some(parent) = by_bias {
                    grads.register::<Flex>(parent.id, sum_over_pixels(gradient));
                }
            }
        }
    };
}

convolution_backward!(Convolve, conv_sizes, convolution, numbers: Numbers);
convolution_backward!(ConvolveDepthwise, depthwise_sizes, depthwise);
convolution_backward!(ConvolvePointwise, pointwise_sizes, pointwise, numbers: Numbers);

/// The gradient of a bias: `[batch, channels, height, width]` to `[channels]`.
fn sum_over_pixels(gradient: FlexTensor) -> FlexTensor {
    let [_, channels, height, width] = dims(&gradient);
    let gradient = in_one_piece(gradient);
    let sums = planes::sums(values(&gradient), height * width);
    with_values(planes::by_channel(&sums, channels), [channels])
}

#[derive(Debug)]
struct Attend;

impl Backward<Flex, 4> for Attend {
    type State = Attention;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = forwards(grads.consume::<Flex>(&ops.node));
        let sizes = ops.state.sizes;
        let slopes = attention::backward(sizes, ops.state.inputs(), view(&gradient));
        let attention::Sizes {
            groups,
            heads,
            positions,
            width,
            biases,
        } = sizes;
        // Computed head by head.
        let grouped = |slope, size: [usize; 4]| with_values(slope, size).transpose(0, 1);
        let mut register = |parent: usize, slope: FlexTensor| {
            if let Some(parent) = &ops.parents[parent] {
                grads.register::<Flex>(parent.id, slope);
            }
        };
        let shape = [heads, groups, positions, width];
        register(0, grouped(slopes.query, shape));
        register(1, grouped(slopes.key, shape));
        register(2, grouped(slopes.value, shape));
        register(
            3,
            grouped(slopes.bias, [heads, biases, positions, positions]),
        );
    }
}

#[derive(Debug)]
struct Normalize;

impl Backward<Flex, 3> for Normalize {
    type State = (FlexTensor, FlexTensor, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = taken(grads.consume::<Flex>(&ops.node));
        let (x, weight, epsilon) = ops.state;
        let (x, weight) = (in_one_piece(x), in_one_piece(weight));
        let slopes = layer_norm::backward(
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
            grads.register::<Flex>(parent.id, with_values(slopes.weight, shape.clone()));
        }
        if let Some(parent) = &ops.parents[2] {
            grads.register::<Flex>(parent.id, with_values(slopes.bias, shape));
        }
    }
}

#[derive(Debug)]
struct Project;

impl Backward<Flex, 3> for Project {
    type State = (FlexTensor, FlexTensor, Numbers);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = in_one_piece(grads.consume::<Flex>(&ops.node));
        let (x, weight, numbers) = ops.state;
        let (x, weight) = (in_one_piece(x), in_one_piece(weight));
        let [outputs, inputs] = dims(&weight);
        let (size, slopes) = ([inputs, outputs], values(&gradient));
        if let Some(parent) = &ops.parents[0] {
            let slope = linear::row_gradient(numbers, slopes, values(&weight), size);
            let shape = x.layout().shape().clone();
            grads.register::<Flex>(parent.id, with_values(slope, shape));
        }
        if let Some(parent) = &ops.parents[1] {
            let slope = linear::weight_gradient(numbers, values(&x), slopes, size);
            grads.register::<Flex>(parent.id, with_values(slope, [outputs, inputs]));
        }
        if let Some(parent) = &ops.parents[2] {
            let slope = features::sum_rows(slopes, outputs);
            grads.register::<Flex>(parent.id, with_values(slope, [outputs]));
        }
    }
}
