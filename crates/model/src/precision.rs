use std::cell::Cell;

use burn::tensor::{Device, FloatDType, Tensor};
use inkling_kernels::{MulPrecision, has_kernels, is_flex};
use serde::{Deserialize, Serialize};

/// How exactly convolutions and linear layers multiply. Weights, sums, norms, attention's softmax,
/// losses and the optimiser stay in 32 bits, and so do attention's products everywhere but on the
/// processor.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32; NVIDIA from Ampere on, processors with AMX, AVX-512 BF16 or
    /// Armv8.6's (others take it at the pace of 32 bits).
    Bf16,
    /// 16 bits with more digits and less range, which losses are scaled to.
    F16,
    /// Linear layers in whole numbers of 8 bits, for prediction on processors; the other products in bf16 where the
    /// processor has it, else in 32 bits. Pays with AVX-512 VNNI, AVX-VNNI or Armv8.2's `sdot` (others take it at the pace of 32 bits).
    Int8,
}

thread_local! {
    static CHOSEN: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Whether `device` computes in it.
    pub fn is_on(self, device: &Device) -> bool {
        match self.kind() {
            Some(kind) => device.supports_dtype(kind),
            None => is_flex(device),
        }
    }

    /// As settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }

    /// Does `work`, in which this thread's networks multiply in this precision;
    /// `torch.autocast`.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let numbers = match self {
            Self::Bf16 => MulPrecision::Bf16,
            Self::Int8 => MulPrecision::Int8,
            Self::F32 | Self::F16 => MulPrecision::F32,
        };
        let before = CHOSEN.replace(self);
        let result = numbers.within(work);
        CHOSEN.set(before);
        result
    }

    /// The tensors that layers without a kernel multiply; none where there must be one.
    fn kind(self) -> Option<FloatDType> {
        match self {
            Self::F32 => Some(FloatDType::F32),
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
            Self::Int8 => None,
        }
    }
}

/// A layer's input, weight or bias, brought to the precision chosen, unless the layer's kernel does
/// that by itself.
pub(crate) fn narrowed<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match CHOSEN.get() {
        Precision::F32 => tensor,
        Precision::Bf16 if has_kernels(&tensor) => tensor,
        chosen => match chosen.kind() {
            Some(kind) => tensor.cast(kind),
            None => tensor,
        },
    }
}

/// A layer's output, back in 32 bits.
pub(crate) fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match CHOSEN.get() {
        Precision::F32 | Precision::Int8 => tensor,
        Precision::Bf16 | Precision::F16 => tensor.cast(FloatDType::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Conv2dConfig;

    /// The products are rounded, the weights and their gradients are not.
    #[test]
    fn sixteen_bits_stay_within_a_layer() {
        let device = Device::flex().autodiff();
        let layer = Conv2dConfig::new([3, 4], 3).init(&device);
        device.seed(1);
        let input = Tensor::<4>::random(
            [2, 3, 8, 8],
            burn::tensor::Distribution::Normal(0.0, 1.0),
            &device,
        );
        let run = |precision: Precision| {
            let output = precision.within(|| layer.forward(input.clone()));
            let gradients = output.clone().square().mean().backward();
            let gradient = layer.weight.val().grad(&gradients).unwrap();
            [output.inner().reshape([-1]), gradient.reshape([-1])].map(|tensor: Tensor<1>| {
                let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
                values
            })
        };
        let exact = run(Precision::F32);
        for (precision, bound) in [(Precision::Bf16, 4e-2), (Precision::F16, 5e-3)] {
            assert!(precision.is_on(&device));
            for (found, expected) in run(precision).iter().zip(&exact) {
                let size = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                let pairs = found.iter().zip(expected);
                let off = pairs.fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / size;
                assert!((1e-7..bound).contains(&off), "{precision:?}: {off}");
            }
        }
    }
}
