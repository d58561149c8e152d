//! Times forward and backward of the operations that a training step of ConvNeXt V2 atto with its
//! U-Net is made of, on the processor: `cargo bench -p inkling-model --bench operations`. With
//! `-- --json` the figures come as one JSON object, for `oracles/bench_train.py`.

use std::time::Instant;

use burn::tensor::activation::{gelu, relu};
use burn::tensor::module::{batch_norm_train, conv2d, layer_norm, linear};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use serde_json::json;

/// Images: a batch of two patches of six windows each.
const IMAGES: usize = 12;
const ROUNDS: usize = 7;

/// An operation on [`IMAGES`] images of `side`² px, and how often a step has it.
struct Case {
    count: usize,
    side: usize,
    work: Work,
}

enum Work {
    /// Channels in and out, kernel, stride, groups.
    Convolution(usize, usize, usize, usize, usize),
    /// Features in and out.
    Linear(usize, usize),
    LayerNorm(usize),
    Gelu(usize),
    ResponseNorm(usize),
    /// Batch norm and ReLU over so many channels.
    NormAndRelu(usize),
}

fn cases() -> Vec<Case> {
    use Work::{Convolution, Gelu, LayerNorm, Linear, NormAndRelu, ResponseNorm};
    let case = |count, side, work| Case { count, side, work };
    let mut cases = vec![case(1, 128, Convolution(3, 40, 4, 4, 1))];
    for (side, width, blocks) in [(32, 40, 2), (16, 80, 2), (8, 160, 6), (4, 320, 2)] {
        if side < 32 {
            cases.push(case(1, 2 * side, Convolution(width / 2, width, 2, 2, 1)));
        }
        cases.extend([
            case(blocks, side, Convolution(width, width, 7, 1, width)),
            case(blocks, side, LayerNorm(width)),
            case(blocks, side, Linear(width, 4 * width)),
            case(blocks, side, Gelu(4 * width)),
            case(blocks, side, ResponseNorm(4 * width)),
            case(blocks, side, Linear(4 * width, width)),
        ]);
    }
    for (side, inputs, outputs) in [(8, 480, 256), (16, 336, 128), (32, 168, 64)] {
        cases.extend([
            case(1, side, Convolution(inputs, outputs, 3, 1, 1)),
            case(1, side, Convolution(outputs, outputs, 3, 1, 1)),
            case(2, side, NormAndRelu(outputs)),
        ]);
    }
    cases.push(case(1, 32, Convolution(64, 1, 3, 1, 1)));
    cases
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
}

impl Work {
    fn name(&self) -> String {
        match self {
            Self::Convolution(inputs, outputs, kernel, stride, groups) => {
                let kind = if groups > &1 { "depthwise " } else { "" };
                format!("{kind}convolution {kernel}×{kernel} /{stride} {inputs}→{outputs}")
            }
            Self::Linear(inputs, outputs) => format!("linear {inputs}→{outputs}"),
            Self::LayerNorm(width) => format!("layer norm {width}"),
            Self::Gelu(width) => format!("GELU {width}"),
            Self::ResponseNorm(width) => format!("response norm {width}"),
            Self::NormAndRelu(width) => format!("batch norm and ReLU {width}"),
        }
    }

    /// Its inputs and what it makes of them, made anew for each round.
    fn run(&self, side: usize, device: &Device) -> f64 {
        let image = |channels| random([IMAGES, channels, side, side], device);
        let last = |channels| random([IMAGES, side, side, channels], device);
        let row = |width| random([width], device);
        match *self {
            Self::Convolution(inputs, outputs, kernel, stride, groups) => {
                let (x, w) = (image(inputs), [outputs, inputs / groups, kernel, kernel]);
                let w = random(w, device);
                let padding = if stride == 1 { kernel / 2 } else { 0 };
                let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups);
                timed(|| conv2d(x, w, None, options))
            }
            Self::Linear(inputs, outputs) => {
                let (x, w) = (last(inputs), random([outputs, inputs], device));
                let bias = row(outputs);
                timed(|| linear(x, w.transpose(), Some(bias)))
            }
            Self::LayerNorm(width) => {
                let (x, w, bias) = (last(width), row(width), row(width));
                timed(|| layer_norm(x, w, Some(bias), 1e-6))
            }
            Self::Gelu(width) => {
                let x = last(width);
                timed(|| gelu(x))
            }
            Self::ResponseNorm(width) => {
                let (x, w) = (last(width), row(width));
                timed(|| {
                    let norm = x.clone().square().sum_dim(2).sum_dim(1).sqrt();
                    let share = norm.clone() / (norm.mean_dim(3) + 1e-6);
                    x.clone() + x * share * w.unsqueeze()
                })
            }
            Self::NormAndRelu(width) => {
                let (x, w, bias) = (image(width), row(width), row(width));
                timed(|| relu(batch_norm_train(x, w, bias, 1e-5).output))
            }
        }
    }
}

/// Milliseconds of `forward` and of the way back.
fn timed(forward: impl FnOnce() -> Tensor<4>) -> f64 {
    let began = Instant::now();
    let output = forward();
    let gradients = output.sum().backward();
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    drop(gradients);
    milliseconds
}

fn main() {
    let device = Device::flex().autodiff();
    let mut found = Vec::new();
    for Case { count, side, work } in cases() {
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| work.run(side, &device)).collect();
        rounds.sort_by(f64::total_cmp);
        found.push(json!({
            "name": format!("{} at {side}²", work.name()),
            "count": count,
            "ms": rounds[ROUNDS / 2],
        }));
    }
    if std::env::args().any(|word| word == "--json") {
        println!("{}", json!({ "operations": found }));
        return;
    }
    for case in found {
        let (name, ms) = (case["name"].as_str(), case["ms"].as_f64());
        println!(
            "{:>8.2} ms × {:<2} {}",
            ms.unwrap_or(0.0),
            case["count"],
            name.unwrap_or("")
        );
    }
}
