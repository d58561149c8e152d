//! Three steps of fine-tuning against PyTorch's, which oracles/fine_tuning_reference.py made:
//! learning rates that fall from layer to layer, frozen tensors and norms, clipping, AdamW.

#[path = "../../model/tests/seeded/mod.rs"]
mod seeded;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module as _, Param};
use burn::tensor::{Device, Tensor, TensorData};
use inkling_model::weights::{NamedVisitor, visit_named};
use inkling_model::{EncoderConfig, MaxVitShape, ModelSettings, Network, Recompute, load_weights};
use serde::Deserialize;

use crate::OptimizerSettings;
use crate::freeze::{Freeze, freeze};
use crate::optimizer::{NamedGradients, Optimizer};

const BATCH: usize = 4;
/// Of a change's own root mean square.
const TOLERANCE: f64 = 5e-3;
/// Changes this much fainter than most are of rounding errors (a bias before a softmax).
const FAINT: f64 = 1e-2;

#[derive(Deserialize)]
struct Reference {
    case: Case,
    optimizer: OptimizerSettings,
    freeze: Vec<Freeze>,
    losses: Vec<f64>,
    norms: Vec<f64>,
    /// Root mean square and some values of what became of each tensor, minus what it was.
    changes: BTreeMap<String, (f64, Vec<f64>)>,
}

#[derive(Deserialize)]
struct Case {
    encoder: String,
    image: usize,
    depth: usize,
    window: usize,
    decoder: Vec<usize>,
}

impl Case {
    fn settings(&self) -> ModelSettings {
        let config = EncoderConfig::named(&self.encoder, self.window, self.image).unwrap();
        let EncoderConfig::MaxVit(config) = config else {
            panic!("{} is no MaxViT", self.encoder);
        };
        ModelSettings {
            encoder: self.encoder.clone(),
            image_size: self.image,
            depth: self.depth,
            window: self.window,
            decoder: self.decoder.clone(),
            maxvit: Some(MaxVitShape {
                position_dropout: 0.0,
                ..config.shape().clone()
            }),
            ..ModelSettings::default()
        }
    }
}

fn seeded<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = seeded::tensor(name, &[shape.iter().product()]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

struct Values(BTreeMap<String, Vec<f32>>);

impl NamedVisitor for Values {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let values = param.val().into_data().try_into_vec().unwrap();
        self.0.insert(name.to_owned(), values);
    }
}

fn values(network: &Network) -> BTreeMap<String, Vec<f32>> {
    let mut values = Values(BTreeMap::new());
    // Norms hold updates back until they are asked; the network without gradients has them.
    visit_named(&network.valid(), &mut values);
    values.0
}

/// The values of every tensor before and after the reference's steps.
fn fine_tune(reference: &Reference, recompute: Recompute) -> [BTreeMap<String, Vec<f32>>; 2] {
    let device = Device::flex().autodiff();
    let network = reference.case.settings().init(&device, 0).unwrap();
    let tensors = seeded::tensors(&network);
    let mut network = load_weights(network, Path::new("seeded weights"), tensors).unwrap();
    let first = values(&network);
    let mut optimizer = Optimizer::of(&network, &reference.optimizer);
    let Case { image, depth, .. } = reference.case;
    for (epoch, (loss, norm)) in (1..).zip(reference.losses.iter().zip(&reference.norms)) {
        network = freeze(network, &reference.freeze, epoch);
        let volume = seeded(
            &format!("input {epoch}"),
            [BATCH, depth, image, image],
            &device,
        );
        let target = seeded("target", [BATCH, image, image], &device);
        let mut gradients = NamedGradients::default();
        let passed = network.backpropagate(
            volume,
            recompute,
            None,
            |logits| (logits - target).square().mean(),
            |network, some| gradients.add(network, some),
        );
        let found = f64::from(passed.loss.into_scalar::<f32>());
        assert!(
            (found / loss - 1.0).abs() < 1e-4,
            "epoch {epoch}: loss {found}, not {loss}"
        );
        let found = gradients.norm();
        assert!(
            (found / norm - 1.0).abs() < 1e-4,
            "epoch {epoch}: norm {found}, not {norm}"
        );
        gradients.clip(found, reference.optimizer.clip_norm);
        network = optimizer.step(network, gradients, reference.optimizer.learning_rate);
    }
    [first, values(&network)]
}

/// Of those that are not 0.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn check(recompute: Recompute) {
    let text = include_str!("../tests/data/fine_tuning.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    let [first, last] = fine_tune(&reference, recompute);
    assert!(first.keys().eq(reference.changes.keys()));
    let floor = FAINT * median(reference.changes.values().map(|(rms, _)| *rms));
    let mut worst = (0.0, "");
    for (name, (rms, expected)) in &reference.changes {
        let changes: Vec<f64> = first[name]
            .iter()
            .zip(&last[name])
            .map(|(first, last)| f64::from(*last) - f64::from(*first))
            .collect();
        if *rms == 0.0 {
            assert!(
                changes.iter().all(|change| *change == 0.0),
                "{name} is frozen"
            );
            continue;
        }
        let scale = rms.max(floor);
        let places = (expected.len() - 1).max(1) as f64;
        for (index, expected) in expected.iter().enumerate() {
            let place = index as f64 * (changes.len() - 1) as f64 / places;
            let error = (changes[place.round_ties_even() as usize] - expected).abs() / scale;
            if error > worst.0 {
                worst = (error, name);
            }
        }
    }
    println!(
        "{recompute:?}: largest difference {:.1e} in {}",
        worst.0, worst.1
    );
    assert!(worst.0 < TOLERANCE, "{:.1e} in {}", worst.0, worst.1);
}

#[test]
fn frozen_tensors_layers_and_adamw_are_pytorchs() {
    check(Recompute::Nothing);
}

#[test]
fn nothing_changes_when_the_insides_of_blocks_are_computed_twice() {
    check(Recompute::Blocks);
}
