use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;
use inkling_model::Network;
use inkling_model::weights::{NamedVisitor, visit_named};

use crate::replaced_tensors::with_tensors;

/// An exponential moving average of a network's parameters, as
/// `torch.optim.swa_utils.AveragedModel` keeps it with `get_ema_multi_avg_fn`: the first update
/// copies, every further one moves the average by `1 − decay` of the difference. Running
/// statistics are not averaged, being averages.
pub(crate) struct ModelEma {
    decay: f64,
    by_name: BTreeMap<String, Tensor<1>>,
}

impl ModelEma {
    /// An average of nothing yet; `decay` from 0 to 1 (excluded).
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            by_name: BTreeMap::new(),
        }
    }

    /// Takes in the network's parameters, after every optimiser step.
    pub fn update(&mut self, network: &Network) {
        struct Updater<'a>(&'a mut ModelEma);
        impl NamedVisitor for Updater<'_> {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
                if !is_statistic(name) {
                    let values = param.val().inner();
                    let elements = values.shape().num_elements();
                    self.0.update_tensor(name, values.reshape([elements]));
                }
            }
        }
        visit_named(network, &mut Updater(self));
    }

    /// Takes in one parameter's flattened values.
    pub fn update_tensor(&mut self, name: &str, values: Tensor<1>) {
        let next = match self.by_name.remove(name) {
            Some(average) => {
                let difference = values - average.clone();
                average + difference * (1.0 - self.decay)
            }
            None => values,
        };
        self.by_name.insert(name.to_owned(), next);
    }

    /// `network` (which records no gradients) with the averages for parameters.
    pub fn applied(&self, network: Network) -> Network {
        with_tensors(network, &self.by_name)
    }

    /// The averages by name, flattened, for a checkpoint.
    pub fn tensors(&self) -> impl Iterator<Item = (&String, &Tensor<1>)> {
        self.by_name.iter()
    }

    /// Puts one parameter's average back.
    pub fn restore(&mut self, name: String, average: Tensor<1>) {
        self.by_name.insert(name, average);
    }
}

/// Whether a tensor is a norm's running mean or variance rather than a parameter.
pub(crate) fn is_statistic(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var")
}
