//! Small tensors that are computed from weights alone, such as tables of position biases.

use std::sync::{Arc, Weak};

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Bytes, Tensor};

use crate::MulPrecision;
use crate::dispatch::{is_final, primitive};
use crate::weight_cache::packed;

/// What was made of weights, of which the first is the cache's key.
struct Made {
    others: Vec<Weak<Bytes>>,
    settings: Vec<usize>,
    tensor: FlexTensor,
}

/// What `make` makes of `weights` and nothing else but `settings`. Where nothing records gradients it is made once
/// and kept for as long as the first of the weights lives; else, and on other devices, every call makes it.
///
/// # Panics
/// When there are no weights.
pub fn from_weights<const D: usize>(
    weights: Vec<Tensor<1>>,
    settings: &[usize],
    make: impl FnOnce() -> Tensor<D>,
) -> Tensor<D> {
    if !weights.iter().all(is_final) {
        return make();
    }
    let mut storages = weights.into_iter().map(primitive);
    let first = storages.next().expect("something is made of weights");
    let others: Vec<_> = storages
        .map(|weight| Arc::downgrade(&weight.data_arc()))
        .collect();
    let mut make = Some(make);
    let made = packed(&first, MulPrecision::current(), || Made {
        others: others.clone(),
        settings: settings.to_vec(),
        tensor: primitive(make.take().expect("it is packed at most once")()),
    });
    let same = made.others.len() == others.len()
        && made.others.iter().zip(&others).all(|(a, b)| a.ptr_eq(b));
    match make {
        // Another tensor was kept under the first weight, which two networks share.
        Some(make) if !same || made.settings != settings => make(),
        _ => Tensor::from_primitive::<Flex>(made.tensor.clone()),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn weight(value: f32) -> Tensor<1> {
        Tensor::from_data([value], &Device::flex())
    }

    fn number(tensor: Tensor<1>) -> f32 {
        tensor.into_data().try_into_vec().unwrap()[0]
    }

    #[test]
    fn tables_are_made_once_and_anew_for_other_weights_or_settings() {
        let (first, second) = (weight(2.0), weight(3.0));
        let made = |second: &Tensor<1>, settings: &[usize], value| {
            let weights = vec![first.clone(), second.clone()];
            number(from_weights(weights, settings, || weight(value)))
        };
        assert_eq!(made(&second, &[8], 5.0), 5.0);
        assert_eq!(made(&second, &[8], 6.0), 5.0);
        assert_eq!(made(&second, &[9], 7.0), 7.0);
        assert_eq!(made(&weight(3.0), &[8], 8.0), 8.0);
        assert_eq!(made(&second, &[8], 9.0), 5.0);
    }

    #[test]
    fn nothing_is_kept_where_gradients_are_recorded() {
        let device = Device::flex().autodiff();
        let first = Tensor::<1>::from_data([2.0], &device);
        for value in [5.0, 6.0] {
            let made = from_weights(vec![first.clone()], &[], || weight(value));
            assert_eq!(number(made), value);
        }
    }
}
