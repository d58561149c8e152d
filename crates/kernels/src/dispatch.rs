//! Which tensors the kernels take, and flex's tensors below burn's.

use burn::backend::DispatchDevice;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device, Tensor};

/// Whether the kernels take a tensor: f32 on flex, with or without autodiff.
pub fn has_kernels<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_flex(&tensor.device()) && tensor.dtype() == DType::F32
}

/// Whether a device is the processor's, flex, with or without autodiff.
pub fn is_flex(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether the kernels take a tensor and no gradients are recorded, so that operations may be fused.
pub fn is_final<const D: usize>(tensor: &Tensor<D>) -> bool {
    has_kernels(tensor) && !tensor.device().is_autodiff()
}

/// The bias, or zeros `[features]`.
pub fn or_zeros(bias: Option<Tensor<1>>, features: usize, device: &Device) -> Tensor<1> {
    bias.unwrap_or_else(|| Tensor::zeros([features], device))
}

/// The flex tensor below a tensor.
///
/// # Panics
/// When the tensor is not on flex, or records gradients.
pub fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor
        .try_into_primitive::<Flex>()
        .expect("the tensor lies on flex")
}
