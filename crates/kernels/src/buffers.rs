//! Values of flex's tensors as slices.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

use crate::attention::View;
use crate::lattice::Lattice;

/// The tensor with its values in one piece, in the order of its axes.
pub fn in_one_piece(tensor: FlexTensor) -> FlexTensor {
    match tensor.is_contiguous() {
        true => tensor,
        false => copied(&tensor),
    }
}

/// The values of a tensor [in one piece](in_one_piece).
pub fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("a tensor of f32 in one piece has a slice")
}

/// A tensor whose values may be changed: its own, in one piece, nothing around them.
pub fn taken(tensor: FlexTensor) -> FlexTensor {
    match is_free(&tensor) {
        true => tensor,
        false => copied(&tensor),
    }
}

/// Whether a tensor may be changed where it lies: nobody else holds it, and its values are all there
/// is, in one piece.
pub fn is_free(tensor: &FlexTensor) -> bool {
    let size = tensor.layout().num_elements() * size_of::<f32>();
    let whole = tensor.layout().start_offset() == 0 && tensor.bytes().len() == size;
    whole && tensor.is_contiguous() && tensor.is_unique()
}

/// A copy in one piece.
fn copied(tensor: &FlexTensor) -> FlexTensor {
    let Some(lattice) = lattice(tensor) else {
        // Some axis runs backwards.
        return taken(tensor.to_contiguous());
    };
    let mut values = vec![0.0; lattice.len()];
    lattice.meet(&mut values, tensor.storage(), |target, value| {
        *target = value;
    });
    with_values(values, tensor.layout().shape().clone())
}

/// Where a tensor's values lie in its storage, if no axis runs backwards.
pub fn lattice(tensor: &FlexTensor) -> Option<Lattice> {
    let layout = tensor.layout();
    let strides = layout.strides().iter();
    let steps: Option<Vec<usize>> = strides.map(|&step| usize::try_from(step).ok()).collect();
    let sizes = (0..layout.num_dims()).map(|axis| layout.shape()[axis]);
    Some(Lattice::new(layout.start_offset(), sizes.zip(steps?)))
}

/// The tensor under axes of other sizes, where it lies if it can be.
pub fn reshaped(tensor: FlexTensor, sizes: &[usize]) -> FlexTensor {
    let steps = lattice(&tensor).and_then(|lattice| lattice.steps(sizes));
    let start = tensor.layout().start_offset();
    let shape = Shape::from(sizes.to_vec());
    match steps {
        Some(steps) => {
            let steps = steps.into_iter().map(usize::cast_signed).collect();
            tensor.with_layout(Layout::new(shape, steps, start))
        }
        None => in_one_piece(tensor).reshape(shape),
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
