//! Flex's tensors as slices of f32.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

use crate::attention::View;
use crate::computed::cleared;
use crate::strided_view::StridedView;

/// The tensor in row-major order; copied only if it is not.
pub fn contiguous(tensor: FlexTensor) -> FlexTensor {
    match tensor.is_contiguous() {
        true => tensor,
        false => copied(&tensor),
    }
}

/// The values of a [`contiguous`] tensor.
pub fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("a tensor of f32 in one piece has a slice")
}

/// A row-major tensor whose storage holds its values alone and belongs to nobody else, so that they may
/// be changed in place; copied if it is not.
pub fn into_owned(tensor: FlexTensor) -> FlexTensor {
    match is_exclusive(&tensor) {
        true => tensor,
        false => copied(&tensor),
    }
}

/// Whether [`into_owned`] need not copy: storage not shared, row-major, nothing but its values.
pub fn is_exclusive(tensor: &FlexTensor) -> bool {
    let size = tensor.layout().num_elements() * size_of::<f32>();
    let whole = tensor.layout().start_offset() == 0 && tensor.bytes().len() == size;
    whole && tensor.is_contiguous() && tensor.is_unique()
}

/// A row-major copy.
fn copied(tensor: &FlexTensor) -> FlexTensor {
    let Some(strided_view) = strided_view(tensor) else {
        // Some stride is negative.
        return into_owned(tensor.to_contiguous());
    };
    let mut values = cleared(strided_view.len());
    strided_view.zip_into(&mut values, tensor.storage(), |target, value| {
        *target = value;
    });
    from_values(values, tensor.layout().shape().clone())
}

/// The tensor's sizes and strides, if no stride is negative.
pub fn strided_view(tensor: &FlexTensor) -> Option<StridedView> {
    let layout = tensor.layout();
    let strides = layout.strides().iter();
    let steps: Option<Vec<usize>> = strides.map(|&step| usize::try_from(step).ok()).collect();
    let sizes = (0..layout.num_dims()).map(|axis| layout.shape()[axis]);
    Some(StridedView::new(layout.start_offset(), sizes.zip(steps?)))
}

/// The tensor in another shape of as many values; copied only if no strides express it.
pub fn reshaped(tensor: FlexTensor, sizes: &[usize]) -> FlexTensor {
    let steps = strided_view(&tensor).and_then(|strided_view| strided_view.reshape_strides(sizes));
    let start = tensor.layout().start_offset();
    let shape = Shape::from(sizes.to_vec());
    match steps {
        Some(steps) => {
            let steps = steps.into_iter().map(usize::cast_signed).collect();
            tensor.with_layout(Layout::new(shape, steps, start))
        }
        None => contiguous(tensor).reshape(shape),
    }
}

/// A tensor of f32 that takes over `values`, row-major.
pub fn from_values(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

/// The sizes of the first `D` axes.
pub fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}

/// A view of a tensor of four axes.
///
/// # Panics
/// When a stride is negative; see [`with_positive_strides`].
pub fn view(tensor: &FlexTensor) -> View<'_> {
    let strides = tensor.layout().strides();
    View {
        values: tensor.storage(),
        start: tensor.layout().start_offset(),
        strides: std::array::from_fn(|axis| {
            usize::try_from(strides[axis]).expect("negative strides are copied first")
        }),
    }
}

/// The tensor itself, or a row-major copy if a stride is negative.
pub fn with_positive_strides(tensor: FlexTensor) -> FlexTensor {
    let backwards = tensor.layout().strides().iter().any(|&stride| stride < 0);
    match backwards {
        true => tensor.to_contiguous(),
        false => tensor,
    }
}
