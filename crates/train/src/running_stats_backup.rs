use std::collections::BTreeMap;

use burn::module::{Module as _, Param};
use burn::tensor::Tensor;
use inkling_model::Network;
use inkling_model::weights::{NamedVisitor, visit_named};

use crate::model_ema::is_statistic;
use crate::replaced_tensors::with_tensors;

/// The norms' running means and variances at one moment. A forward pass moves them, also one
/// whose loss turns out to be NaN.
#[derive(Default)]
pub(crate) struct RunningStatsBackup {
    by_name: BTreeMap<String, Tensor<1>>,
}

impl RunningStatsBackup {
    /// Those of `network` now.
    pub fn of(network: &Network) -> Self {
        struct Collector<'a>(&'a mut RunningStatsBackup);
        impl NamedVisitor for Collector<'_> {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
                if is_statistic(name) {
                    let values = param.val();
                    let elements = values.shape().num_elements();
                    let values = values.reshape([elements]);
                    self.0.by_name.insert(name.to_owned(), values);
                }
            }
        }
        settle(network);
        let mut statistics = Self::default();
        visit_named(network, &mut Collector(&mut statistics));
        statistics
    }

    /// `network` with these statistics.
    pub fn restore_statistics(&self, network: Network) -> Network {
        settle(&network);
        with_tensors(network, &self.by_name)
    }
}

/// Norms hold an update back until the next one or until gradients are taken off.
fn settle(network: &Network) {
    drop(network.valid());
}
