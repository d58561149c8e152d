//! Products of 16-bit numbers. Where all factors fit into 16 bits already, nothing is rounded, and
//! results are those of 32 bits but for the order of sums.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::{MulPrecision, attention, conv2d, linear};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Values in `[-3, 3]` that fit into 16 bits, the same for the same seed.
fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut number = || f32::from(random.random_range(-96i8..=96)) / 32.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| number()).collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The largest difference by the spread of what is expected.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares: f64 = expected.iter().map(|&x| f64::from(x).powi(2)).sum();
    let spread = (squares / expected.len() as f64).sqrt();
    let pairs = found.iter().zip(expected);
    let differences = pairs.map(|(a, b)| f64::from((a - b).abs()) / spread);
    differences.fold(0.0, f64::max)
}

/// Values of an operation and the gradients of its arguments.
fn run<const D: usize, const A: usize, const B: usize>(
    numbers: MulPrecision,
    left: &Tensor<A>,
    right: &Tensor<B>,
    operation: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<D>,
) -> [Vec<f32>; 3] {
    let output = numbers.within(|| operation(left.clone(), right.clone()));
    let weights = random(output.dims(), 99);
    // Gradients know by themselves what they multiply.
    let gradients = (output.clone() * weights).sum().backward();
    [
        values(output),
        values(left.grad(&gradients).unwrap()),
        values(right.grad(&gradients).unwrap()),
    ]
}

/// Checks an operation whose factors are its arguments and the output's gradient.
fn check<const D: usize, const A: usize, const B: usize>(
    what: &str,
    left: [usize; A],
    right: [usize; B],
    operation: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<D>,
) {
    let (left, right) = (random(left, 1), random(right, 2));
    let exact = run(MulPrecision::F32, &left, &right, &operation);
    let found = run(MulPrecision::Bf16, &left, &right, &operation);
    for (index, (found, exact)) in found.iter().zip(&exact).enumerate() {
        let error = error(found, exact);
        assert!(error < 1e-5, "{what}, {index}: {error:e}");
    }
}

#[test]
fn nothing_is_lost_where_nothing_is_rounded() {
    for depth in [1, 2, 33, 1100] {
        check("linear", [3, 70, depth], [50, depth], |x, weight| {
            linear(x, weight, None, None)
        });
    }
    let keeping = |side: usize| ConvOptions::new([1, 1], [side / 2; 2], [1, 1], 1);
    for channels in [1, 5, 24] {
        let images = [2, channels, 13, 17];
        check("3 × 3", images, [19, channels, 3, 3], |x, weight| {
            conv2d(x, weight, None, keeping(3))
        });
        check("1 × 1", images, [19, channels, 1, 1], |x, weight| {
            conv2d(x, weight, None, keeping(1))
        });
    }
}

#[test]
fn what_does_not_fit_is_rounded() {
    let (x, weight) = (random([40, 65], 3) * 0.37, random([30, 65], 4) * 0.37);
    let both = [MulPrecision::F32, MulPrecision::Bf16]
        .map(|numbers| values(numbers.within(|| linear(x.clone(), weight.clone(), None, None))));
    let error = error(&both[1], &both[0]);
    assert!((1e-4..1e-2).contains(&error), "{error:e}");
}

#[test]
fn attention_rounds_its_shares_only() {
    for groups in [2, 9] {
        let packed = random([groups, 3, 70, 3 * 16], 5);
        let both = [MulPrecision::F32, MulPrecision::Bf16].map(|numbers| {
            let part = |index: usize| packed.clone().narrow(3, 16 * index, 16);
            let output = numbers.within(|| attention(part(0), part(1), part(2), None, 0.1));
            let gradients = (output.clone() * random(output.dims(), 6)).sum().backward();
            [values(output), values(packed.grad(&gradients).unwrap())]
        });
        for (found, exact) in both[1].iter().zip(&both[0]) {
            let error = error(found, exact);
            assert!((1e-5..3e-2).contains(&error), "{groups}: {error:e}");
        }
    }
}
