//! A backend extension for operations bound by memory, and its forward passes on flex.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use crate::batch_norm::BatchNormStats;
use crate::computed::cleared;
use crate::flex_tensors::{
    contiguous, dims, from_values, into_owned, is_exclusive, reshaped, strided_view, values,
};
use crate::glu::GateHalf;
use crate::rope::{RopeAngles, rotate};
use crate::{
    Activation, batch_norm, channels_first, channels_last, glu, grn, l2_normalize, position_bias,
    roll, upsample,
};

/// Operations bound by memory. All tensors hold f32.
#[backend_extension(Flex, Autodiff)]
pub trait MemoryBoundOps: Backend {
    /// [`crate::rearrange`]
    fn rearrange(
        x: FloatTensor<Self>,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FloatTensor<Self>;

    /// [`crate::add`]
    fn add(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::add_scaled`]
    fn add_scaled(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::rope`]
    fn rope(
        x: FloatTensor<Self>,
        sines: FloatTensor<Self>,
        cosines: FloatTensor<Self>,
        rotary: usize,
    ) -> FloatTensor<Self>;

    /// [`crate::glu`]
    fn glu(x: FloatTensor<Self>, activation: Activation, gate: GateHalf) -> FloatTensor<Self>;

    /// [`crate::grn`]
    fn grn(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::star_relu`]
    fn star_relu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::upsample2x_concat`]
    fn upsample2x_concat(x: FloatTensor<Self>, skip: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::roll`]
    fn roll(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self>;

    /// [`crate::expand_position_bias`]
    fn expand_position_bias(table: FloatTensor<Self>, size: usize) -> FloatTensor<Self>;

    /// [`crate::l2_normalize`]
    fn l2_normalize(
        x: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        width: usize,
    ) -> FloatTensor<Self>;

    /// [`crate::global_avg_pool`]
    fn global_avg_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::scale_channels`]
    fn scale_channels(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::batch_norm_train`], given the batch's statistics.
    fn norm_channels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stats: BatchNormStats,
    ) -> FloatTensor<Self>;
}

impl MemoryBoundOps for Flex {
    fn rearrange(
        x: FlexTensor,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FlexTensor {
        let split = reshaped(x, &split);
        let layout = split.layout().permute(&order);
        reshaped(contiguous(split.with_layout(layout)), &shape)
    }

    fn add(left: FlexTensor, right: FlexTensor) -> FlexTensor {
        let (mut sum, other) = match !is_exclusive(&left) && is_exclusive(&right) {
            true => (right, left),
            false => (into_owned(left), right),
        };
        add_to(&mut sum, other);
        sum
    }

    fn add_scaled(x: FlexTensor, y: FlexTensor, scale: FlexTensor) -> FlexTensor {
        let scale = contiguous(scale);
        let factors = values(&scale);
        let ones = vec![1.0; factors.len()];
        if !is_exclusive(&x) && is_exclusive(&y) {
            let (mut sum, x) = (y, contiguous(x));
            channels_last::blend(sum.storage_mut(), values(&x), factors, &ones);
            return sum;
        }
        let (mut sum, y) = (into_owned(x), contiguous(y));
        channels_last::blend(sum.storage_mut(), values(&y), &ones, factors);
        sum
    }

    fn rope(x: FlexTensor, sines: FlexTensor, cosines: FlexTensor, rotary: usize) -> FlexTensor {
        rotated(x, &contiguous(sines), &contiguous(cosines), rotary, false)
    }

    fn glu(x: FlexTensor, activation: Activation, gate: GateHalf) -> FlexTensor {
        let x = contiguous(x);
        let mut shape = x.layout().shape().clone();
        let last = shape.num_dims() - 1;
        shape[last] /= 2;
        let output = glu::forward(values(&x), shape[last], activation, gate);
        from_values(output, shape)
    }

    fn grn(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (weight, bias) = (contiguous(weight), contiguous(bias));
        let [_, height, width, _] = dims(&x);
        let mut x = into_owned(x);
        let images = x.storage_mut();
        grn::forward(images, height * width, values(&weight), values(&bias));
        x
    }

    fn star_relu(x: FlexTensor, scale: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (scale, bias) = (contiguous(scale), contiguous(bias));
        let mut x = into_owned(x);
        crate::star_relu::forward(x.storage_mut(), values(&scale)[0], values(&bias)[0]);
        x
    }

    fn upsample2x_concat(x: FlexTensor, skip: FlexTensor) -> FlexTensor {
        let [batch, channels, height, width] = dims(&x);
        let [_, others, _, _] = dims(&skip);
        let (x, area) = (contiguous(x), 4 * height * width);
        let all = channels + others;
        let mut joined = cleared(batch * all * area);
        let images = joined.chunks_exact_mut(all * area);
        let sources = values(&x).chunks_exact(channels * height * width);
        for (index, (image, source)) in images.zip(sources).enumerate() {
            let (upsampled, beside) = image.split_at_mut(channels * area);
            upsample::nearest2x(source, [height, width], upsampled);
            copy_image(&skip, index, beside);
        }
        from_values(joined, [batch, all, 2 * height, 2 * width])
    }

    fn roll(x: FlexTensor, by: [usize; 2]) -> FlexTensor {
        let x = contiguous(x);
        let [_, height, width, channels] = dims(&x);
        let moved = roll::roll(values(&x), [height, width], channels, by);
        from_values(moved, x.layout().shape().clone())
    }

    fn expand_position_bias(table: FlexTensor, size: usize) -> FlexTensor {
        let table = contiguous(table);
        let [_, heads] = dims(&table);
        let biases = position_bias::expand(values(&table), size, heads);
        from_values(biases, [heads, size * size, size * size])
    }

    fn l2_normalize(x: FlexTensor, lengths: FlexTensor, width: usize) -> FlexTensor {
        let (mut x, lengths) = (into_owned(x), contiguous(lengths));
        let features = last_dim(&x);
        l2_normalize::forward(x.storage_mut(), features, width, values(&lengths));
        x
    }

    fn global_avg_pool(x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        let [batch, channels, height, width] = dims(&x);
        let area = height * width;
        let mut means = channels_first::sums(values(&x), area);
        for mean in &mut means {
            *mean /= area as f32;
        }
        from_values(means, [batch, channels, 1, 1])
    }

    fn scale_channels(x: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let [_, _, height, width] = dims(&x);
        let (mut x, factors) = (into_owned(x), contiguous(factors));
        channels_first::scale(x.storage_mut(), height * width, values(&factors));
        x
    }

    fn norm_channels(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stats: BatchNormStats,
    ) -> FlexTensor {
        let [_, _, height, width] = dims(&x);
        let (mut x, weight, bias) = (into_owned(x), contiguous(weight), contiguous(bias));
        let scales = (values(&weight), values(&bias));
        batch_norm::forward(x.storage_mut(), height * width, &stats, scales, None);
        x
    }
}

/// `sum += other`, in place; `sum` must be [exclusive](is_exclusive).
fn add_to(sum: &mut FlexTensor, other: FlexTensor) {
    let (other, strided_view) = match strided_view(&other) {
        Some(strided_view) => (other, strided_view),
        None => {
            let other = contiguous(other);
            let strided_view = strided_view(&other).expect("one piece runs with_positive_strides");
            (other, strided_view)
        }
    };
    strided_view.zip_into(sum.storage_mut(), other.storage(), |sum, term| *sum += term);
}

/// Copies image `index` of a batch of any strides into `target`.
fn copy_image(images: &FlexTensor, index: usize, target: &mut [f32]) {
    let layout = images.layout().narrow(0, index, 1);
    let image = images.clone().with_layout(layout);
    let image = match strided_view(&image) {
        Some(_) => image,
        None => contiguous(image),
    };
    let strided_view = strided_view(&image).expect("one piece runs with_positive_strides");
    strided_view.zip_into(target, image.storage(), |place, value| *place = value);
}

/// Rotary embedding of `x`, or its transpose.
pub(super) fn rotated(
    x: FlexTensor,
    sines: &FlexTensor,
    cosines: &FlexTensor,
    rotary: usize,
    transposed: bool,
) -> FlexTensor {
    let [_, positions, features] = dims(&x);
    let [patches, width] = dims(sines);
    let angles = RopeAngles {
        prefix: positions - patches,
        features: rotary,
        width,
        sines: values(sines),
        cosines: values(cosines),
        transposed,
    };
    let mut x = into_owned(x);
    rotate(x.storage_mut(), features, angles);
    x
}

/// The size of the last axis.
pub(super) fn last_dim(x: &FlexTensor) -> usize {
    let shape = x.layout().shape();
    shape[shape.num_dims() - 1]
}
