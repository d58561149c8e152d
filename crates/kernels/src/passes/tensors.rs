//! Operations bound by memory, on burn's tensors: by the kernels on the processor, elsewhere as burn
//! has them.

use burn::backend::Dispatch;
use burn::tensor::module::{self, interpolate, unfold4d};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions, UnfoldOptions};
use burn::tensor::{Tensor, TensorData, activation as plain};

use super::Passes;
use crate::Activation;
use crate::batch_norm::{Moments, Scales};
use crate::buffers::{in_one_piece, values};
use crate::profile::timed;
use crate::relative::pair_index;
use crate::tensors::{is_served, plain_activation, primitive};
use crate::unfold::Window;

/// Splits axes, puts them in another order and joins them, in one copy at most.
///
/// # Shapes
/// - x: any that splits into `split`
/// - output: `shape`, which holds the sizes of `split` in the order `order`
pub fn rearrange<const D: usize, const N: usize, const E: usize>(
    x: Tensor<D>,
    split: [usize; N],
    order: [usize; N],
    shape: [usize; E],
) -> Tensor<E> {
    let device = x.device();
    timed("rearrangement", &device, move || {
        if !is_served(&x) {
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
    timed("sum", &device, move || {
        if !is_served(&left) || !is_served(&right) || left.dims() != right.dims() {
            return left + right;
        }
        let (left, right) = (left.into_dispatch(), right.into_dispatch());
        Tensor::from_dispatch(Dispatch::sum_of_two(left, right))
    })
}

/// `x + scale · y`, one factor for each feature.
///
/// # Shapes
/// - x, y and output: `[..., features]`
/// - scale: `[features]`
pub fn add_scaled<const D: usize>(x: Tensor<D>, y: Tensor<D>, scale: Tensor<1>) -> Tensor<D> {
    let device = x.device();
    timed("sum", &device, move || {
        if !is_served(&x) || !is_served(&y) || !is_served(&scale) {
            return x + y * scale.unsqueeze();
        }
        let (x, y, scale) = (x.into_dispatch(), y.into_dispatch(), scale.into_dispatch());
        Tensor::from_dispatch(Dispatch::sum_with_scaled(x, y, scale))
    })
}

/// Turns pairs of neighbouring features by angles of their own at every patch (Su et al.,
/// *RoFormer*); positions before the patches stay as they are, and so do features behind the first
/// `turned`.
///
/// # Shapes
/// - x and output: `[batch, positions, features]`, the first `turned` being heads of `width`
/// - sines, cosines: `[patches, width]`, the same for both of a pair; no gradient is theirs
pub fn rope(x: Tensor<3>, sines: Tensor<2>, cosines: Tensor<2>, turned: usize) -> Tensor<3> {
    let device = x.device();
    timed("rotary turn", &device, move || {
        if !is_served(&x) {
            return plain_turn(x, sines, cosines, turned);
        }
        Tensor::from_dispatch(Dispatch::rope(
            x.into_dispatch(),
            sines.into_dispatch(),
            cosines.into_dispatch(),
            turned,
        ))
    })
}

/// [`rope`] step by step.
pub fn plain_turn(x: Tensor<3>, sines: Tensor<2>, cosines: Tensor<2>, turned: usize) -> Tensor<3> {
    let [batch, positions, features] = x.dims();
    let [patches, width] = sines.dims();
    let prefix = positions - patches;
    let heads = turned / width;
    let part = x.clone().narrow(1, prefix, patches).narrow(2, 0, turned);
    let pairs = part.clone().reshape([batch, patches, turned / 2, 2]);
    let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
    let quarter = Tensor::cat(vec![-second, first], 3);
    let heads = [batch, patches, heads, width];
    let along = |angles: Tensor<2>| angles.reshape([1, patches, 1, width]);
    let result = part.reshape(heads) * along(cosines) + quarter.reshape(heads) * along(sines);
    let ranges = [0..batch, prefix..positions, 0..turned];
    let result = result.reshape([batch, patches, turned]);
    debug_assert!(turned <= features);
    x.slice_assign(ranges, result)
}

/// The first half of the features, after an activation, times the second.
///
/// # Shapes
/// - x: `[..., 2 × hidden]`
/// - output: `[..., hidden]`
pub fn gate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let device = x.device();
    timed("gate", &device, move || {
        if !is_served(&x) {
            let hidden = x.dims()[D - 1] / 2;
            let gate = plain_activation(x.clone().narrow(D - 1, 0, hidden), activation);
            return gate * x.narrow(D - 1, hidden, hidden);
        }
        Tensor::from_dispatch(Dispatch::gate(x.into_dispatch(), activation))
    })
}

/// Global response normalisation (Woo et al., *ConvNeXt V2*): `x + weight · x · share + bias`, a
/// feature's share being its norm over the image by the features' mean norm.
///
/// # Shapes
/// - x and output: `[batch, height, width, features]`
/// - weight, bias: `[features]`
pub fn respond(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<4> {
    let device = x.device();
    timed("response norm", &device, move || {
        if !is_served(&x) || !is_served(&weight) {
            let norm = x.clone().square().sum_dim(2).sum_dim(1).sqrt();
            let share = norm.clone() / (norm.mean_dim(3) + 1e-6);
            let weighted = x.clone() * share * weight.unsqueeze();
            return x + weighted + bias.unsqueeze();
        }
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        Tensor::from_dispatch(Dispatch::respond(x.into_dispatch(), weight, bias))
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
        if !is_served(&x) || !is_served(&scale) {
            return plain::relu(x).square() * scale.unsqueeze() + bias.unsqueeze();
        }
        let (scale, bias) = (scale.into_dispatch(), bias.into_dispatch());
        Tensor::from_dispatch(Dispatch::star_relu(x.into_dispatch(), scale, bias))
    })
}

/// Maps enlarged twice by repeating pixels, and others of that size behind their channels.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - skip: `[batch, others, 2 × height, 2 × width]`
/// - output: `[batch, channels + others, 2 × height, 2 × width]`
pub fn upsample2x_concat(x: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
    let device = x.device();
    timed("enlargement", &device, move || {
        let [batch, _, height, width] = x.dims();
        let size = [2 * height, 2 * width];
        if !is_served(&x) {
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

/// What each place of a `side × side` kernel sees, moved by `stride` pixels over images with
/// `border` zeros at every side.
///
/// # Shapes
/// - images: `[batch, height, width, channels]`
/// - output: `[batch, rows, columns, side × side × channels]`
pub fn unfold_windows(images: Tensor<4>, side: usize, stride: usize, border: usize) -> Tensor<4> {
    let [batch, height, width, channels] = images.dims();
    let places = |size: usize| (size + 2 * border - side) / stride + 1;
    let window = Window {
        batch,
        height,
        width,
        channels,
        side,
        stride,
        border,
        rows: places(height),
        columns: places(width),
    };
    if is_served(&images) {
        return Tensor::from_dispatch(Dispatch::unfold_windows(images.into_dispatch(), window));
    }
    let options = UnfoldOptions::new([stride; 2], [border; 2], [1, 1]);
    let places = [batch, channels, side * side, window.rows * window.columns];
    unfold4d(images.permute([0, 3, 1, 2]), [side; 2], options)
        .reshape(places)
        .permute([0, 3, 2, 1])
        .reshape([batch, window.rows, window.columns, window.features()])
}

/// Moves maps down by `rows` and right by `columns`, what leaves coming in on the other side.
///
/// # Shapes
/// - maps and output: `[batch, height, width, channels]`
pub fn roll_maps(maps: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let device = maps.device();
    timed("roll", &device, move || {
        let [_, height, width, _] = maps.dims();
        let (rows, columns) = (rows % height, columns % width);
        match [rows, columns] {
            [0, 0] => maps,
            by if is_served(&maps) => {
                Tensor::from_dispatch(Dispatch::roll_maps(maps.into_dispatch(), by))
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

/// A table of relative positions, spread over all pairs of a `size × size` window's positions.
///
/// # Shapes
/// - table: `[(2 size − 1)², heads]`, rows by `(dy, dx)` of query minus key
/// - output: `[heads, size², size²]` (query, key)
pub fn expand_position_bias(table: Tensor<2>, size: usize) -> Tensor<3> {
    let device = table.device();
    timed("positions", &device, move || {
        if is_served(&table) {
            return Tensor::from_dispatch(Dispatch::expand_position_bias(
                table.into_dispatch(),
                size,
            ));
        }
        let ([_, heads], area) = (table.dims(), size * size);
        let pairs = TensorData::new(pair_index(size), [area * area]);
        let pairs = Tensor::from_data(pairs, &table.device());
        let biases = table.select(0, pairs).reshape([area, area, heads]);
        biases.permute([2, 0, 1])
    })
}

/// Brings the leading vectors of the last axis to given lengths.
///
/// # Shapes
/// - x and output: `[groups, positions, features]`, vectors of `width` values
/// - lengths: `[vectors]`, `vectors × width` at most `features`
pub fn l2_normalize(x: Tensor<3>, lengths: Tensor<1>, width: usize) -> Tensor<3> {
    let device = x.device();
    timed("vector norm", &device, move || {
        if is_served(&x) && is_served(&lengths) {
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

/// Each channel's mean.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, channels, 1, 1]`
pub fn mean_over_pixels(x: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    timed("channel gate", &device, move || match is_served(&x) {
        true => Tensor::from_dispatch(Dispatch::mean_over_pixels(x.into_dispatch())),
        false => x.mean_dim(3).mean_dim(2),
    })
}

/// Each channel times a number.
///
/// # Shapes
/// - x and output: `[batch, channels, height, width]`
/// - factors: `[batch, channels, 1, 1]`
pub fn scale_planes(x: Tensor<4>, factors: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    timed("channel gate", &device, move || {
        if !is_served(&x) || !is_served(&factors) {
            return x * factors;
        }
        let (x, factors) = (x.into_dispatch(), factors.into_dispatch());
        Tensor::from_dispatch(Dispatch::scale_planes(x, factors))
    })
}

/// Normalisation of every channel over the batch, and what the batch's channels are like: mean and
/// (biased) variance, through which no gradient flows.
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
        if !is_served(&x) || !is_served(&weight) {
            let result = module::batch_norm_train(x, weight, bias, epsilon);
            return (result.output, [result.mean, result.variance]);
        }
        let [_, channels, height, width] = x.dims();
        let seen = in_one_piece(primitive(x.clone().without_autodiff()));
        let moments = Moments::new(values(&seen), channels, height * width);
        drop(seen);
        let scales = Scales {
            inverses: moments.inverses(epsilon as f32),
            means: moments.means.clone(),
        };
        let statistics = [moments.means, moments.variances].map(|values| {
            let data = TensorData::new(values, [channels]);
            Tensor::from_data(data, &x.device())
        });
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        let output = Dispatch::normalize_channels(x.into_dispatch(), weight, bias, scales);
        (Tensor::from_dispatch(output), statistics)
    })
}
