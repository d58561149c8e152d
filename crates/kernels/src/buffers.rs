//! Values of flex's tensors as slices.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

use crate::attention::View;

/// The tensor with its values in one piece, in the order of its axes.
pub fn in_one_piece(tensor: FlexTensor) -> FlexTensor {
    match tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

/// The values of a tensor [in one piece](in_one_piece).
pub fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("a tensor of f32 in one piece has a slice")
}

/// A tensor whose values may be changed: its own, in one piece, nothing around them. What somebody
/// else holds too is copied when it is changed.
pub fn taken(tensor: FlexTensor) -> FlexTensor {
    let size = tensor.layout().num_elements() * size_of::<f32>();
    let whole = tensor.layout().start_offset() == 0 && tensor.bytes().len() == size;
    match whole && tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

/// A tensor of these values.
pub fn with_values(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

/// The sizes of a tensor's `D` axes.
pub fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}

/// A tensor of four axes where it lies, if all its steps go forward.
pub fn view(tensor: &FlexTensor) -> View<'_> {
    let strides = tensor.layout().strides();
    View {
        values: tensor.storage(),
        start: tensor.layout().start_offset(),
        strides: std::array::from_fn(|axis| {
            usize::try_from(strides[axis]).expect("reversed axes are copied first")
        }),
    }
}

/// The tensor itself, or a copy in one piece if an axis runs backwards.
pub fn forwards(tensor: FlexTensor) -> FlexTensor {
    let backwards = tensor.layout().strides().iter().any(|&stride| stride < 0);
    match backwards {
        true => tensor.to_contiguous(),
        false => tensor,
    }
}
