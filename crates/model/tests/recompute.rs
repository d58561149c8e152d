//! Gradients must not change when an encoder's insides are computed twice instead of kept.

mod seeded;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module as _, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use inkling_model::weights::{NamedMapper, NamedVisitor, map_named, visit_named};
use inkling_model::{
    Approach, Architecture, Conversion, DepthDecoder, HybridShape, I3dShape, InputNorm,
    ModelSettings, Network, Recompute, ResNet3dShape, TimeSformerShape, load_weights,
};

/// Devices draw from one generator per process.
static DRAWING: Mutex<()> = Mutex::new(());

fn settings(encoder: &str, image_size: usize) -> ModelSettings {
    let plain = encoder.starts_with("eva");
    let architecture = [Architecture::Unet, Architecture::UperNet][usize::from(plain)];
    ModelSettings {
        encoder: encoder.to_owned(),
        image_size,
        depth: 6,
        architecture,
        decoder: if plain { vec![16] } else { vec![16, 8, 8] },
        dropout: 0.0,
        ..ModelSettings::default()
    }
}

fn network(settings: &ModelSettings) -> Network {
    let network = settings.init(&Device::flex().autodiff(), 0).unwrap();
    let tensors = seeded::tensors(&network);
    load_weights(network, Path::new("seeded weights"), tensors).unwrap()
}

fn seeded<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let values = seeded::tensor(name, &[shape.iter().product()]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

type Named = BTreeMap<String, Vec<f32>>;

/// Loss, gradients by name, and the norms' statistics after a pass over a batch of two.
fn pass(network: &Network, image: usize, recompute: Recompute, seed: u64) -> (f32, Named, Named) {
    struct Taker<'a>(&'a Gradients, &'a mut Named);
    impl NamedVisitor for Taker<'_> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                let values = gradient.into_data().try_into_vec().unwrap();
                let twice = self.1.insert(name.to_owned(), values);
                assert!(twice.is_none(), "{name} in two portions");
            }
        }
    }
    struct Statistics(Named);
    impl NamedVisitor for Statistics {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            if name.contains("running_") {
                let values = param.val().into_data().try_into_vec().unwrap();
                self.0.insert(name.to_owned(), values);
            }
        }
    }
    let volume = seeded("input", [2, 6, image, image]);
    let target = seeded("target", [2, image, image]);
    let mut gradients = Named::new();
    let passed = network.backpropagate(
        volume,
        recompute,
        Some(seed),
        |logits| (logits - target).square().mean(),
        |network, some| visit_named(network, &mut Taker(some, &mut gradients)),
    );
    let mut statistics = Statistics(Named::new());
    visit_named(&network.valid(), &mut statistics);
    (passed.loss.into_scalar::<f32>(), gradients, statistics.0)
}

fn assert_equal(found: &Named, expected: &Named) {
    assert!(found.keys().eq(expected.keys()));
    // What stands before a norm, its bias or scale, has no gradient but rounding errors of others'.
    let largest = |values: &[f32], least| values.iter().fold(least, |a: f32, b| a.max(b.abs()));
    let loudest = expected.values().fold(0.0, |a, values| largest(values, a));
    for (name, expected) in expected {
        let largest = largest(expected, 1e-2 * loudest);
        for (found, expected) in found[name].iter().zip(expected) {
            let error = (found - expected).abs() / largest;
            assert!(
                error < 1e-4,
                "{name}: {found} instead of {expected}, the largest being {loudest}"
            );
        }
    }
}

fn check(encoder: &str, image: usize) {
    let mut settings = settings(encoder, image);
    if encoder.starts_with("maxvit") {
        let shape = serde_json::json!({
            "stem": [8, 8], "channels": [8, 16, 16, 24], "blocks": [1, 2, 3, 1],
            "head_width": 8, "position_hidden": 16, "position_dropout": 0.0,
        });
        settings.maxvit = Some(serde_json::from_value(shape).unwrap());
    }
    check_settings(settings);
}

fn check_settings(settings: ModelSettings) {
    let image = settings.image_size;
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let (loss, gradients, statistics) = pass(&network(&settings), image, Recompute::Nothing, 0);
    for recompute in [Recompute::Stages, Recompute::Blocks] {
        let found = pass(&network(&settings), image, recompute, 0);
        assert!((found.0 / loss - 1.0).abs() < 1e-6, "{} {loss}", found.0);
        assert_equal(&found.1, &gradients);
        assert_equal(&found.2, &statistics);
    }
}

#[test]
fn of_a_maxvit() {
    check("maxvit_rmlp_pico_rw_256", 64);
}

#[test]
fn of_a_convnext() {
    check("convnextv2_atto", 64);
}

#[test]
fn of_a_caformer() {
    check("caformer_s18", 64);
}

#[test]
fn of_a_resnet() {
    check("resnet18", 64);
}

#[test]
fn of_a_swin() {
    check("swinv2_tiny_window8_256", 64);
}

#[test]
fn of_an_eva() {
    check("eva02_tiny_patch14_224", 56);
}

fn check_over_volumes(approach: Approach, conversion: Option<Conversion>, encoder: &str) {
    check_settings(ModelSettings {
        approach,
        conversion,
        depth_window: Some(1),
        depth_strides: (approach == Approach::VolumeSwin).then(|| vec![3, 1, 2, 1]),
        ..settings(encoder, 64)
    });
}

#[test]
fn of_networks_over_volumes() {
    check_over_volumes(Approach::Volume, None, "resnet18");
    check_over_volumes(Approach::Volume, Some(Conversion::Acs), "convnextv2_atto");
    check_over_volumes(Approach::VolumeSwin, None, "swinv2_tiny_window8_256");
    check_over_volumes(Approach::PseudoVolumeSwin, None, "swinv2_tiny_window8_256");
}

#[test]
fn of_published_networks() {
    let settings = |approach, image_size| ModelSettings {
        approach,
        ..settings("resnet18", image_size)
    };
    check_settings(ModelSettings {
        hybrid: Some(HybridShape {
            stem: 2,
            features: vec![4, 8],
            blocks: vec![1, 2],
        }),
        ..settings(Approach::Hybrid, 32)
    });
    check_settings(ModelSettings {
        resnet3d: Some(ResNet3dShape {
            blocks: Some([1, 2, 1, 1]),
            width: 2,
            decoder: DepthDecoder::Volume,
            input_norm: InputNorm::Batch,
            ..ResNet3dShape::default()
        }),
        ..settings(Approach::ResNet3d, 64)
    });
    check_settings(ModelSettings {
        timesformer: Some(TimeSformerShape {
            dim: 24,
            depth: 2,
            heads: 3,
            head_size: 16,
            patch: 8,
        }),
        ..settings(Approach::TimeSformer, 32)
    });
    check_settings(ModelSettings {
        i3d: Some(I3dShape { narrow: 16 }),
        ..settings(Approach::I3d, 64)
    });
}

/// Below the first tensor that learns, nothing needs a gradient.
#[test]
fn of_a_network_of_which_only_the_end_learns() {
    struct Freezer(&'static str);
    impl NamedMapper for Freezer {
        fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let learns = !name.starts_with("encoder") || name.starts_with(self.0);
            param.set_require_grad(learns && !name.contains("running_"))
        }
    }
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    for learns in ["encoder.layer3.1", "nothing"] {
        let settings = settings("resnet18", 64);
        let made = || map_named(network(&settings), &mut Freezer(learns));
        let (_, expected, _) = pass(&made(), 64, Recompute::Nothing, 0);
        let (_, found, _) = pass(&made(), 64, Recompute::Blocks, 0);
        assert_equal(&found, &expected);
        let some = expected
            .keys()
            .any(|name| name.starts_with("encoder.layer3.1"));
        assert_eq!(some, learns != "nothing");
        assert!(!expected.contains_key("encoder.conv1.weight"));
    }
}

/// The gradient of a network that drops paths is that of the very paths which the loss was of:
/// it agrees with differences of losses of the same seed.
#[test]
fn paths_are_dropped_alike_both_times() {
    struct Mover<'a>(&'a Named, f32);
    impl NamedMapper for Mover<'_> {
        fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(direction) = self.0.get(name) else {
                return param;
            };
            let data = TensorData::new(direction.clone(), param.shape());
            let device = Device::flex();
            let step = Tensor::<D>::from_data(data, &device) * self.1;
            param.map(|own| Tensor::from_inner(own.inner() + step).require_grad())
        }
    }
    const NAME: &str = "encoder.stages_3.blocks.1.mlp.fc2.weight";
    let settings = ModelSettings {
        drop_path: 0.5,
        ..settings("convnextv2_atto", 64)
    };
    let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let (loss, gradients, _) = pass(&network(&settings), 64, Recompute::Blocks, 7);
    let direction = BTreeMap::from([(NAME.to_owned(), gradients[NAME].clone())]);
    let slope: f32 = direction[NAME].iter().map(|value| value * value).sum();
    // Short, for the loss is not straight, but long enough to show in f32.
    let step = 1e-5 * loss / slope;
    let moved = |by: f32| {
        let network = map_named(network(&settings), &mut Mover(&direction, by));
        f64::from(pass(&network, 64, Recompute::Blocks, 7).0)
    };
    let found = (moved(step) - moved(-step)) / f64::from(2.0 * step * slope);
    assert!((found - 1.0).abs() < 0.05, "{found}");
    let (other, _, _) = pass(&network(&settings), 64, Recompute::Blocks, 8);
    assert!(
        (other - loss).abs() > 1e-4 * loss,
        "another seed drops others"
    );
}
