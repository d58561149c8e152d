//! Linear layers of whole numbers of 8 bits. Where all factors are such numbers already, nothing is rounded;
//! else rounding goes to the nearest, by a scale for each row and each output.

use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::{MulPrecision, linear};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `[rows, columns]`.
#[derive(Clone)]
struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

impl Matrix {
    fn random(rows: usize, columns: usize, mut value: impl FnMut(&mut ChaCha8Rng) -> f32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64((rows * 7919 + columns) as u64);
        Self {
            values: (0..rows * columns).map(|_| value(&mut random)).collect(),
            columns,
        }
    }

    fn tensor(&self, device: &Device) -> Tensor<2> {
        let shape = [self.values.len() / self.columns, self.columns];
        Tensor::from_data(TensorData::new(self.values.clone(), shape), device)
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns)
    }

    /// Each row's numbers times its scale, as the method is defined.
    fn rounded(&self) -> Vec<Vec<f64>> {
        let round = |row: &[f32]| {
            let most = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let scale = most / 127.0;
            let number = |&x: &f32| match scale > 0.0 {
                true => f64::from((x * (1.0 / scale)).round_ties_even()),
                false => 0.0,
            };
            row.iter().map(|x| number(x) * f64::from(scale)).collect()
        };
        self.rows().map(round).collect()
    }
}

fn run(precision: MulPrecision, rows: &Matrix, weight: &Matrix, bias: Option<&[f32]>) -> Vec<f32> {
    let device = Device::flex();
    let bias = bias.map(|bias| Tensor::from_data(TensorData::from(bias), &device));
    let output =
        precision.within(|| linear(rows.tensor(&device), weight.tensor(&device), bias, None));
    output.into_data().try_to_vec().unwrap()
}

/// Products of rounded factors in f64.
fn expected(rows: &Matrix, weight: &Matrix, bias: &[f32]) -> Vec<f64> {
    let (rows, weight) = (rows.rounded(), weight.rounded());
    let outputs = rows.iter().flat_map(|row| {
        weight.iter().zip(bias).map(|(column, &bias)| {
            let products = row.iter().zip(column).map(|(x, w)| x * w);
            products.sum::<f64>() + f64::from(bias)
        })
    });
    outputs.collect()
}

/// The largest difference by the spread of what is expected.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares: f64 = expected.iter().map(|x| x * x).sum();
    let spread = (squares / expected.len() as f64).sqrt();
    let pairs = found.iter().zip(expected);
    let differences = pairs.map(|(&a, b)| (f64::from(a) - b).abs() / spread);
    differences.fold(0.0, f64::max)
}

/// Fewer rows than outputs and more, sums of every remainder of four and longer than a panel of the cache.
const SIZES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [3, 2, 50],
    [70, 3, 9],
    [70, 4, 50],
    [5, 33, 200],
    [400, 65, 97],
    [7, 2500, 64],
    [90, 1100, 48],
];

#[test]
fn factors_are_rounded_to_the_nearest_by_row_and_by_output() {
    for [count, inputs, outputs] in SIZES {
        let rows = Matrix::random(count, inputs, |random| random.random_range(-3.0..3.0));
        let weight = Matrix::random(outputs, inputs, |random| random.random_range(-0.2..0.2));
        let bias: Vec<f32> = (0..outputs).map(|output| output as f32 * 0.01).collect();
        let found = run(MulPrecision::Int8, &rows, &weight, Some(&bias));
        let error = error(&found, &expected(&rows, &weight, &bias));
        assert!(error < 2e-6, "{count} × {inputs} × {outputs}: {error:e}");
    }
}

#[test]
fn nothing_is_lost_where_nothing_is_rounded() {
    let [count, inputs, outputs] = [60, 300, 70];
    // The largest number stands in each row, so that its scale is a power of two.
    let mut whole = |random: &mut ChaCha8Rng| f32::from(random.random_range(-127_i8..=127)) / 64.0;
    let mut rows = Matrix::random(count, inputs, &mut whole);
    let mut weight = Matrix::random(outputs, inputs, &mut whole);
    for matrix in [&mut rows, &mut weight] {
        for row in matrix.values.chunks_exact_mut(inputs) {
            row[inputs / 2] = -127.0 / 64.0;
        }
    }
    let [found, exact] = [MulPrecision::Int8, MulPrecision::F32]
        .map(|precision| run(precision, &rows, &weight, None));
    let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
    let error = error(&found, &exact);
    assert!(error < 1e-6, "{error:e}");
}

#[test]
fn what_is_not_finite_stays_so_and_zeros_are_zeros() {
    for count in [4, 90] {
        let mut rows = Matrix::random(count, 40, |random| random.random_range(-1.0..1.0));
        let mut weight = Matrix::random(30, 40, |random| random.random_range(-1.0..1.0));
        rows.values[40 + 3] = f32::NAN;
        rows.values[2 * 40 + 5] = f32::INFINITY;
        rows.values[3 * 40..4 * 40].fill(0.0);
        weight.values[7 * 40] = f32::NEG_INFINITY;
        weight.values[8 * 40..9 * 40].fill(1e-42);
        let bias = [0.5; 30];
        let found = run(MulPrecision::Int8, &rows, &weight, Some(&bias));
        for (row, found) in found.chunks_exact(30).enumerate() {
            for (output, &found) in found.iter().enumerate() {
                match (row, output) {
                    (1 | 2, _) | (_, 7) => assert!(found.is_nan(), "{row}, {output}: {found}"),
                    (3, _) | (_, 8) => assert_eq!(found, 0.5, "{row}, {output}"),
                    _ => assert!(found.is_finite(), "{row}, {output}: {found}"),
                }
            }
        }
    }
}

#[test]
fn products_whose_gradients_are_recorded_are_not_rounded_to_eight_bits() {
    let device = Device::flex().autodiff();
    let (rows, weight) = (
        Matrix::random(20, 30, |random| random.random_range(-1.0..1.0)),
        Matrix::random(10, 30, |random| random.random_range(-1.0..1.0)),
    );
    let recorded = |precision: MulPrecision| {
        let output =
            precision.within(|| linear(rows.tensor(&device), weight.tensor(&device), None, None));
        let values: Vec<f32> = output.into_data().try_to_vec().unwrap();
        values
    };
    let beside = match MulPrecision::Bf16.is_native() {
        true => MulPrecision::Bf16,
        false => MulPrecision::F32,
    };
    assert_eq!(recorded(MulPrecision::Int8), recorded(beside));
    assert_ne!(
        run(MulPrecision::Int8, &rows, &weight, None),
        recorded(beside)
    );
}
