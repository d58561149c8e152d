//! Every family and approach on burn's own processor backend, `ndarray`, which takes the path of all
//! devices but `flex`, or on the device that `INKLING_TEST_DEVICE` names.

mod chosen_device;
mod seeded;

use std::path::Path;

use burn::module::{Module as _, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use chosen_device::chosen_device;
use inkling_model::weights::{NamedVisitor, visit_named};
use inkling_model::{
    Approach, Architecture, MaxVitShape, ModelSettings, Network, Recompute, load_weights,
};

/// Of the logits' spread.
const TOLERANCE: f32 = 1e-4;
const BATCH: usize = 2;

#[allow(
    deprecated,
    reason = "deprecated in favour of flex, from which it has to differ"
)]
fn other() -> Device {
    chosen_device(Device::ndarray())
}

fn settings(encoder: &str, image_size: usize, architecture: Architecture) -> ModelSettings {
    ModelSettings {
        encoder: encoder.to_owned(),
        image_size,
        depth: 6,
        architecture,
        decoder: match architecture {
            Architecture::Unet => vec![16, 8, 8],
            Architecture::UperNet => vec![8],
        },
        dropout: 0.0,
        maxvit: encoder.starts_with("maxvit").then_some(MaxVitShape {
            stem: [8, 8],
            channels: [8, 16, 16, 32],
            blocks: [1; 4],
            head_width: 8,
            position_hidden: 16,
            position_dropout: 0.0,
            layer_scale: None,
        }),
        ..ModelSettings::default()
    }
}

fn network(settings: &ModelSettings, device: &Device) -> Network {
    let network = settings.init(device, 0).unwrap();
    let tensors = seeded::tensors(&network);
    load_weights(network, Path::new("seeded weights"), tensors).unwrap()
}

fn seeded<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = seeded::tensor(name, &[shape.iter().product()]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn logits(settings: &ModelSettings, device: &Device) -> Vec<f32> {
    let side = settings.image_size;
    let volume = seeded("input", [BATCH, settings.depth, side, side], device);
    let logits = network(settings, device).forward(volume);
    logits.into_data().try_to_vec().unwrap()
}

/// The loss of one training step, and the gradients' norm.
fn step(settings: &ModelSettings, device: &Device) -> [f64; 2] {
    struct Squares<'a>(&'a Gradients, f64);
    impl NamedVisitor for Squares<'_> {
        fn visit<const D: usize>(&mut self, _: &str, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1 += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }
    let device = device.clone().autodiff();
    let side = settings.image_size;
    let volume = seeded("input", [BATCH, settings.depth, side, side], &device);
    let target = seeded("target", [BATCH, side, side], &device);
    let mut squares = 0.0;
    let passed = network(settings, &device).train().backpropagate(
        volume,
        Recompute::Nothing,
        None,
        |logits| (logits - target).square().mean(),
        |network, gradients| {
            let mut own = Squares(gradients, 0.0);
            visit_named(network, &mut own);
            squares += own.1;
        },
    );
    [f64::from(passed.loss.into_scalar::<f32>()), squares.sqrt()]
}

fn check(settings: &ModelSettings) {
    let (expected, found) = (
        logits(settings, &Device::flex()),
        logits(settings, &other()),
    );
    assert_eq!(found.len(), expected.len());
    let most = expected.iter().copied().fold(f32::MIN, f32::max);
    let least = expected.iter().copied().fold(f32::MAX, f32::min);
    assert!(most > least, "flat logits tell nothing");
    let pairs = found.iter().zip(&expected);
    let worst = pairs.map(|(found, expected)| (found - expected).abs());
    let worst = worst.fold(0.0, f32::max) / (most - least);
    assert!(
        worst < TOLERANCE,
        "{}: {worst} of the spread",
        settings.encoder
    );

    // burn's ndarray knows no way back through a bilinear resizing, of which an UperNet is made.
    if settings.architecture == Architecture::UperNet {
        return;
    }
    let (expected, found) = (step(settings, &Device::flex()), step(settings, &other()));
    for (found, expected) in found.into_iter().zip(expected) {
        let ratio = found / expected;
        assert!((ratio - 1.0).abs() < 1e-3, "{}: {ratio}", settings.encoder);
    }
}

/// Both approaches; windows and layers are the encoder's channels in turn.
fn check_approaches(encoder: &str, image_size: usize, architecture: Architecture) {
    for approach in [Approach::Aggregate, Approach::Channels] {
        check(&ModelSettings {
            approach,
            ..settings(encoder, image_size, architecture)
        });
    }
}

#[test]
fn maxvit() {
    check_approaches("maxvit_rmlp_pico_rw_256", 64, Architecture::Unet);
}

#[test]
fn convnext() {
    check_approaches("convnextv2_atto", 64, Architecture::Unet);
    check_approaches("convnextv2_atto", 64, Architecture::UperNet);
}

#[test]
fn metaformer() {
    check_approaches("caformer_s18", 32, Architecture::Unet);
}

#[test]
fn resnet() {
    check_approaches("resnet18", 64, Architecture::Unet);
    check_approaches("resnet18", 64, Architecture::UperNet);
}

#[test]
fn swin() {
    check_approaches("swinv2_tiny_window8_256", 64, Architecture::Unet);
}

#[test]
fn eva() {
    check_approaches("eva02_tiny_patch14_224", 56, Architecture::UperNet);
}
