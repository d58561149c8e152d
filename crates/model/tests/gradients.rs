//! Every parameter's gradient against PyTorch's (`oracles/gradient_reference.py`), one small
//! network per family, in training mode: to 1e-3 of the gradient's own root mean square. On
//! the device that `INKLING_TEST_DEVICE` names, or the processor.

mod case;
mod chosen_device;
mod seeded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use chosen_device::chosen_device;
use inkling_model::weights::{NamedVisitor, visit_named};
use inkling_model::{EncoderConfig, MaxVitShape, ModelSettings, Tensors, load_weights};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-3;
/// Gradients this much fainter than the network's are rounding errors around 0 (biases before
/// norms).
const FAINT: f64 = 1e-4;
const BATCH: usize = 4;

#[derive(Deserialize)]
struct Reference {
    case: serde_json::Value,
    /// Added to the bias of every batch norm.
    #[serde(default)]
    lift: f32,
    /// In place of [`FAINT`].
    faint: Option<f64>,
    /// The seed's name of an input at which no ReLU is within rounding of its kink.
    input: String,
    loss: f64,
    gradients: BTreeMap<String, (f64, Vec<f64>)>,
}

/// The settings of a case, nothing dropped.
fn settings(case: &serde_json::Value) -> ModelSettings {
    let settings = case::settings(case);
    let maxvit = match settings.encoder_config() {
        Ok(EncoderConfig::MaxVit(config)) => Some(MaxVitShape {
            position_dropout: 0.0,
            ..config.shape().clone()
        }),
        _ => None,
    };
    ModelSettings {
        dropout: 0.0,
        maxvit,
        ..settings
    }
}

fn seeded<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = seeded::tensor(name, &[shape.iter().product()]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The tensors with `lift` added to the bias of every batch norm.
fn lifted(mut tensors: Tensors, lift: f32) -> Tensors {
    let norms = tensors
        .names()
        .filter_map(|name| name.strip_suffix(".running_mean"));
    let biases: Vec<String> = norms.map(|norm| format!("{norm}.bias")).collect();
    for bias in biases {
        let shape = tensors.shape(&bias).unwrap().to_vec();
        let values = tensors.values(&bias).into_iter().map(|value| value + lift);
        let values = values.collect();
        tensors.insert(bias, shape, values);
    }
    tensors
}

/// Collects gradients by PyTorch's names.
struct Collector<'a> {
    gradients: &'a Gradients,
    found: BTreeMap<String, Vec<f32>>,
}

impl NamedVisitor for Collector<'_> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        if name.contains("running_") {
            return;
        }
        let gradient = param.val().grad(self.gradients);
        let values = gradient.map(|tensor| tensor.into_data().try_into_vec().unwrap());
        self.found
            .insert(name.to_owned(), values.unwrap_or_default());
    }
}

fn check(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/gradients")
        .join(format!("{name}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    let settings = settings(&reference.case);
    let device = chosen_device(Device::flex()).autodiff();
    let network = settings.init(&device, 0).unwrap();
    let tensors = lifted(seeded::tensors(&network), reference.lift);
    let network = load_weights(network, Path::new("seeded weights"), tensors).unwrap();
    let (size, depth) = (settings.image_size, settings.depth);
    let logits = network.forward(seeded(
        &reference.input,
        [BATCH, depth, size, size],
        &device,
    ));
    let target = seeded("target", [BATCH, size, size], &device);
    let loss = (logits - target).square().mean();
    let value = f64::from(loss.clone().into_scalar::<f32>());
    assert!((value / reference.loss - 1.0).abs() < 1e-4, "loss {value}");

    let gradients = loss.backward();
    let mut collector = Collector {
        gradients: &gradients,
        found: BTreeMap::new(),
    };
    visit_named(&network, &mut collector);
    compare(&reference, &collector.found);
}

fn compare(reference: &Reference, found: &BTreeMap<String, Vec<f32>>) {
    let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(found.keys().collect()),
        names(reference.gradients.keys().collect())
    );
    let loudest = reference.gradients.values().map(|(rms, _)| *rms);
    let floor = loudest.fold(0.0, f64::max) * reference.faint.unwrap_or(FAINT);
    let mut worst = (0.0, String::new());
    for (name, (rms, values)) in &reference.gradients {
        let gradient = &found[name];
        assert_eq!(values.is_empty(), gradient.is_empty(), "{name}");
        if values.is_empty() {
            continue;
        }
        let scale = rms.max(floor);
        let squares: f64 = gradient.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let own = (squares / gradient.len() as f64).sqrt();
        let mut error = (own - rms).abs() / scale;
        let last = (values.len() - 1).max(1) as f64;
        for (index, expected) in values.iter().enumerate() {
            let place = index as f64 * (gradient.len() - 1) as f64 / last;
            let value = f64::from(gradient[place.round_ties_even() as usize]);
            error = error.max((value - expected).abs() / scale);
        }
        if error > worst.0 {
            worst = (error, name.clone());
        }
    }
    println!("largest difference {:.1e} in {}", worst.0, worst.1);
    assert!(worst.0 < TOLERANCE, "{:.1e} in {}", worst.0, worst.1);
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

cases! {
    maxvit_pico
    maxvit_tiny_tf
    convnextv2_atto
    convnext_atto
    caformer_s18
    convformer_s18
    swinv2_tiny
    swinv2_tiny_3d
    swinv2_tiny_pseudo_3d
    resnet18
    eva02_tiny
    convnextv2_atto_3d
    convnextv2_atto_acs
    convnext_atto_2d
    convnext_atto_attention
    convnext_atto_max
    maxvit_pico_3d
    resnet18_3d
    hybrid
    resnet3d
    resnet3d_attention
    timesformer
    i3d
}
