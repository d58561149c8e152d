//! Packed weights, kept for as long as the weights that they were made from live.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use burn::backend::flex::FlexTensor;
use burn::tensor::{Bytes, Shape};

use crate::MulPrecision;

/// Address of the weights' storage, their shape, the packed type, and the precision.
type Key = (usize, Shape, TypeId, MulPrecision);

/// Packed weights and the storage they were made from. The weak reference keeps the storage's address
/// from being used again, and keeps the values from being changed in place.
struct Entry {
    storage: Weak<Bytes>,
    packed: Arc<dyn Any + Send + Sync>,
}

static PACKED: LazyLock<Mutex<HashMap<Key, Entry>>> = LazyLock::new(Mutex::default);

/// `weights` packed by `pack`, from the cache if the same storage was packed before. A tensor that
/// nobody else holds, or a part of one, is packed by every call.
pub fn packed<T: Any + Send + Sync>(
    weights: &FlexTensor,
    precision: MulPrecision,
    pack: impl FnOnce() -> T,
) -> Arc<T> {
    let whole = weights.layout().num_elements() * size_of::<f32>() == weights.bytes().len();
    if weights.is_unique() || !whole || !weights.is_contiguous() {
        return Arc::new(pack());
    }
    let storage = weights.data_arc();
    let shape = weights.layout().shape().clone();
    let key = (
        Arc::as_ptr(&storage).addr(),
        shape,
        TypeId::of::<T>(),
        precision,
    );
    let entries = || PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = entries().get(&key).map(|entry| Arc::clone(&entry.packed));
    if let Some(Ok(packed)) = known.map(Arc::downcast) {
        return packed;
    }
    // Without the lock: others need not wait.
    let packed = Arc::new(pack());
    let entry = Entry {
        storage: Arc::downgrade(&storage),
        packed: Arc::clone(&packed) as _,
    };
    let mut entries = entries();
    entries.retain(|_, entry| entry.storage.strong_count() > 0);
    entries.insert(key, entry);
    packed
}

#[cfg(test)]
mod tests {
    use burn::backend::flex::Layout;
    use burn::tensor::DType;

    use super::*;

    fn tensor(values: Vec<f32>) -> FlexTensor {
        let layout = Layout::contiguous([values.len()].into());
        FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
    }

    fn sum(weights: &FlexTensor, precision: MulPrecision) -> f32 {
        *packed(weights, precision, || weights.storage::<f32>().iter().sum())
    }

    #[test]
    fn weights_are_packed_once_and_anew_when_they_change() {
        let mut weights = tensor(vec![1.0, 2.0]);
        let held = weights.clone();
        assert_eq!(sum(&held, MulPrecision::F32), 3.0);
        let again = || panic!("packed twice");
        assert_eq!(*packed::<f32>(&held, MulPrecision::F32, again), 3.0);
        assert_eq!(*packed(&held, MulPrecision::Bf16, || 4.0_f32), 4.0);
        drop(held);
        // Changed in place, for nobody else holds it.
        weights.storage_mut::<f32>()[0] = 10.0;
        let held = weights.clone();
        assert_eq!(sum(&held, MulPrecision::F32), 12.0);
        assert_eq!(sum(&held.reshape([2, 1].into()), MulPrecision::F32), 12.0);
    }

    #[test]
    fn parts_and_what_nobody_else_holds_are_not_kept() {
        let weights = tensor(vec![1.0, 2.0, 3.0]);
        assert_eq!(*packed(&weights, MulPrecision::F32, || 1), 1);
        assert_eq!(*packed(&weights, MulPrecision::F32, || 2), 2);
        let part = weights.narrow(0, 1, 2);
        assert_eq!(*packed(&part, MulPrecision::F32, || 3), 3);
        assert_eq!(*packed(&part, MulPrecision::F32, || 4), 4);
    }

    #[test]
    fn what_was_packed_goes_with_the_weights() {
        let weights = tensor(vec![5.0]);
        let held = weights.clone();
        let first = Arc::downgrade(&packed(&held, MulPrecision::F32, || vec![0_u8; 3]));
        assert!(first.upgrade().is_some());
        drop((weights, held));
        let others = tensor(vec![6.0]);
        let _held = others.clone();
        packed(&others, MulPrecision::F32, || vec![0_u8; 3]);
        assert!(first.upgrade().is_none());
    }
}
