use burn::module::{Module as _, Param};
use burn::tensor::Tensor;
use inkling_model::Network;
use inkling_model::weights::{NamedVisitor, visit_named};

/// The sum of all weights' magnitudes, by which two networks can be compared.
pub(crate) fn weight_sum(network: &Network) -> f64 {
    struct Adder(f64);
    impl NamedVisitor for Adder {
        fn visit<const D: usize>(&mut self, _: &str, param: &Param<Tensor<D>>) {
            self.0 += f64::from(param.val().abs().sum().into_scalar::<f32>());
        }
    }
    let mut adder = Adder(0.0);
    visit_named(&network.valid(), &mut adder);
    adder.0
}
