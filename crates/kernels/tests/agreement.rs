//! Every operation, forward and backward, against burn's own on the same values: to 1e-4 of the
//! values' spread.

use burn::tensor::module::{self, interpolate};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use inkling_kernels::{
    Activation, Conv3dOptions, DepthBorder, GateHalf, activate, add, add_scaled, add_window_mask,
    affine, attention, batch_norm_train, conv_transpose2d, conv2d, conv2d_affine,
    conv2d_affine_onto, conv2d_before_norm, conv3d, expand_position_bias, global_avg_pool, glu,
    grn, group_norm, l2_normalize, layer_norm, linear, plain_activation, plain_attention,
    plain_conv3d, plain_rope, profile, rearrange, relative_position_index, roll, rope,
    scale_channels, star_relu, upsample2x_concat,
};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Values in `[-3, 3)`, the same for the same seed.
fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.random_range(-3.0..3.0))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found), values(expected));
    let squares: f64 = expected.iter().map(|&x| f64::from(x).powi(2)).sum();
    let spread = (squares / expected.len() as f64).sqrt();
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = f64::from((found - expected).abs());
        assert!(
            error <= 1e-4 * spread,
            "{what}[{index}]: {found} is not {expected}"
        );
    }
}

/// A weighted sum, so that every value's gradient differs.
fn weighted<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    let weights = random(output.dims(), 99, &output.device());
    (output * weights).sum()
}

/// Two ways to the same result: values and the gradients of all arguments.
macro_rules! check {
    ($what:expr, [$($argument:ident),+], $ours:expr, $plain:expr) => {{
        $(let $argument = $argument.clone().require_grad();)+
        let (ours, plain) = ($ours, $plain);
        assert_close(ours.clone(), plain.clone(), $what);
        let (ours, plain) = (weighted(ours).backward(), weighted(plain).backward());
        $(
            let name = format!("{} by {}", $what, stringify!($argument));
            assert_close(
                $argument.grad(&ours).unwrap(),
                $argument.grad(&plain).unwrap(),
                &name,
            );
        )+
    }};
}

#[test]
fn convolutions_of_volumes_agree() {
    // Volumes, layers, inputs, outputs, rows, columns, layers of the kernels.
    let cases = [
        [2, 4, 3, 5, 9, 13, 3],
        [1, 6, 16, 9, 8, 8, 3],
        [2, 1, 4, 4, 5, 7, 3],
        [1, 2, 3, 2, 6, 5, 5],
        [3, 3, 2, 17, 4, 40, 1],
        // More weights than pixels.
        [2, 2, 5, 40, 3, 3, 3],
        [1, 3, 19, 33, 4, 4, 3],
        [1, 2, 33, 20, 1, 2, 5],
        [2, 1, 17, 9, 3, 2, 1],
    ];
    for [volumes, layers, inputs, outputs, height, width, deep] in cases {
        for border in [DepthBorder::Zeros, DepthBorder::Replicate] {
            let images = [volumes * layers, inputs, height, width];
            let options = Conv3dOptions::same(deep, 3, border);
            check_volumes(layers, images, [outputs, inputs, deep, 3, 3], options);
        }
    }
}

#[test]
fn strided_convolutions_of_volumes_agree() {
    // Volumes, layers, inputs, outputs, rows, columns; layers, side; strides and paddings along depth and in
    // the plane.
    let cases = [
        ([2, 6, 3, 5, 20, 33], [3, 3], [2, 2], [1, 1]),
        ([1, 4, 1, 8, 64, 48], [7, 7], [2, 2], [3, 3]),
        ([2, 5, 20, 9, 9, 7], [3, 3], [1, 2], [1, 1]),
        ([1, 6, 4, 40, 6, 6], [3, 3], [3, 2], [1, 1]),
        ([1, 4, 6, 7, 12, 40], [1, 1], [2, 2], [0, 0]),
        ([1, 3, 2, 4, 31, 17], [3, 5], [1, 3], [0, 2]),
        ([1, 2, 5, 3, 40, 40], [1, 5], [1, 1], [0, 2]),
        ([2, 3, 2, 3, 3, 5], [2, 3], [1, 4], [0, 1]),
    ];
    for ([volumes, layers, inputs, outputs, height, width], [deep, side], strides, paddings) in
        cases
    {
        for border in [DepthBorder::Zeros, DepthBorder::Replicate] {
            let options = Conv3dOptions {
                depth_stride: strides[0],
                depth_padding: paddings[0],
                border,
                stride: strides[1],
                padding: paddings[1],
            };
            let images = [volumes * layers, inputs, height, width];
            check_volumes(layers, images, [outputs, inputs, deep, side, side], options);
        }
    }
}

/// A convolution of random volumes by random kernels, both ways, with gradients and without.
fn check_volumes(layers: usize, images: [usize; 4], weight: [usize; 5], options: Conv3dOptions) {
    let device = Device::flex().autodiff();
    let what = format!("{images:?} by {weight:?}, {options:?}");
    let bias = random([weight[0]], 3, &device);
    let x = random(images, 1, &device);
    let weight = random(weight, 2, &device);
    check!(
        &what,
        [x, weight, bias],
        conv3d(
            x.clone(),
            weight.clone(),
            Some(bias.clone()),
            layers,
            options
        ),
        plain_conv3d(
            x.clone(),
            weight.clone(),
            Some(bias.clone()),
            layers,
            options
        )
    );
    let (x, weight) = (x.inner(), weight.inner());
    assert_close(
        conv3d(x.clone(), weight.clone(), None, layers, options),
        plain_conv3d(x, weight, None, layers, options),
        "without gradients",
    );
}

#[test]
fn activations_agree() {
    let device = Device::flex().autodiff();
    let all = [
        Activation::Relu,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::LeakyRelu,
        Activation::Sigmoid,
    ];
    for activation in all {
        let x = random([3, 5, 701], 1, &device) * 2.0;
        let x = x.detach();
        check!(
            &format!("{activation:?}"),
            [x],
            activate(x.clone(), activation),
            plain_activation(x.clone(), activation)
        );
    }
}

fn options(side: usize, stride: usize, groups: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [side / 2; 2], [1, 1], groups)
}

/// A convolution of random images by random kernels, both ways.
fn check_convolution(images: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) {
    let device = Device::flex().autodiff();
    let what = format!("{images:?} by {weight:?}, {options:?}");
    let bias = random([weight[0]], 4, &device);
    let images = random(images, 2, &device);
    let weight = random(weight, 3, &device);
    check!(
        &what,
        [images, weight, bias],
        conv2d(
            images.clone(),
            weight.clone(),
            Some(bias.clone()),
            options.clone()
        ),
        module::conv2d(
            images.clone(),
            weight.clone(),
            Some(bias.clone()),
            options.clone()
        )
    );
}

#[test]
fn convolutions_agree() {
    // Sizes below, at and above what fits in registers, narrow images, several images.
    for [batch, inputs, outputs, height, width] in [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 7, 4],
        [1, 8, 8, 12, 12],
        [3, 5, 17, 9, 50],
        [1, 24, 40, 33, 31],
    ] {
        let images = [batch, inputs, height, width];
        check_convolution(images, [outputs, inputs, 3, 3], &options(3, 1, 1));
    }
}

#[test]
fn depthwise_convolutions_agree() {
    for (side, [batch, channels, height, width]) in [
        (3, [2, 4, 12, 12]),
        (5, [1, 3, 9, 17]),
        (7, [2, 5, 6, 7]),
        (7, [1, 2, 40, 33]),
        (3, [1, 2, 1, 70]),
    ] {
        let images = [batch, channels, height, width];
        check_convolution(
            images,
            [channels, 1, side, side],
            &options(side, 1, channels),
        );
    }
}

#[test]
fn pointwise_convolutions_agree() {
    for [batch, inputs, outputs, side] in [[1, 3, 130, 5], [5, 8, 20, 9], [2, 1, 1, 1]] {
        let images = [batch, inputs, side, side];
        check_convolution(images, [outputs, inputs, 1, 1], &options(1, 1, 1));
    }
}

#[test]
fn convolutions_of_patches_agree() {
    let options = ConvOptions::new([4, 4], [0, 0], [1, 1], 1);
    check_convolution([2, 3, 12, 8], [5, 3, 4, 4], &options);
}

#[test]
fn other_convolutions_take_burn_s_way() {
    let device = Device::flex().autodiff();
    let images = random([1, 4, 9, 9], 8, &device);
    let weight = random([6, 2, 3, 3], 9, &device);
    check!(
        "stride 2 in two groups",
        [images, weight],
        conv2d(images.clone(), weight.clone(), None, options(3, 2, 2)),
        module::conv2d(images.clone(), weight.clone(), None, options(3, 2, 2))
    );
}

#[test]
fn attentions_agree() {
    let device = Device::flex().autodiff();
    for [groups, heads, positions, width, biases] in [
        [4, 3, 9, 8, 1],
        [6, 2, 49, 32, 3],
        [2, 1, 70, 16, 2],
        [1, 2, 1, 4, 1],
        // More groups than tasks of a head, with one bias and with more biases than tasks.
        [37, 2, 9, 8, 1],
        [40, 3, 9, 8, 20],
    ] {
        // Heads and positions exchanged, as projections leave them.
        let part = |seed| random([groups, positions, heads, width], seed, &device);
        let (query, key, value) = (part(10), part(11), part(12));
        let bias = random([biases, heads, positions, positions], 13, &device);
        let seen = |x: &Tensor<4>| x.clone().swap_dims(1, 2);
        check!(
            &format!("{groups} groups of {positions}"),
            [query, key, value, bias],
            attention(
                seen(&query),
                seen(&key),
                seen(&value),
                Some(bias.clone()),
                0.3
            ),
            plain_attention(
                seen(&query),
                seen(&key),
                seen(&value),
                Some(bias.clone()),
                0.3
            )
            .swap_dims(1, 2)
            .reshape([groups, positions, heads * width])
        );
    }
}

#[test]
fn attention_without_bias_agrees() {
    let device = Device::flex().autodiff();
    for groups in [2, 37] {
        let part = |seed| random([groups, 3, 11, 8], seed, &device);
        let (query, key, value) = (part(14), part(15), part(16));
        check!(
            &format!("{groups} groups without bias"),
            [query, key, value],
            attention(query.clone(), key.clone(), value.clone(), None, 0.3),
            plain_attention(query.clone(), key.clone(), value.clone(), None, 0.3)
                .swap_dims(1, 2)
                .reshape([groups, 11, 24])
        );
    }
}

#[test]
fn norms_agree() {
    let device = Device::flex().autodiff();
    for [rows, features] in [[1, 1], [5, 33], [200, 96]] {
        let x = random([rows, features], 17, &device);
        let weight = random([features], 18, &device);
        let bias = random([features], 19, &device);
        check!(
            &format!("{rows} rows of {features}"),
            [x, weight, bias],
            layer_norm(x.clone(), weight.clone(), Some(bias.clone()), 0.1),
            module::layer_norm(x.clone(), weight.clone(), Some(bias.clone()), 0.1)
        );
        check!(
            "without bias",
            [x, weight],
            layer_norm(x.clone(), weight.clone(), None, 0.1),
            module::layer_norm(x.clone(), weight.clone(), None, 0.1)
        );
    }
}

#[test]
fn linear_layers_agree() {
    let device = Device::flex().autodiff();
    // More rows than outputs, and fewer.
    for [rows, outputs] in [[150, 40], [11, 300], [1, 70]] {
        let x = random([2, rows, 24], 20, &device);
        let weight = random([outputs, 24], 21, &device);
        let bias = random([outputs], 22, &device);
        check!(
            &format!("linear, {rows} rows"),
            [x, weight, bias],
            linear(
                x.clone(),
                weight.clone(),
                Some(bias.clone()),
                Some(Activation::Gelu)
            ),
            plain_activation(
                module::linear(x.clone(), weight.clone().transpose(), Some(bias.clone())),
                Activation::Gelu
            )
        );
    }
}

#[test]
fn no_rows_give_no_rows() {
    let device = Device::flex();
    let none = Tensor::<2>::zeros([0, 24], &device);
    let output = linear(none, random([40, 24], 21, &device), None, None);
    assert_eq!(output.dims(), [0, 40]);
}

#[test]
fn what_records_no_gradients_agrees_too() {
    let device = Device::flex();
    let x = random([2, 150, 24], 23, &device);
    let weight = random([40, 24], 24, &device);
    let product = module::linear(x.clone(), weight.clone().transpose(), None);
    let expected = plain_activation(product, Activation::Silu);
    let found = linear(x.clone(), weight, None, Some(Activation::Silu));
    assert_close(found, expected, "linear");

    let x = random([2, 7, 6, 5], 25, &device);
    let (factor, summand) = (random([7], 26, &device), random([7], 27, &device));
    let along = |values: &Tensor<1>| values.clone().reshape([1, 7, 1, 1]);
    let sum = x.clone() * along(&factor) + along(&summand);
    let found = affine(x.clone(), factor, summand, Some(Activation::Gelu));
    assert_close(found, plain_activation(sum, Activation::Gelu), "affine");
}

#[test]
fn arguments_that_others_hold_stay_as_they_are() {
    let device = Device::flex();
    let x = random([4, 6, 5, 5], 28, &device);
    let before = values(x.clone());
    let ones = Tensor::ones([6], &device);
    drop(activate(x.clone(), Activation::Silu));
    drop(affine(x.clone(), ones.clone() * 2.0, ones, None));
    drop(layer_norm(
        x.clone(),
        Tensor::ones([5], &device),
        None,
        1e-6,
    ));
    // A part of a tensor probabilities its values with the whole.
    drop(activate(
        x.clone().slice([1..2, 0..6, 0..5, 0..5]),
        Activation::Silu,
    ));
    assert_eq!(values(x), before);
}

#[test]
fn an_activation_of_a_part_is_that_part_s() {
    let device = Device::flex();
    let x = random([4, 6], 29, &device);
    let part = x.clone().slice([1..3, 0..6]);
    let expected = plain_activation(part.clone(), Activation::Silu);
    drop(x);
    assert_close(activate(part, Activation::Silu), expected, "part");
}

#[test]
fn rearrangements_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 12, 30, 7], 50, &device);
    check!(
        "windows",
        [x],
        rearrange(
            x.clone(),
            [2, 3, 4, 5, 6, 7],
            [0, 1, 3, 2, 4, 5],
            [30, 24, 7]
        ),
        x.clone()
            .reshape([2, 3, 4, 5, 6, 7])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([30, 24, 7])
    );
    // Channels last, seen channels first: nothing is copied twice.
    let seen = |x: &Tensor<4>| x.clone().permute([0, 3, 1, 2]);
    check!(
        "patches of a permuted map",
        [x],
        rearrange(
            seen(&x),
            [2, 7, 3, 4, 5, 6],
            [0, 2, 4, 3, 5, 1],
            [2, 15, 168]
        ),
        seen(&x)
            .reshape([2, 7, 3, 4, 5, 6])
            .permute([0, 2, 4, 3, 5, 1])
            .reshape([2, 15, 168])
    );
    check!(
        "axes reduce_lanes",
        [x],
        rearrange(seen(&x), [2, 7, 12, 30], [1, 0, 3, 2], [14, 360]),
        seen(&x).permute([1, 0, 3, 2]).reshape([14, 360])
    );
}

#[test]
fn sums_agree() {
    let device = Device::flex().autodiff();
    let (x, y) = (
        random([2, 20, 30, 7], 51, &device),
        random([2, 7, 20, 30], 52, &device),
    );
    let seen = |y: &Tensor<4>| y.clone().permute([0, 2, 3, 1]);
    check!(
        "sum",
        [x, y],
        add(x.clone(), seen(&y)),
        x.clone() + seen(&y)
    );
    let scale = random([7], 53, &device);
    check!(
        "scaled sum",
        [x, y, scale],
        add_scaled(x.clone(), seen(&y), scale.clone()),
        x.clone() + seen(&y) * scale.clone().unsqueeze()
    );
    check!(
        "sum with a scaled tensor",
        [x, y, scale],
        add_scaled(seen(&y), x.clone(), scale.clone()),
        seen(&y) + x.clone() * scale.clone().unsqueeze()
    );
}

#[test]
fn sums_in_place_agree() {
    let device = Device::flex();
    let random = |seed| random([3, 40, 50], seed, &device);
    let turned = |x: Tensor<3>| x.swap_dims(1, 2);
    let expected = random(54) + turned(random(55).reshape([3, 50, 40]));
    let other = || turned(random(55).reshape([3, 50, 40]));
    assert_close(add(random(54), other()), expected.clone(), "own, turned");
    assert_close(add(other(), random(54)), expected.clone(), "turned, own");
    let held = random(54);
    let before = values(held.clone());
    assert_close(add(held.clone(), other()), expected, "held, turned");
    drop(add_scaled(
        held.clone(),
        random(56),
        Tensor::ones([50], &device),
    ));
    drop(star_relu(
        held.clone(),
        Tensor::ones([1], &device),
        Tensor::ones([1], &device),
    ));
    assert_eq!(values(held), before);
}

#[test]
fn rotary_turns_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 37, 30], 57, &device);
    let of_pairs = random([35, 4, 1], 58, &device).repeat_dim(2, 2);
    let of_features = random([35, 8], 59, &device);
    for angles in [of_pairs.reshape([35, 8]), of_features] {
        let (sines, cosines) = (angles.clone().sin().detach(), angles.cos().detach());
        check!(
            "turn",
            [x],
            rope(x.clone(), sines.clone(), cosines.clone(), 24),
            plain_rope(x.clone(), sines.clone(), cosines.clone(), 24)
        );
    }
}

#[test]
fn gates_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 70, 34], 59, &device);
    for (activation, gate, starts) in [
        (Activation::Silu, GateHalf::First, [0, 17]),
        (Activation::Gelu, GateHalf::Second, [17, 0]),
    ] {
        let [gate_start, value_start] = starts;
        check!(
            "GLU",
            [x],
            glu(x.clone(), activation, gate),
            plain_activation(x.clone().narrow(2, gate_start, 17), activation)
                * x.clone().narrow(2, value_start, 17)
        );
    }
}

#[test]
fn response_norms_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 15, 12, 33], 60, &device);
    let (weight, bias) = (random([33], 61, &device), random([33], 62, &device));
    check!(
        "response norm",
        [x, weight, bias],
        grn(x.clone(), weight.clone(), bias.clone()),
        {
            let norm = x.clone().square().sum_dim(2).sum_dim(1).sqrt();
            let share = norm.clone() / (norm.mean_dim(3) + 1e-6);
            x.clone() + x.clone() * share * weight.clone().unsqueeze() + bias.clone().unsqueeze()
        }
    );
}

#[test]
fn star_rectifiers_agree() {
    let device = Device::flex().autodiff();
    let x = random([3, 5, 701], 63, &device);
    let (scale, bias) = (random([1], 64, &device), random([1], 65, &device));
    check!(
        "star",
        [x, scale, bias],
        star_relu(x.clone(), scale.clone(), bias.clone()),
        activation::relu(x.clone()).square() * scale.clone().unsqueeze() + bias.clone().unsqueeze()
    );
}

#[test]
fn enlargements_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 5, 6, 7], 66, &device);
    let skip = random([2, 12, 14, 3], 67, &device);
    let seen = |skip: &Tensor<4>| skip.clone().permute([0, 3, 1, 2]);
    let doubled = |x: &Tensor<4>| {
        let options = InterpolateOptions::new(InterpolateMode::Nearest);
        interpolate(x.clone(), options.with_output_size([12, 14]))
    };
    check!(
        "enlarged and reduce_lanes",
        [x, skip],
        upsample2x_concat(x.clone(), Some(seen(&skip))),
        Tensor::cat(vec![doubled(&x), seen(&skip)], 1)
    );
    check!(
        "enlarged",
        [x],
        upsample2x_concat(x.clone(), None),
        doubled(&x)
    );
}

#[test]
fn convolutions_with_strides_agree() {
    for (side, stride, border, [height, width]) in [
        (3, 2, 1, [13, 18]),
        (7, 4, 2, [21, 16]),
        (3, 2, 0, [9, 12]),
        (1, 2, 0, [7, 8]),
        (5, 3, 6, [2, 9]),
    ] {
        let options = ConvOptions::new([stride; 2], [border; 2], [1, 1], 1);
        check_convolution([2, 3, height, width], [6, 3, side, side], &options);
    }
}

#[test]
fn convolutions_of_patches_with_many_channels_agree() {
    let device = Device::flex().autodiff();
    let options = ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
    let images = random([2, 6, 10, 9], 71, &device);
    let weight = random([5, 9, 2, 2], 72, &device);
    let seen = |images: &Tensor<4>| images.clone().permute([0, 3, 1, 2]);
    check!(
        "patches of channels",
        [images, weight],
        conv2d(seen(&images), weight.clone(), None, options.clone()),
        module::conv2d(seen(&images), weight.clone(), None, options.clone())
    );
}

#[test]
fn transposed_convolutions_agree() {
    let device = Device::flex().autodiff();
    let images = random([2, 7, 4, 6], 78, &device);
    let weight = random([7, 5, 2, 2], 79, &device);
    let bias = random([5], 80, &device);
    let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
    check!(
        "transposed",
        [images, weight, bias],
        conv_transpose2d(images.clone(), weight.clone(), bias.clone()),
        module::conv_transpose2d(
            images.clone(),
            weight.clone(),
            Some(bias.clone()),
            options.clone()
        )
    );
}

#[test]
fn batch_norms_agree() {
    let device = Device::flex().autodiff();
    let x = random([3, 5, 9, 11], 81, &device) + 4.0;
    let x = x.detach();
    let (weight, bias) = (random([5], 82, &device), random([5], 83, &device));
    check!(
        "batch norm",
        [x, weight, bias],
        batch_norm_train(x.clone(), weight.clone(), bias.clone(), 0.1).0,
        module::batch_norm_train(x.clone(), weight.clone(), bias.clone(), 0.1).output
    );
    let (_, [mean, variance]) = batch_norm_train(x.clone(), weight.clone(), bias.clone(), 0.1);
    let expected = module::batch_norm_train(x, weight, bias, 0.1);
    assert_close(mean, expected.mean, "mean");
    assert_close(variance, expected.variance, "variance");
}

#[test]
fn group_norms_agree() {
    let device = Device::flex();
    let x = random([3, 12, 9, 11], 84, &device) + 4.0;
    let scales = [random([12], 85, &device), random([12], 86, &device)];
    for groups in [1, 4, 12] {
        for activation in [None, Some(Activation::Relu)] {
            let held = x.clone();
            let found = group_norm(x.clone(), groups, scales.clone(), 0.1, activation);
            let rows = x.clone().reshape([3, groups, 12 / groups * 99]);
            let mean = |x: Tensor<3>| x.mean_dim(2).mean_dim(0);
            let centred = rows.clone() - mean(rows);
            let deviation = (mean(centred.clone().square()) + 0.1).sqrt();
            let normed = (centred / deviation).reshape([3, 12, 9, 11]);
            let [weight, bias] = scales.clone().map(|values| values.reshape([1, 12, 1, 1]));
            let plain = normed * weight + bias;
            let plain = match activation {
                Some(activation) => plain_activation(plain, activation),
                None => plain,
            };
            assert_close(found, plain, &format!("{groups}"));
            assert_eq!(values(held), values(x.clone()));
        }
    }
}

#[test]
fn what_follows_a_convolution_agrees() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let images = random([2, 12, 9, 14], 91, &device);
        let (factor, summand) = (random([12], 92, &device), random([12], 93, &device));
        let bias = random([12], 94, &device);
        for (side, stride, groups) in [(3, 1, 1), (1, 1, 1), (5, 1, 12), (3, 2, 1), (3, 1, 2)] {
            let weight = random([12, 12 / groups, side, side], 95, &device);
            for activation in [None, Some(Activation::Silu)] {
                let options = || options(side, stride, groups);
                let (images, weight) = (images.clone(), weight.clone());
                let bias = Some(bias.clone());
                let scales = [factor.clone(), summand.clone()];
                let found = conv2d_affine(
                    images.clone(),
                    weight.clone(),
                    bias.clone(),
                    options(),
                    scales.clone(),
                    activation,
                );
                let plain = module::conv2d(images, weight, bias, options());
                let [factor, summand] = scales.map(|values| values.reshape([1, 12, 1, 1]));
                let plain = plain * factor + summand;
                let plain = match activation {
                    Some(activation) => plain_activation(plain, activation),
                    None => plain,
                };
                assert_close(found, plain, &format!("{side} {stride} {groups}"));
            }
        }
    }
}

#[test]
fn convolutions_onto_a_shortcut_agree() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        // More pixels than a task has, and a last strip that is narrow.
        let images = random([2, 12, 15, 14], 96, &device);
        let scales = [random([7], 97, &device), random([7], 98, &device)];
        let shortcut = || random([2, 7, 15, 14], 99, &device);
        for side in [1, 3] {
            let weight = random([7, 12, side, side], 100, &device);
            let bias = Some(random([7], 101, &device));
            let plain = module::conv2d(
                images.clone(),
                weight.clone(),
                bias.clone(),
                options(side, 1, 1),
            );
            let [scale, summand] = scales.clone().map(|values| values.reshape([1, 7, 1, 1]));
            let plain = plain_activation(plain * scale + summand + shortcut(), Activation::Relu);
            let held = shortcut();
            let before = values(held.clone());
            // A shortcut of more images, of which the others stay.
            let longer = random([5, 7, 15, 14], 102, &device);
            let [first, last] = [0..2, 4..5].map(|part| longer.clone().slice([part]));
            let longer = || Tensor::cat(vec![first.clone(), shortcut(), last.clone()], 0);
            let among = Tensor::cat(vec![first.clone(), plain.clone(), last.clone()], 0);
            for (shortcut, plain, case) in [
                ((shortcut(), 0), &plain, "own"),
                ((held.clone(), 0), &plain, "held"),
                ((longer(), 2), &among, "longer"),
            ] {
                let found = conv2d_affine_onto(
                    shortcut,
                    images.clone(),
                    weight.clone(),
                    bias.clone(),
                    options(side, 1, 1),
                    scales.clone(),
                    Activation::Relu,
                );
                assert_close(found, plain.clone(), &format!("{side} {case}"));
            }
            assert_eq!(values(held), before);
        }
    }
}

#[test]
fn spread_positions_agree() {
    let device = Device::flex().autodiff();
    for size in [1, 2, 5] {
        let (reach, area) = (2 * size - 1, size * size);
        let table = random([reach * reach, 3], 90, &device);
        let pairs = TensorData::new(relative_position_index(size), [area * area]);
        let pairs = Tensor::<1, Int>::from_data(pairs, &device);
        check!(
            "positions",
            [table],
            expand_position_bias(table.clone(), size),
            table
                .clone()
                .select(0, pairs)
                .reshape([area, area, 3])
                .permute([2, 0, 1])
        );
    }
}

#[test]
fn masks_of_windows_agree() {
    let device = Device::flex();
    // A bias whose axes were exchanged has no values in one piece.
    let bias = random([7, 3, 7], 74, &device).swap_dims(0, 1);
    let mask = random([4, 7, 7], 75, &device);
    let expected = bias.clone().unsqueeze::<4>() + mask.clone().unsqueeze_dim(1);
    let sums = add_window_mask(bias.clone(), mask.clone());
    assert_eq!(values(sums), values(expected.clone()));
    let recorded = bias.to_device(&device.autodiff());
    let sums = add_window_mask(recorded, mask.to_device(&Device::flex().autodiff()));
    assert_eq!(values(sums), values(expected));
}

#[test]
fn profiles_count_what_products_cost() {
    let device = Device::flex();
    let (x, weight) = (random([5, 8], 76, &device), random([3, 8], 77, &device));
    let (image, kernel) = (
        random([2, 4, 9, 7], 78, &device),
        random([6, 4, 3, 3], 79, &device),
    );
    let by_two = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    profile::start();
    linear(x, weight, None, None);
    conv2d(image, kernel, None, by_two);
    let found = profile::finish();
    let flops = |name| {
        found
            .iter()
            .find(|time| time.operation == name)
            .unwrap()
            .flops
    };
    // Other tests may be at work meanwhile, on sizes of their own.
    assert!(flops("linear") >= 2.0 * 5.0 * 8.0 * 3.0);
    assert!(flops("other convolution") >= 2.0 * (2 * 5 * 4 * 6 * 4 * 9) as f64);
}

#[test]
fn rolls_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 6, 5, 3], 73, &device);
    let turn = |x: Tensor<4>, axis: usize, by: usize| {
        let size = x.dims()[axis];
        let end = x.clone().narrow(axis, size - by, by);
        Tensor::cat(vec![end, x.narrow(axis, 0, size - by)], axis)
    };
    let rolled = |by| roll(x.clone(), by);
    assert_close(rolled([6, 10]), x.clone(), "all around");
    assert_close(rolled([7, 0]), turn(x.clone(), 1, 1), "down");
    assert_close(rolled([0, 4]), turn(x.clone(), 2, 4), "right");
    check!(
        "roll",
        [x],
        roll(x.clone(), [2, 3]),
        turn(turn(x.clone(), 1, 2), 2, 3)
    );
}

#[test]
fn lengths_agree() {
    let device = Device::flex().autodiff();
    let x = random([3, 41, 60], 74, &device);
    let lengths = random([2], 75, &device);
    check!(
        "lengths",
        [x, lengths],
        l2_normalize(x.clone(), lengths.clone(), 20),
        {
            let part = x.clone().narrow(2, 0, 40).reshape([3, 41, 2, 20]);
            let own = part.clone().square().sum_dim(3).sqrt();
            let part = part / own * lengths.clone().reshape([1, 1, 2, 1]);
            Tensor::cat(
                vec![part.reshape([3, 41, 40]), x.clone().narrow(2, 40, 20)],
                2,
            )
        }
    );
}

#[test]
fn gates_of_channels_agree() {
    let device = Device::flex().autodiff();
    let x = random([2, 5, 9, 11], 76, &device);
    let factors = random([2, 5, 1, 1], 77, &device);
    check!(
        "scaled planes",
        [x, factors],
        scale_channels(x.clone(), factors.clone()),
        x.clone() * factors.clone()
    );
    check!(
        "means",
        [x],
        global_avg_pool(x.clone()),
        x.clone().mean_dim(3).mean_dim(2)
    );
}

/// Every operation once, forward and backward: all values and gradients.
fn everything() -> Vec<f32> {
    let device = Device::flex().autodiff();
    let images = random([2, 24, 40, 31], 40, &device).require_grad();
    let three = random([48, 24, 3, 3], 41, &device).require_grad();
    let each = random([48, 1, 7, 7], 42, &device).require_grad();
    let one = random([64, 48, 1, 1], 43, &device).require_grad();
    let square = random([96, 64], 44, &device).require_grad();
    let weight = random([64], 45, &device).require_grad();
    let x = conv2d_before_norm(images.clone(), three.clone(), None, options(3, 1, 1));
    let x = conv2d(
        x.clone() + conv2d(images.clone(), three.clone(), None, options(3, 1, 1)),
        each.clone(),
        None,
        options(7, 1, 48),
    );
    let x = conv2d(x, one.clone(), None, options(1, 1, 1)) * 1e-3;
    let x = x.reshape([2, 64, 1240]).swap_dims(1, 2);
    let x = layer_norm(x, weight.clone(), None, 1e-6);
    let x = linear(x, square.clone(), None, Some(Activation::Gelu));
    let parts = [0, 1, 2].map(|part| {
        let heads = x.clone().narrow(2, part * 32, 32).reshape([2, 1240, 4, 8]);
        heads.swap_dims(1, 2)
    });
    let [query, key, value] = parts;
    let y = attention(query, key, value, None, 0.1);
    // Fewer rows than outputs, and few groups.
    let wide = random([300, 96], 46, &device).require_grad();
    let few = linear(
        x.narrow(1, 3, 20),
        wide.clone(),
        None,
        Some(Activation::Silu),
    );
    let mut all = [values(y.clone()), values(few.clone())].concat();
    let gradients = (weighted(y) + weighted(few)).backward();
    all.extend(values(wide.grad(&gradients).unwrap()));
    all.extend(values(images.grad(&gradients).unwrap()));
    for weights in [three, each, one] {
        all.extend(values(weights.grad(&gradients).unwrap()));
    }
    all.extend(values(square.grad(&gradients).unwrap()));
    all.extend(values(weight.grad(&gradients).unwrap()));
    all
}

/// What passes over memory once, forward and backward: all values and gradients. Every sum runs over
/// more than one task.
fn every_pass() -> Vec<f32> {
    let device = Device::flex().autodiff();
    let maps = random([3, 16, 46, 38], 50, &device).require_grad();
    let per_channel = |seed| random([16], seed, &device).require_grad();
    let per_feature = |seed| random([32], seed, &device).require_grad();
    let one = |seed| random([1], seed, &device).require_grad();
    let table = random([81, 2], 51, &device).require_grad();
    let (scale, shift) = (per_channel(52), per_channel(53));
    let (grad, start) = (one(54), one(55));
    let (weight, bias) = (per_feature(56), per_feature(57));
    let lengths = random([2], 58, &device).require_grad();
    let (x, _) = batch_norm_train(maps.clone(), scale.clone(), shift.clone(), 1e-5);
    let x = x.clone() * global_avg_pool(x);
    let x = upsample2x_concat(x, Some(random([3, 16, 92, 76], 59, &device)));
    let x = grn(x.permute([0, 2, 3, 1]), weight.clone(), bias.clone());
    let x = add_scaled(x.clone(), roll(x, [5, 9]), weight.clone());
    let x = star_relu(x, grad.clone(), start.clone());
    let x = glu(x.reshape([3, 6992, 32]), Activation::Silu, GateHalf::First);
    let x = l2_normalize(x, lengths.clone(), 8);
    let positions = expand_position_bias(table.clone(), 5);
    let mut all = [values(x.clone()), values(positions.clone())].concat();
    let gradients = (weighted(x) + weighted(positions)).backward();
    all.extend(values(maps.grad(&gradients).unwrap()));
    all.extend(values(table.grad(&gradients).unwrap()));
    for weights in [scale, shift, grad, start, weight, bias, lengths] {
        all.extend(values(weights.grad(&gradients).unwrap()));
    }
    all
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    for work in [everything, every_pass] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(work)
        };
        let alone = on(1);
        assert!(alone.iter().all(|value| value.is_finite()));
        for threads in [2, 3, 7, 64] {
            assert!(on(threads) == alone, "{threads} threads");
        }
    }
}

/// A 3 × 3 convolution by Winograd's transforms, where they pay.
fn winograd(images: &Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>) -> Tensor<4> {
    let (images, weight) = (images.clone(), weight.clone());
    conv2d_before_norm(images, weight, Some(bias.clone()), options(3, 1, 1))
}

#[test]
fn winograd_s_convolutions_agree() {
    let device = Device::flex();
    for [batch, inputs, outputs, height, width] in [
        [1, 16, 16, 1, 1],
        [2, 17, 33, 7, 9],
        [1, 16, 20, 3, 201],
        [3, 24, 40, 35, 30],
        [1, 40, 70, 130, 50],
    ] {
        let images = random([batch, inputs, height, width], 80, &device);
        let weight = random([outputs, inputs, 3, 3], 81, &device);
        let bias = random([outputs], 82, &device);
        let what = format!("{batch} of {inputs} × {height} × {width}");
        let (plain, kernel) = (images.clone(), weight.clone());
        let expected = module::conv2d(plain, kernel, Some(bias.clone()), options(3, 1, 1));
        let found = winograd(&images, &weight, &bias);
        assert_close(found.clone(), expected, &what);
        // Nothing depends on the threads, nor on the other images.
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let again = pool
                .build()
                .unwrap()
                .install(|| winograd(&images, &weight, &bias));
            assert!(
                values(again) == values(found.clone()),
                "{what}: {threads} threads"
            );
        }
        let last = batch - 1;
        let alone = winograd(&images.narrow(0, last, 1), &weight, &bias);
        assert!(
            values(alone) == values(found.narrow(0, last, 1)),
            "{what}: alone"
        );
    }
}

/// Images of few tiles, whose groups go on from image to image, and of many.
#[test]
fn winograd_s_gradients_agree() {
    let device = Device::flex().autodiff();
    for [batch, inputs, outputs, height, width] in
        [[26, 17, 33, 7, 9], [25, 20, 16, 8, 8], [5, 24, 40, 35, 30]]
    {
        let images = random([batch, inputs, height, width], 85, &device);
        let weight = random([outputs, inputs, 3, 3], 86, &device);
        let bias = random([outputs], 87, &device);
        check!(
            &format!("{batch} of {inputs} × {height} × {width}"),
            [images, weight, bias],
            winograd(&images, &weight, &bias),
            module::conv2d(
                images.clone(),
                weight.clone(),
                Some(bias.clone()),
                options(3, 1, 1)
            )
        );
    }
}

/// A convolution's value in f64.
fn exact(
    images: &[f32],
    weight: &[f32],
    inputs: usize,
    side: usize,
    [output, y, x]: [usize; 3],
) -> f64 {
    let mut sum = 0.0;
    for input in 0..inputs {
        for (tap, &weight) in weight[(output * inputs + input) * 9..][..9]
            .iter()
            .enumerate()
        {
            let (row, column) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
            if row < side && column < side {
                let pixel = images[(input * side + row) * side + column];
                sum += f64::from(weight) * f64::from(pixel);
            }
        }
    }
    sum
}

#[test]
fn winograd_rounds_little_more_than_the_direct_convolution() {
    let (inputs, outputs, side) = (128, 32, 24);
    let device = Device::flex();
    let images = random([1, inputs, side, side], 83, &device);
    let weight = random([outputs, inputs, 3, 3], 84, &device);
    let zeros = Tensor::zeros([outputs], &device);
    let direct = conv2d(images.clone(), weight.clone(), None, options(3, 1, 1));
    let ways = [winograd(&images, &weight, &zeros), direct].map(values);
    let (images, weight) = (values(images), values(weight));
    let errors = ways.map(|found| {
        let (mut worst, mut squares) = (0.0_f64, 0.0);
        for (index, found) in found.iter().enumerate() {
            let place = [index / (side * side), index / side % side, index % side];
            let exact = exact(&images, &weight, inputs, side, place);
            worst = worst.max((f64::from(*found) - exact).abs());
            squares += exact * exact;
        }
        worst / (squares / found.len() as f64).sqrt()
    });
    let [winograd, direct] = errors;
    assert!(winograd != direct, "both took the same way");
    assert!(winograd < 1e-5, "{winograd:e}");
    assert!(winograd < 3.0 * direct, "{winograd:e}, direct {direct:e}");
}
