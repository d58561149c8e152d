//! Every generation of vector instructions that this machine has gives the same to rounding.

use std::process::Command;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::{
    Activation, MulPrecision, SIMD_VARIABLE, SimdLevel, attention, conv2d, layer_norm, linear,
    simd_level,
};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PREFIX: &str = "values:";

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn keeping(side: usize, groups: usize) -> ConvOptions<2> {
    ConvOptions::new([1, 1], [side / 2; 2], [1, 1], groups)
}

/// Some of the results of all kinds of kernels.
fn results() -> Vec<f32> {
    let images = random([2, 20, 13, 22], 1);
    let outputs = [
        conv2d(
            images.clone(),
            random([18, 20, 3, 3], 2),
            None,
            keeping(3, 1),
        ),
        conv2d(
            images.clone(),
            random([3, 20, 3, 3], 3),
            None,
            keeping(3, 1),
        ),
        conv2d(
            images.clone(),
            random([20, 1, 7, 7], 4),
            None,
            keeping(7, 20),
        ),
        conv2d(images, random([33, 20, 1, 1], 5), None, keeping(1, 1)),
    ];
    let mut all: Vec<Tensor<1>> = outputs.map(|x| x.flatten(0, 3)).into();
    let rows = random([70, 65], 6);
    let gelu = Some(Activation::Gelu);
    all.push(linear(rows.clone(), random([50, 65], 7), None, gelu).flatten(0, 1));
    // Twice: of fewer rows than outputs, and of more.
    for outputs in [50, 130] {
        let rounded = || linear(rows.clone(), random([outputs, 65], 12), None, None);
        all.push(MulPrecision::Int8.within(rounded).flatten(0, 1));
    }
    let rounded = || linear(rows.clone(), random([50, 65], 7), None, None);
    all.push(MulPrecision::Bf16.within(rounded).flatten(0, 1));
    for (outputs, inputs) in [(3, 20), (18, 20), (50, 70)] {
        let images = random([1, inputs, 13, 22], 13);
        let kernels = random([outputs, inputs, 3, 3], 14);
        let rounded = || conv2d(images, kernels, None, keeping(3, 1));
        all.push(MulPrecision::Bf16.within(rounded).flatten(0, 3));
    }
    all.push(layer_norm(rows, random([65], 8), None, 1e-6).flatten(0, 1));
    let part = |seed| random([2, 3, 40, 16], seed);
    all.push(attention(part(9), part(10), part(11), None, 0.3).flatten(0, 2));
    let values: Vec<f32> = Tensor::cat(all, 0).into_data().try_to_vec().unwrap();
    values.into_iter().step_by(7).collect()
}

/// Not a test of its own: what a process under another level prints.
#[test]
#[ignore = "run by the other test, in processes of its own"]
fn print() {
    let level = simd_level().unwrap_or_else(|error| panic!("{error}"));
    let values: Vec<String> = results().iter().map(|x| x.to_bits().to_string()).collect();
    println!("\n{PREFIX} {level:?} {}", values.join(" "));
}

/// The level and the results under a value of the variable, or what the process said.
fn under(value: &str) -> Result<(String, Vec<f32>), String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "print", "--nocapture"])
        .env(SIMD_VARIABLE, value)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let line = out.lines().find_map(|line| line.strip_prefix(PREFIX));
    let mut words = line.ok_or(out.clone() + &err)?.split_whitespace();
    let level = words.next().unwrap().to_owned();
    let values = words.map(|bits| f32::from_bits(bits.parse().unwrap()));
    Ok((level, values.collect()))
}

#[test]
fn every_level_gives_the_same_to_rounding() {
    let (_, expected) = under("scalar").unwrap();
    assert!(expected.len() > 1000);
    let best = under("").unwrap().0;
    for (name, level) in [
        ("avx2", SimdLevel::Avx2),
        ("avx512", SimdLevel::Avx512),
        ("amx", SimdLevel::Amx),
        ("neon", SimdLevel::Neon),
    ] {
        match under(name) {
            Ok((found, values)) => {
                assert_eq!(found, format!("{level:?}"));
                for (index, (found, expected)) in values.iter().zip(&expected).enumerate() {
                    let error = (found - expected).abs();
                    assert!(error < 1e-4, "{name}[{index}]: {found} is not {expected}");
                }
            }
            Err(said) => {
                assert_ne!(best, format!("{level:?}"));
                assert!(said.contains("this processor does not have"), "{said}");
            }
        }
    }
    let said = under("sse9").unwrap_err();
    assert!(
        said.contains("expected \"scalar\", \"avx2\", \"avx512\", \"amx\" or \"neon\""),
        "{said}"
    );
}
