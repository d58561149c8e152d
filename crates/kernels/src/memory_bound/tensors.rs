//! Operations bound by memory on burn's tensors: by the kernels on flex, else by burn.

use burn::backend::{Dispatch, Flex};
use burn::tensor::module::{self, interpolate};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, activation as plain};

use super::ops::MemoryBoundOps;
use crate::Activation;
use crate::batch_norm::{self, Moments};
use crate::dispatch::{has_kernels, primitive};
use crate::flex_tensors::{contiguous, into_owned, values};
use crate::glu::GateHalf;
use crate::plain::plain_activation;
use crate::position_bias::relative_position_index;
use crate::profile::timed;

/// `x.reshape(split).permute(order).reshape(shape)` with one copy at most.
///
/// # Shapes
/// - x: any of as many values as `split`
/// - output: `shape`
pub fn rearrange<const D: usize, const N: usize, const E: usize>(
    x: Tensor<D>,
    split: [usize; N],
    order: [usize; N],
    shape: [usize; E],
) -> Tensor<E> {
    let device = x.device();
    timed("rearrangement", &device, move || {
        if !has_kernels(&x) {
            let order = order.map(usize::cast_signed);
            return x.reshape(split).permute(order).reshape(shape);
        }
        Tensor::from_dispatch(Dispatch::rearrange(
            x.into_dispatch(),
            split.to_vec(),
            order.to_vec(),
            shape.to_vec(),
        ))
    })
}

/// The sum of two tensors of one shape.
///
/// # Shapes
/// - left, right and output: any, the same
pub fn add<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let device = left.device();
    timed("addition", &device, move || {
        if !has_kernels(&left) || !has_kernels(&right) || left.dims() != right.dims() {
            return left + right;
        }
        let (left, right) = (left.into_dispatch(), right.into_dispatch());
        Tensor::from_dispatch(Dispatch::add(left, right))
    })
}

/// `x + scale · y`; the residual connection with layer scale.
///
/// # Shapes
/// - x, y and output: `[..., features]`
/// - scale: `[features]`
pub fn add_scaled<const D: usize>(x: Tensor<D>, y: Tensor<D>, scale: Tensor<1>) -> Tensor<D> {
    let device = x.device();
    timed("addition", &device, move || {
        if !has_kernels(&x) || !has_kernels(&y) || !has_kernels(&scale) {
            return x + y * scale.unsqueeze();
        }
        let (x, y, scale) = (x.into_dispatch(), y.into_dispatch(), scale.into_dispatch());
        Tensor::from_dispatch(Dispatch::add_scaled(x, y, scale))
    })
}

/// Rotary position embedding (Su et al., *RoFormer*): rotates each pair of neighbouring features of
/// each head by the patch's angles. Positions before the patches (class tokens) are not rotated, nor
/// are features from `rotary` on.
///
/// # Shapes
/// - x and output: `[batch, positions, features]`, the first `rotary` being heads of `width`
/// - sines, cosines: `[patches, width]`, of each feature's angle, mostly the same for both of a pair; without gradient
pub fn rope(x: Tensor<3>, sines: Tensor<2>, cosines: Tensor<2>, rotary: usize) -> Tensor<3> {
    let device = x.device();
    timed("rotary embedding", &device, move || {
        if !has_kernels(&x) {
            return plain_rope(x, sines, cosines, rotary);
        }
        Tensor::from_dispatch(Dispatch::rope(
            x.into_dispatch(),
            sines.into_dispatch(),
            cosines.into_dispatch(),
            rotary,
        ))
    })
}

/// [`rope`] by burn's operations.
pub fn plain_rope(x: Tensor<3>, sines: Tensor<2>, cosines: Tensor<2>, rotary: usize) -> Tensor<3> {
    let [batch, positions, features] = x.dims();
    let [patches, width] = sines.dims();
    let prefix = positions - patches;
    let heads = rotary / width;
    let part = x.clone().narrow(1, prefix, patches).narrow(2, 0, rotary);
    let pairs = part.clone().reshape([batch, patches, rotary / 2, 2]);
    let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
    let quarter = Tensor::cat(vec![-second, first], 3);
    let heads = [batch, patches, heads, width];
    let along = |angles: Tensor<2>| angles.reshape([1, patches, 1, width]);
    let result = part.reshape(heads) * along(cosines) + quarter.reshape(heads) * along(sines);
    let ranges = [0..batch, prefix..positions, 0..rotary];
    let result = result.reshape([batch, patches, rotary]);
    debug_assert!(rotary <= features);
    x.slice_assign(ranges, result)
}

/// Gated linear unit (Shazeer, *GLU variants improve transformer*): one half of the features, after an activation, times
/// the other half.
///
/// # Shapes
/// - x: `[..., 2 × hidden]`
/// - output: `[..., hidden]`
pub fn glu<const D: usize>(x: Tensor<D>, activation: Activation, gate: GateHalf) -> Tensor<D> {
    let device = x.device();
    timed("GLU", &device, move || {
        if !has_kernels(&x) {
            let hidden = x.dims()[D - 1] / 2;
            let (gate, value) = gate.of([0, hidden]);
            let half = |start| x.clone().narrow(D - 1, start, hidden);
            return plain_activation(half(gate), activation) * half(value);
        }
        Tensor::from_dispatch(Dispatch::glu(x.into_dispatch(), activation, gate))
    })
}

/// Global response normalisation (Woo et al., *ConvNeXt V2*): `x + weight · x · n + bias` with
/// `n = ‖x‖ / (mean of ‖x‖ over features + 1e-6)`, each L2 norm over one feature of one image.
///
/// # Shapes
/// - x and output: `[batch, height, width, features]`
/// - weight, bias: `[features]`
pub fn grn(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<4> {
    let device = x.device();
    timed("response norm", &device, move || {
        if !has_kernels(&x) || !has_kernels(&weight) {
            let norm = x.clone().square().sum_dim(2).sum_dim(1).sqrt();
            let share = norm.clone() / (norm.mean_dim(3) + 1e-6);
            let weighted = x.clone() * share * weight.unsqueeze();
            return x + weighted + bias.unsqueeze();
        }
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        Tensor::from_dispatch(Dispatch::grn(x.into_dispatch(), weight, bias))
    })
}

/// `scale · max(x, 0)² + bias` (Yu et al., *MetaFormer baselines for vision*).
///
/// # Shapes
/// - x and output: any
/// - scale, bias: `[1]`
pub fn star_relu<const D: usize>(x: Tensor<D>, scale: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let device = x.device();
    timed("activation", &device, move || {
        if !has_kernels(&x) || !has_kernels(&scale) {
            return plain::relu(x).square() * scale.unsqueeze() + bias.unsqueeze();
        }
        let (scale, bias) = (scale.into_dispatch(), bias.into_dispatch());
        Tensor::from_dispatch(Dispatch::star_relu(x.into_dispatch(), scale, bias))
    })
}

/// Upsamples twice by nearest neighbour and concatenates a skip connection behind the channels.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - skip: `[batch, others, 2 × height, 2 × width]`
/// - output: `[batch, channels + others, 2 × height, 2 × width]`
pub fn upsample2x_concat(x: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
    let device = x.device();
    timed("upsampling", &device, move || {
        let [batch, _, height, width] = x.dims();
        let size = [2 * height, 2 * width];
        if !has_kernels(&x) {
            let options = InterpolateOptions::new(InterpolateMode::Nearest);
            let doubled = interpolate(x, options.with_output_size(size));
            return match skip {
                Some(skip) => Tensor::cat(vec![doubled, skip], 1),
                None => doubled,
            };
        }
        let none = || Tensor::zeros([batch, 0, size[0], size[1]], &x.device());
        let skip = skip.unwrap_or_else(none).into_dispatch();
        Tensor::from_dispatch(Dispatch::upsample2x_concat(x.into_dispatch(), skip))
    })
}

/// Moves maps down by `rows` and right by `columns`, cyclically; `torch.roll` over axes 1 and 2.
///
/// # Shapes
/// - maps and output: `[batch, height, width, channels]`
pub fn roll(maps: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let device = maps.device();
    timed("roll", &device, move || {
        let [_, height, width, _] = maps.dims();
        let (rows, columns) = (rows % height, columns % width);
        match [rows, columns] {
            [0, 0] => maps,
            by if has_kernels(&maps) => {
                Tensor::from_dispatch(Dispatch::roll(maps.into_dispatch(), by))
            }
            _ => plain_roll(plain_roll(maps, 1, rows), 2, columns),
        }
    })
}

fn plain_roll(x: Tensor<4>, axis: usize, by: usize) -> Tensor<4> {
    let size = x.dims()[axis];
    match by {
        0 => x,
        by => Tensor::cat(
            vec![
                x.clone().narrow(axis, size - by, by),
                x.narrow(axis, 0, size - by),
            ],
            axis,
        ),
    }
}

/// The bias of each pair of positions of a `size × size` window, from a table by relative position.
///
/// # Shapes
/// - table: `[(2 size − 1)², heads]`, rows by `(dy, dx)` of query minus key
/// - output: `[heads, size², size²]` (query, key)
pub fn expand_position_bias(table: Tensor<2>, size: usize) -> Tensor<3> {
    let device = table.device();
    timed("position bias", &device, move || {
        if has_kernels(&table) {
            return Tensor::from_dispatch(Dispatch::expand_position_bias(
                table.into_dispatch(),
                size,
            ));
        }
        let ([_, heads], area) = (table.dims(), size * size);
        let pairs = TensorData::new(relative_position_index(size), [area * area]);
        let pairs = Tensor::from_data(pairs, &table.device());
        let biases = table.select(0, pairs).reshape([area, area, heads]);
        biases.permute([2, 0, 1])
    })
}

/// Scales the leading vectors of the last axis to given L2 norms; the rest is copied.
///
/// # Shapes
/// - x and output: `[groups, positions, features]`, vectors of `width` values
/// - lengths: `[vectors]`, `vectors × width` at most `features`
pub fn l2_normalize(x: Tensor<3>, lengths: Tensor<1>, width: usize) -> Tensor<3> {
    let device = x.device();
    timed("vector norm", &device, move || {
        if has_kernels(&x) && has_kernels(&lengths) {
            let (x, lengths) = (x.into_dispatch(), lengths.into_dispatch());
            return Tensor::from_dispatch(Dispatch::l2_normalize(x, lengths, width));
        }
        let ([groups, positions, features], [vectors]) = (x.dims(), lengths.dims());
        let part = x.clone().narrow(2, 0, vectors * width);
        let part = part.reshape([groups, positions, vectors, width]);
        let own = part.clone().square().sum_dim(3).sqrt().clamp_min(1e-12);
        let part = part / own * lengths.reshape([1, 1, vectors, 1]);
        let part = part.reshape([groups, positions, vectors * width]);
        match features - vectors * width {
            0 => part,
            rest => Tensor::cat(vec![part, x.narrow(2, vectors * width, rest)], 2),
        }
    })
}

/// The mean over all pixels of each channel.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, channels, 1, 1]`
pub fn global_avg_pool(x: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    timed("squeeze-excite", &device, move || match has_kernels(&x) {
        true => Tensor::from_dispatch(Dispatch::global_avg_pool(x.into_dispatch())),
        false => x.mean_dim(3).mean_dim(2),
    })
}

/// Each channel of each image times a factor.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - factors: `[batch, channels, 1, 1]`
pub fn scale_channels(x: Tensor<4>, factors: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    timed("squeeze-excite", &device, move || {
        if !has_kernels(&x) || !has_kernels(&factors) {
            return x * factors;
        }
        let (x, factors) = (x.into_dispatch(), factors.into_dispatch());
        Tensor::from_dispatch(Dispatch::scale_channels(x, factors))
    })
}

/// Normalisation of `groups` groups of neighbouring channels by mean and biased variance over their channels, all
/// pixels and the whole batch, then an activation; in place where nobody else has `x`. `torch.nn.GroupNorm` of one
/// volume whose layers are the batch, where nothing records gradients.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - weight, bias: `[channels]`
///
/// # Panics
/// When tensors are not f32 on flex, or record gradients ([`is_final`](crate::is_final)).
pub fn group_norm(
    x: Tensor<4>,
    groups: usize,
    [weight, bias]: [Tensor<1>; 2],
    epsilon: f64,
    activation: Option<Activation>,
) -> Tensor<4> {
    let device = x.device();
    timed("group norm", &device, move || {
        let [_, channels, height, width] = x.dims();
        let area = height * width;
        let (weight, bias) = (contiguous(primitive(weight)), contiguous(primitive(bias)));
        let mut x = into_owned(primitive(x));
        let planes = x.storage_mut();
        let stats = Moments::new(planes, groups, channels / groups * area).stats(epsilon as f32);
        let scales = (values(&weight), values(&bias));
        batch_norm::forward(planes, area, &stats, scales, activation);
        Tensor::from_primitive::<Flex>(x)
    })
}

/// Batch normalisation by the batch's own mean and biased variance of each channel, both returned
/// without gradient; `torch.nn.functional.batch_norm(..., training=True)`.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - weight, bias, mean, variance: `[channels]`
pub fn batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> (Tensor<4>, [Tensor<1>; 2]) {
    let device = x.device();
    timed("batch norm", &device, move || {
        if !has_kernels(&x) || !has_kernels(&weight) {
            let result = module::batch_norm_train(x, weight, bias, epsilon);
            return (result.output, [result.mean, result.variance]);
        }
        let [_, channels, height, width] = x.dims();
        let seen = contiguous(primitive(x.clone().without_autodiff()));
        let moments = Moments::new(values(&seen), channels, height * width);
        drop(seen);
        let stats = moments.stats(epsilon as f32);
        let statistics = [moments.means, moments.variances].map(|values| {
            let data = TensorData::new(values, [channels]);
            Tensor::from_data(data, &x.device())
        });
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        let output = Dispatch::norm_channels(x.into_dispatch(), weight, bias, stats);
        (Tensor::from_dispatch(output), statistics)
    })
}
