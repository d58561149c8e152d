//! A network with some of its tensors replaced.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;
use inkling_model::Network;
use inkling_model::weights::{NamedMapper, map_named};

/// `network` with the flattened values of `by_name` in the tensors of these names; others stay.
pub(crate) fn with_tensors(network: Network, by_name: &BTreeMap<String, Tensor<1>>) -> Network {
    struct Replacer<'a>(&'a BTreeMap<String, Tensor<1>>);
    impl NamedMapper for Replacer<'_> {
        fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.get(name) {
                Some(values) => param.map(|own| values.clone().reshape(own.shape())),
                None => param,
            }
        }
    }
    map_named(network, &mut Replacer(by_name))
}
