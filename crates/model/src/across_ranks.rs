//! Sums over the processes that train one network together, through which gradients flow.
//!
//! Which processes these are is decided later on the data's way: whoever starts them hands in the
//! sum through [`join_ranks`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension, read_sync};
use burn::tensor::{Tensor, TensorData};

/// Sums values over all processes, in place.
type Sum = dyn Fn(&mut [f32]) + Send + Sync;

static SUM: OnceLock<Box<Sum>> = OnceLock::new();
static COUNTED: AtomicBool = AtomicBool::new(true);

/// From now on batch norms take their statistics over all processes, which `sum` sums values over,
/// in place. The first call counts.
pub fn join_ranks(sum: impl Fn(&mut [f32]) + Send + Sync + 'static) {
    let _ = SUM.set(Box::new(sum));
}

/// Whether the next batches of this process count in the statistics. A process that has no sample
/// left in a batch passes any other through the network, so that the sums have all their parts.
pub fn count_in_statistics(counted: bool) {
    COUNTED.store(counted, Ordering::Relaxed);
}

pub(crate) fn are_joined() -> bool {
    SUM.get().is_some()
}

/// 1 while this process's batches count, else 0.
pub(crate) fn counted() -> f32 {
    f32::from(u8::from(COUNTED.load(Ordering::Relaxed)))
}

/// `values`, summed over all processes; so are the gradients on their way back. All processes
/// must come here in the same order.
pub(crate) fn sum_over_ranks(values: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::rank_sum(values.into_dispatch()))
}

/// The sum on each device, by way of this process's memory.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Autodiff)]
trait RankSum: Backend {
    fn rank_sum(values: FloatTensor<Self>) -> FloatTensor<Self> {
        let (device, kind) = (values.device(), values.dtype());
        let data = read_sync(Self::float_into_data(values)).expect("values of a live device");
        let mut values: Vec<f32> = data.convert::<f32>().try_into_vec().expect("made f32");
        if let Some(sum) = SUM.get() {
            sum(&mut values);
        }
        let length = values.len();
        let data = TensorData::new(values, [length]).convert_dtype(kind);
        Self::float_from_data(data, &device)
    }
}

impl RankSum for Flex {}

#[cfg(feature = "libtorch")]
#[allow(
    deprecated,
    reason = "burn deprecates LibTorch, which is the fast way on NVIDIA"
)]
impl RankSum for burn::backend::LibTorch {}

impl<B: RankSum, C: CheckpointStrategy> RankSum for Autodiff<B, C> {
    fn rank_sum(values: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Summed;
        impl<B: RankSum> Backward<B, 1> for Summed {
            type State = ();

            fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                // Each rank's value went into every rank's sum.
                unary::<B, _>(ops.parents, ops.node, gradients, B::rank_sum);
            }
        }
        let node = values.node();
        let sum = B::rank_sum(values.into_primitive());
        match Summed.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((), sum),
            OpsKind::UnTracked(step) => step.finish(sum),
        }
    }
}
