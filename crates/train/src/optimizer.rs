use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use inkling_model::Network;
use inkling_model::weights::{NamedMapper, NamedVisitor, map_named, visit_named};

use crate::adamw::{AdamW, Moments};
use crate::sgd::Sgd;
use crate::{OptimizerKind, OptimizerSettings};

/// Gradients by PyTorch's name, flattened; what several backward passes add up in.
#[derive(Default)]
pub struct NamedGradients {
    pub(crate) by_name: BTreeMap<String, Tensor<1>>,
}

impl NamedGradients {
    /// Adds one backward pass's gradients of `network`'s parameters.
    pub fn add(&mut self, network: &Network, gradients: &Gradients) {
        struct Adder<'a>(&'a mut BTreeMap<String, Tensor<1>>, &'a Gradients);
        impl NamedVisitor for Adder<'_> {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
                let Some(gradient) = param.val().grad(self.1) else {
                    return;
                };
                let elements = gradient.shape().num_elements();
                let gradient = gradient.reshape([elements]);
                let sum = match self.0.remove(name) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                self.0.insert(name.to_owned(), sum);
            }
        }
        visit_named(network, &mut Adder(&mut self.by_name, gradients));
    }

    /// The Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> = self
            .by_name
            .values()
            .map(|gradient| gradient.clone().square().sum())
            .collect();
        if squares.is_empty() {
            return 0.0;
        }
        // One transfer from the device for all of them.
        let total = Tensor::cat(squares, 0).sum().into_scalar::<f32>();
        f64::from(total).sqrt()
    }

    /// Divides all gradients by `scale`, exact where it is a power of two.
    pub fn divide(&mut self, scale: f32) {
        if scale != 1.0 {
            for gradient in self.by_name.values_mut() {
                *gradient = gradient.clone() / scale;
            }
        }
    }

    /// Shortens the gradients to a total norm of `limit` where theirs, `norm`, is longer; a limit
    /// of 0 shortens nothing. `torch.nn.utils.clip_grad_norm_`.
    pub fn clip(&mut self, norm: f64, limit: f64) {
        if limit <= 0.0 {
            return;
        }
        // PyTorch's own 1e-6.
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            for gradient in self.by_name.values_mut() {
                *gradient = gradient.clone() * factor;
            }
        }
    }
}

/// What an optimiser remembers of a tensor, flattened.
#[derive(Clone)]
pub enum TensorState {
    /// AdamW's two moments.
    Moments(Box<Moments>),
    /// SGD's last direction.
    Momentum(Box<Tensor<1>>),
}

/// The rule of an optimiser.
enum Rule {
    AdamW(AdamW),
    Sgd(Sgd),
}

/// An optimiser over a whole network, its state kept by PyTorch's names so that it survives a
/// restart.
pub struct Optimizer {
    rule: Rule,
    states: BTreeMap<String, TensorState>,
    /// The share of the learning rate that each tensor moves at; 1 where there is none.
    shares: BTreeMap<String, f64>,
}

/// The share of the learning rate that each tensor of `network` moves at.
fn shares(network: &Network, layer_decay: f64) -> BTreeMap<String, f64> {
    if layer_decay == 1.0 {
        return BTreeMap::new();
    }
    let layers = network.layers();
    let last = layers.values().copied().max().unwrap_or_default();
    let share = |layer: usize| layer_decay.powi((last - layer) as i32);
    layers
        .into_iter()
        .map(|(name, layer)| (name, share(layer)))
        .collect()
}

impl Optimizer {
    /// An optimiser of `network` that has seen no gradient yet.
    pub fn of(network: &Network, settings: &OptimizerSettings) -> Self {
        Self {
            shares: shares(network, settings.layer_decay),
            ..Self::new(settings)
        }
    }

    /// An optimiser for which all tensors are alike.
    fn new(settings: &OptimizerSettings) -> Self {
        let rule = match settings.kind {
            OptimizerKind::AdamW => Rule::AdamW(AdamW {
                betas: settings.betas,
                epsilon: settings.epsilon,
                weight_decay: settings.weight_decay,
            }),
            OptimizerKind::Sgd => Rule::Sgd(Sgd {
                momentum: settings.momentum,
                nesterov: settings.nesterov,
                weight_decay: settings.weight_decay,
            }),
        };
        Self {
            rule,
            states: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }

    /// Moves every parameter that has a gradient.
    pub fn step(&mut self, network: Network, gradients: NamedGradients, rate: f64) -> Network {
        struct Stepper<'a> {
            optimizer: &'a mut Optimizer,
            gradients: BTreeMap<String, Tensor<1>>,
            rate: f64,
        }
        impl NamedMapper for Stepper<'_> {
            fn map<const D: usize>(
                &mut self,
                name: &str,
                param: Param<Tensor<D>>,
            ) -> Param<Tensor<D>> {
                let Some(gradient) = self.gradients.remove(name) else {
                    return param;
                };
                let share = self.optimizer.shares.get(name).copied().unwrap_or(1.0);
                let rate = self.rate * share;
                param.map(|tensor| self.optimizer.update(name, tensor, gradient, rate))
            }
        }
        let mut stepper = Stepper {
            optimizer: self,
            gradients: gradients.by_name,
            rate,
        };
        map_named(network, &mut stepper)
    }

    fn update<const D: usize>(
        &mut self,
        name: &str,
        tensor: Tensor<D>,
        gradient: Tensor<1>,
        rate: f64,
    ) -> Tensor<D> {
        let shape = tensor.shape();
        let flat = tensor.inner().reshape([shape.num_elements()]);
        let (flat, state) = match (&mut self.rule, self.states.remove(name)) {
            (Rule::AdamW(adamw), state) => {
                let moments = match state {
                    Some(TensorState::Moments(moments)) => Some(*moments),
                    _ => None,
                };
                let (flat, moments) = adamw.step(rate, flat, gradient, moments);
                (flat, TensorState::Moments(Box::new(moments)))
            }
            (Rule::Sgd(sgd), state) => {
                let momentum = match state {
                    Some(TensorState::Momentum(momentum)) => Some(*momentum),
                    _ => None,
                };
                let (flat, momentum) = sgd.step(rate, flat, gradient, momentum);
                (flat, TensorState::Momentum(Box::new(momentum)))
            }
        };
        self.states.insert(name.to_owned(), state);
        Tensor::from_inner(flat.reshape(shape)).require_grad()
    }

    /// What is remembered of each tensor, by name, for a checkpoint.
    pub fn states(&self) -> impl Iterator<Item = (&String, &TensorState)> {
        self.states.iter()
    }

    /// Puts back what was remembered of one tensor.
    pub fn restore(&mut self, name: String, state: TensorState) {
        self.states.insert(name, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_ema::ModelEma;
    use burn::tensor::Device;
    use serde_json::Value;

    /// Made by oracles/train_reference.py.
    fn reference() -> Value {
        serde_json::from_str(include_str!("../tests/data/optimizer.json")).unwrap()
    }

    fn numbers(values: &Value) -> Vec<f64> {
        serde_json::from_value(values.clone()).unwrap()
    }

    fn tensor(values: &Value) -> Tensor<1> {
        let values: Vec<f32> = numbers(values).iter().map(|&value| value as f32).collect();
        Tensor::from_floats(values.as_slice(), &Device::flex())
    }

    fn assert_near(found: &Tensor<1>, expected: &Value, tolerance: f64) {
        let found: Vec<f32> = found.to_data().try_to_vec().unwrap();
        for (found, expected) in found.into_iter().zip(numbers(expected)) {
            let off = (f64::from(found) - expected).abs() / expected.abs().max(1e-3);
            assert!(off < tolerance, "{found} {expected}");
        }
    }

    #[test]
    fn adamw_and_sgd_are_pytorchs_step_by_step() {
        let reference = reference();
        let cases = ["adamw", "sgd"].map(|kind| reference[kind].as_array().unwrap());
        for case in cases.into_iter().flatten() {
            let settings: OptimizerSettings =
                serde_json::from_value(case["settings"].clone()).unwrap();
            let mut optimizer = Optimizer::new(&settings);
            let device = Device::flex().autodiff();
            let mut parameter = Tensor::from_inner(tensor(&case["first"])).to_device(&device);
            for step in case["steps"].as_array().unwrap() {
                let gradient = tensor(&step["gradient"]);
                let rate = settings.learning_rate;
                parameter = optimizer.update("weight", parameter, gradient, rate);
                // Eight steps of f32 against f64; momentum carries weights across zero.
                let tolerance = match settings.kind {
                    OptimizerKind::AdamW => 3e-6,
                    OptimizerKind::Sgd => 5e-5,
                };
                assert_near(&parameter.clone().inner(), &step["parameter"], tolerance);
            }
        }
    }

    #[test]
    fn clipping_is_pytorchs() {
        let clip = &reference()["clip"];
        for case in clip["cases"].as_array().unwrap() {
            let mut gradients = NamedGradients::default();
            for (index, values) in clip["gradients"].as_array().unwrap().iter().enumerate() {
                gradients.by_name.insert(index.to_string(), tensor(values));
            }
            let norm = gradients.norm();
            assert!((norm - case["norm"].as_f64().unwrap()).abs() < 1e-6 * norm);
            gradients.clip(norm, case["limit"].as_f64().unwrap());
            for (index, expected) in case["clipped"].as_array().unwrap().iter().enumerate() {
                assert_near(&gradients.by_name[&index.to_string()], expected, 1e-6);
            }
        }
    }

    #[test]
    fn the_moving_average_is_pytorchs() {
        let reference = reference();
        let mut average = ModelEma::new(reference["average"]["decay"].as_f64().unwrap());
        for step in reference["average"]["steps"].as_array().unwrap() {
            average.update_tensor("weight", tensor(&step["weights"]));
            let (_, found) = average.tensors().next().unwrap();
            assert_near(found, &step["average"], 1e-6);
        }
    }
}
