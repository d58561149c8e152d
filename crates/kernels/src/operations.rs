//! The operations as an extension of burn's backends: what they compute on the processor.

use std::any::Any;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use crate::buffers::{dims, forwards, in_one_piece, taken, values, view, with_values};
use crate::channels::Affine;
use crate::packed::packed;
use crate::{
    Activation, Numbers, activation, attention, convolution, depthwise, layer_norm, linear,
    pointwise,
};

/// Operations that flex has a faster way for. All tensors hold f32. A bias that a layer does not
/// have is zeros, that of an attention empty: the macro knows no options. `numbers` are what the
/// products multiply, forward and backward.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// [`crate::activate`]
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// [`crate::conv2d`] with 3 × 3 kernels.
    fn convolve(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self>;

    /// [`crate::conv2d`] of each channel by itself.
    fn convolve_depthwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::conv2d`] with 1 × 1 kernels.
    fn convolve_pointwise(
        images: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self>;

    /// [`crate::attend`]; the output is `[groups, heads, positions, width]`.
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: f64,
        numbers: Numbers,
    ) -> FloatTensor<Self>;

    /// [`crate::layer_norm`]
    fn normalize(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// [`crate::linear`]
    fn project(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        numbers: Numbers,
    ) -> FloatTensor<Self>;
}

impl Kernels for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut x = taken(x);
        activation::apply(x.storage_mut(), activation);
        x
    }

    fn convolve(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        numbers: Numbers,
    ) -> FlexTensor {
        let kernel = (weight, bias);
        convolve_forward(Way::Full, images, kernel, None, (numbers, Weights::Change))
    }

    fn convolve_depthwise(images: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let kept = (Numbers::F32, Weights::Change);
        convolve_forward(Way::Depthwise, images, (weight, bias), None, kept)
    }

    fn convolve_pointwise(
        images: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        numbers: Numbers,
    ) -> FlexTensor {
        let kernel = (weight, bias);
        convolve_forward(
            Way::Pointwise,
            images,
            kernel,
            None,
            (numbers, Weights::Change),
        )
    }

    fn attend(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        bias: FlexTensor,
        scale: f64,
        numbers: Numbers,
    ) -> FlexTensor {
        let attention = Attention::new([query, key, value], bias, scale, numbers);
        let attention::Sizes {
            groups,
            heads,
            positions,
            width,
            ..
        } = attention.sizes;
        let output = attention::forward(attention.sizes, attention.inputs());
        with_values(output, [groups, positions, heads, width]).transpose(1, 2)
    }

    fn normalize(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, epsilon: f64) -> FlexTensor {
        let (weight, bias) = (in_one_piece(weight), in_one_piece(bias));
        let mut x = taken(x);
        let bias = Some(values(&bias));
        layer_norm::forward(x.storage_mut(), values(&weight), bias, epsilon as f32);
        x
    }

    fn project(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        numbers: Numbers,
    ) -> FlexTensor {
        linear_forward(x, weight, Some(bias), None, (numbers, Weights::Change))
    }
}

/// Whether weights are worth keeping as the inner loops take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They change before they are used again.
    Change,
    /// They stay.
    Stay,
}

impl Weights {
    fn packed<T: Any + Send + Sync>(
        self,
        weight: &FlexTensor,
        numbers: Numbers,
        pack: impl FnOnce() -> T,
    ) -> Arc<T> {
        match self {
            Self::Change => Arc::new(pack()),
            Self::Stay => packed(weight, numbers, pack),
        }
    }
}

/// The kernels of convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// 3 × 3, all channels with all.
    Full,
    /// Each channel by itself.
    Depthwise,
    /// 1 × 1.
    Pointwise,
}

/// What follows a convolution: factors and summands of its channels, `[channels]` each, and an
/// activation.
pub type After = (FlexTensor, FlexTensor, Option<Activation>);

/// A convolution that keeps the images' size, with weights and bias.
pub fn convolve_forward(
    way: Way,
    images: FlexTensor,
    (weight, bias): (FlexTensor, FlexTensor),
    after: Option<After>,
    (numbers, weights): (Numbers, Weights),
) -> FlexTensor {
    let (images, weight) = (in_one_piece(images), in_one_piece(weight));
    let bias = in_one_piece(bias);
    let after = after.map(|(factors, summands, activation)| {
        (in_one_piece(factors), in_one_piece(summands), activation)
    });
    let after = after
        .as_ref()
        .map(|(factors, summands, activation)| Affine {
            factors: values(factors),
            summands: values(summands),
            activation: *activation,
        });
    let [batch, _, height, width] = dims(&images);
    let [outputs, ..]: [usize; 4] = dims(&weight);
    let (pixels, kernel, bias) = (values(&images), values(&weight), values(&bias));
    let output = match way {
        Way::Full => {
            let sizes = conv_sizes(&images, &weight);
            let pack = || convolution::pack(numbers, sizes, kernel);
            let packed = weights.packed(&weight, numbers, pack);
            convolution::forward(numbers, sizes, pixels, &packed, Some(bias), after)
        }
        Way::Depthwise => {
            let sizes = depthwise_sizes(&images, &weight);
            depthwise::forward(sizes, pixels, kernel, Some(bias), after)
        }
        Way::Pointwise => {
            let sizes = pointwise_sizes(&images, &weight);
            pointwise::forward(numbers, sizes, pixels, kernel, bias, after)
        }
    };
    with_values(output, [batch, outputs, height, width])
}

/// A linear layer with an activation behind it.
pub fn linear_forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    activation: Option<Activation>,
    (numbers, weights): (Numbers, Weights),
) -> FlexTensor {
    let (x, weight, bias) = (
        in_one_piece(x),
        in_one_piece(weight),
        bias.map(in_one_piece),
    );
    let [outputs, inputs] = dims(&weight);
    let size = [inputs, outputs];
    let pack = || linear::pack(numbers, values(&weight), size);
    let packed = weights.packed(&weight, numbers, pack);
    let bias = bias.as_ref().map(values);
    let output = linear::forward(numbers, values(&x), &packed, size, bias, activation);
    let mut shape = x.layout().shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = outputs;
    with_values(output, shape)
}

/// `activation(factor · x + summand)` for each channel.
pub fn affine_forward(
    x: FlexTensor,
    factors: FlexTensor,
    summands: FlexTensor,
    activation: Option<Activation>,
) -> FlexTensor {
    let (factors, summands) = (in_one_piece(factors), in_one_piece(summands));
    let [_, _, height, width] = dims(&x);
    let mut x = taken(x);
    let affine = Affine {
        factors: values(&factors),
        summands: values(&summands),
        activation,
    };
    affine.apply_to_all(x.storage_mut(), height * width);
    x
}

/// Sizes of a 3 × 3 convolution.
pub fn conv_sizes(images: &FlexTensor, weight: &FlexTensor) -> convolution::Sizes {
    let [batch, inputs, height, width] = dims(images);
    let [outputs, ..]: [usize; 4] = dims(weight);
    convolution::Sizes {
        batch,
        inputs,
        outputs,
        height,
        width,
    }
}

/// Sizes of a 1 × 1 convolution.
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

/// Sizes of a depthwise convolution.
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

/// An attention's tensors and their sizes.
#[derive(Clone, Debug)]
pub struct Attention {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    bias: FlexTensor,
    scale: f64,
    numbers: Numbers,
    /// The sizes.
    pub sizes: attention::Sizes,
}

impl Attention {
    /// Takes queries, keys and values where they lie.
    pub fn new(
        [query, key, value]: [FlexTensor; 3],
        bias: FlexTensor,
        scale: f64,
        numbers: Numbers,
    ) -> Self {
        let [groups, heads, positions, width] = dims(&query);
        let [biases, ..]: [usize; 4] = dims(&bias);
        Self {
            query: forwards(query),
            key: forwards(key),
            value: forwards(value),
            bias: in_one_piece(bias),
            scale,
            numbers,
            sizes: attention::Sizes {
                groups,
                heads,
                positions,
                width,
                biases,
            },
        }
    }

    /// Slices of the tensors.
    pub fn inputs(&self) -> attention::Inputs<'_> {
        attention::Inputs {
            query: view(&self.query),
            key: view(&self.key),
            value: view(&self.value),
            bias: values(&self.bias),
            scale: self.scale as f32,
            numbers: self.numbers,
        }
    }
}
