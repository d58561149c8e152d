use std::collections::BTreeMap;

use burn::module::Param;
use burn::optim::{AdamW, AdamWConfig, AdamWState, Optimizer as _};
use burn::tensor::{Gradients, Tensor};
use inkling_model::Network;
use inkling_model::weights::{NamedMapper, NamedVisitor, map_named, visit_named};
use serde::{Deserialize, Serialize};

/// AdamW's constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// Base learning rate, before the schedule's factor.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// The gradients' total norm is clipped here; 0 clips nothing.
    pub clip_norm: f64,
}

impl Default for OptimizerSettings {
    /// The write-up's.
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            weight_decay: 1e-6,
            epsilon: 1e-8,
            betas: [0.9, 0.999],
            clip_norm: 5.0,
        }
    }
}

/// Gradients by PyTorch's name, flattened; what several backward passes add up in.
#[derive(Default)]
pub struct NamedGradients {
    by_name: BTreeMap<String, Tensor<1>>,
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

/// AdamW over a whole network, its moments kept by PyTorch's names so that they survive a
/// restart.
pub struct Optimizer {
    adamw: AdamW,
    moments: BTreeMap<String, AdamWState<1>>,
}

impl Optimizer {
    /// An optimiser that has seen no gradient yet.
    pub fn new(settings: &OptimizerSettings) -> Self {
        let config = AdamWConfig::new()
            .with_beta_1(settings.betas[0] as f32)
            .with_beta_2(settings.betas[1] as f32)
            .with_epsilon(settings.epsilon as f32)
            .with_weight_decay(settings.weight_decay as f32);
        Self {
            adamw: config.build(),
            moments: BTreeMap::new(),
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
                match self.gradients.remove(name) {
                    Some(gradient) => {
                        param.map(|tensor| self.optimizer.update(name, tensor, gradient, self.rate))
                    }
                    None => param,
                }
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
        let (flat, moments) = self
            .adamw
            .step(rate, flat, gradient, self.moments.remove(name));
        if let Some(moments) = moments {
            self.moments.insert(name.to_owned(), moments);
        }
        Tensor::from_inner(flat.reshape(shape)).require_grad()
    }

    /// The moments by name, for a checkpoint.
    pub fn moments(&self) -> impl Iterator<Item = (&String, &AdamWState<1>)> {
        self.moments.iter()
    }

    /// Puts one parameter's moments back.
    pub fn restore(&mut self, name: String, moments: AdamWState<1>) {
        self.moments.insert(name, moments);
    }
}
