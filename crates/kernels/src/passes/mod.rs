//! Operations that pass once over their values, and take as long as memory does: the backends'
//! extension and what it computes on the processor.

mod backward;
mod tensors;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use crate::batch_norm::Scales;
use crate::buffers::{dims, in_one_piece, is_free, lattice, reshaped, taken, values, with_values};
use crate::rotary::{Turns, turn};
use crate::unfold::Window;
use crate::{
    Activation, batch_norm, enlarge, features, gated, lengths, planes, relative, response_norm,
    roll, unfold,
};

pub use tensors::{
    add, add_scaled, batch_norm_train, expand_position_bias, gate, l2_normalize, mean_over_pixels,
    plain_turn, rearrange, respond, roll_maps, rope, scale_planes, star_relu, unfold_windows,
    upsample2x_concat,
};

/// Operations bound by memory. All tensors hold f32.
#[backend_extension(Flex, Autodiff)]
pub trait Passes: Backend {
    /// [`crate::rearrange`]
    fn rearrange(
        x: FloatTensor<Self>,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FloatTensor<Self>;

    /// [`crate::add`]
    fn sum_of_two(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::add_scaled`]
    fn sum_with_scaled(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`crate::rope`]
    fn rope(
        x: FloatTensor<Self>,
        sines: FloatTensor<Self>,
        cosines: FloatTensor<Self>,
        turned: usize,
    ) -> FloatTensor<Self>;

    /// [`crate::gate`]
    fn gate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// [`crate::respond`]
    fn respond(
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

    /// [`crate::unfold_windows`]
    fn unfold_windows(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;

    /// [`crate::roll_maps`]
    fn roll_maps(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self>;

    /// [`crate::expand_position_bias`]
    fn expand_position_bias(table: FloatTensor<Self>, size: usize) -> FloatTensor<Self>;

    /// [`crate::l2_normalize`]
    fn l2_normalize(
        x: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        width: usize,
    ) -> FloatTensor<Self>;

    /// [`crate::mean_over_pixels`]
    fn mean_over_pixels(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::scale_planes`]
    fn scale_planes(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;

    /// [`crate::batch_norm_train`], by what the batch's channels were measured to be.
    fn normalize_channels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scales: Scales,
    ) -> FloatTensor<Self>;
}

impl Passes for Flex {
    fn rearrange(
        x: FlexTensor,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FlexTensor {
        let split = reshaped(x, &split);
        let layout = split.layout().permute(&order);
        reshaped(in_one_piece(split.with_layout(layout)), &shape)
    }

    fn sum_of_two(left: FlexTensor, right: FlexTensor) -> FlexTensor {
        let (mut sum, other) = match !is_free(&left) && is_free(&right) {
            true => (right, left),
            false => (taken(left), right),
        };
        add_to(&mut sum, other);
        sum
    }

    fn sum_with_scaled(x: FlexTensor, y: FlexTensor, scale: FlexTensor) -> FlexTensor {
        let scale = in_one_piece(scale);
        let factors = values(&scale);
        let ones = vec![1.0; factors.len()];
        if !is_free(&x) && is_free(&y) {
            let (mut sum, x) = (y, in_one_piece(x));
            features::blend(sum.storage_mut(), values(&x), factors, &ones);
            return sum;
        }
        let (mut sum, y) = (taken(x), in_one_piece(y));
        features::blend(sum.storage_mut(), values(&y), &ones, factors);
        sum
    }

    fn rope(x: FlexTensor, sines: FlexTensor, cosines: FlexTensor, turned: usize) -> FlexTensor {
        turned_pairs(
            x,
            &in_one_piece(sines),
            &in_one_piece(cosines),
            turned,
            false,
        )
    }

    fn gate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let x = in_one_piece(x);
        let mut shape = x.layout().shape().clone();
        let last = shape.num_dims() - 1;
        shape[last] /= 2;
        with_values(gated::forward(values(&x), shape[last], activation), shape)
    }

    fn respond(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (weight, bias) = (in_one_piece(weight), in_one_piece(bias));
        let [_, height, width, _] = dims(&x);
        let mut x = taken(x);
        let images = x.storage_mut();
        response_norm::forward(images, height * width, values(&weight), values(&bias));
        x
    }

    fn star_relu(x: FlexTensor, scale: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (scale, bias) = (in_one_piece(scale), in_one_piece(bias));
        let mut x = taken(x);
        crate::star_relu::forward(x.storage_mut(), values(&scale)[0], values(&bias)[0]);
        x
    }

    fn upsample2x_concat(x: FlexTensor, skip: FlexTensor) -> FlexTensor {
        let [batch, channels, height, width] = dims(&x);
        let [_, others, _, _] = dims(&skip);
        let (x, area) = (in_one_piece(x), 4 * height * width);
        let all = channels + others;
        let mut joined = vec![0.0; batch * all * area];
        let images = joined.chunks_exact_mut(all * area);
        let sources = values(&x).chunks_exact(channels * height * width);
        for (index, (image, source)) in images.zip(sources).enumerate() {
            let (enlarged, beside) = image.split_at_mut(channels * area);
            enlarge::double(source, [height, width], enlarged);
            copy_image(&skip, index, beside);
        }
        with_values(joined, [batch, all, 2 * height, 2 * width])
    }

    fn unfold_windows(x: FlexTensor, window: Window) -> FlexTensor {
        let x = in_one_piece(x);
        let shape = [window.batch, window.rows, window.columns, window.features()];
        with_values(unfold::unfold(window, values(&x)), shape)
    }

    fn roll_maps(x: FlexTensor, by: [usize; 2]) -> FlexTensor {
        let x = in_one_piece(x);
        let [_, height, width, channels] = dims(&x);
        let moved = roll::roll(values(&x), [height, width], channels, by);
        with_values(moved, x.layout().shape().clone())
    }

    fn expand_position_bias(table: FlexTensor, size: usize) -> FlexTensor {
        let table = in_one_piece(table);
        let [_, heads] = dims(&table);
        let biases = relative::spread(values(&table), size, heads);
        with_values(biases, [heads, size * size, size * size])
    }

    fn l2_normalize(x: FlexTensor, lengths: FlexTensor, width: usize) -> FlexTensor {
        let (mut x, lengths) = (taken(x), in_one_piece(lengths));
        let features = last_of(&x);
        lengths::set(x.storage_mut(), features, width, values(&lengths));
        x
    }

    fn mean_over_pixels(x: FlexTensor) -> FlexTensor {
        let x = in_one_piece(x);
        let [batch, channels, height, width] = dims(&x);
        let area = height * width;
        let mut means = planes::sums(values(&x), area);
        for mean in &mut means {
            *mean /= area as f32;
        }
        with_values(means, [batch, channels, 1, 1])
    }

    fn scale_planes(x: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let [_, _, height, width] = dims(&x);
        let (mut x, factors) = (taken(x), in_one_piece(factors));
        planes::scale(x.storage_mut(), height * width, values(&factors));
        x
    }

    fn normalize_channels(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        scales: Scales,
    ) -> FlexTensor {
        let [_, _, height, width] = dims(&x);
        let (mut x, weight, bias) = (taken(x), in_one_piece(weight), in_one_piece(bias));
        let (weight, bias) = (values(&weight), values(&bias));
        batch_norm::forward(x.storage_mut(), height * width, &scales, weight, bias);
        x
    }
}

/// Adds to a tensor that may be changed where it lies.
fn add_to(sum: &mut FlexTensor, other: FlexTensor) {
    let (other, lattice) = match lattice(&other) {
        Some(lattice) => (other, lattice),
        None => {
            let other = in_one_piece(other);
            let lattice = lattice(&other).expect("one piece runs forwards");
            (other, lattice)
        }
    };
    lattice.meet(sum.storage_mut(), other.storage(), |sum, term| *sum += term);
}

/// Copies one of a batch of images, wherever it lies.
fn copy_image(images: &FlexTensor, index: usize, target: &mut [f32]) {
    let layout = images.layout().narrow(0, index, 1);
    let image = images.clone().with_layout(layout);
    let image = match lattice(&image) {
        Some(_) => image,
        None => in_one_piece(image),
    };
    let lattice = lattice(&image).expect("one piece runs forwards");
    lattice.meet(target, image.storage(), |place, value| *place = value);
}

/// The pairs of a tensor turned, or turned back.
fn turned_pairs(
    x: FlexTensor,
    sines: &FlexTensor,
    cosines: &FlexTensor,
    turned: usize,
    back: bool,
) -> FlexTensor {
    let [_, positions, features] = dims(&x);
    let [patches, width] = dims(sines);
    let turns = Turns {
        prefix: positions - patches,
        turned,
        width,
        sines: values(sines),
        cosines: values(cosines),
        back,
    };
    let mut x = taken(x);
    turn(x.storage_mut(), features, turns);
    x
}

/// The size of the last axis.
fn last_of(x: &FlexTensor) -> usize {
    let shape = x.layout().shape();
    shape[shape.num_dims() - 1]
}
