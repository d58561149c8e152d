//! Time spent per kind of operation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

static RECORDING: AtomicBool = AtomicBool::new(false);
static SPENT: Mutex<BTreeMap<&str, Spent>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Copy, Default)]
struct Spent {
    calls: u64,
    time: Duration,
    flops: f64,
}

/// The time of one kind of operation.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationTime {
    /// Label of the operation.
    pub operation: &'static str,
    /// Number of calls.
    pub calls: u64,
    /// Time of all calls together, in seconds.
    pub seconds: f64,
    /// Floating-point operations of its products, a multiplication and an addition counting as two, as many as
    /// the definition has: what Winograd's transforms save counts as done. 0 for what is no product.
    pub flops: f64,
}

/// Clears and starts the recording. The device is synchronised before and after each operation, which
/// slows a GPU down.
pub fn start() {
    SPENT.lock().unwrap_or_else(PoisonError::into_inner).clear();
    RECORDING.store(true, Ordering::Relaxed);
}

/// Ends the recording; operations of this crate, the longest first.
pub fn finish() -> Vec<OperationTime> {
    RECORDING.store(false, Ordering::Relaxed);
    let spent = std::mem::take(&mut *SPENT.lock().unwrap_or_else(PoisonError::into_inner));
    let mut shares: Vec<OperationTime> = spent
        .into_iter()
        .map(|(operation, spent)| OperationTime {
            operation,
            calls: spent.calls,
            seconds: spent.time.as_secs_f64(),
            flops: spent.flops,
        })
        .collect();
    shares.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    shares
}

/// Runs one operation on `device`, and records its time between [`start`] and [`finish`].
pub(crate) fn timed<T>(operation: &'static str, device: &Device, run: impl FnOnce() -> T) -> T {
    recorded(operation, device, run, |_| 0.0)
}

/// [`timed`] for an operation each of whose output values sums so many products.
pub(crate) fn timed_products<const D: usize>(
    operation: &'static str,
    device: &Device,
    products: usize,
    run: impl FnOnce() -> Tensor<D>,
) -> Tensor<D> {
    recorded(operation, device, run, |output| {
        let sizes = output.dims().into_iter().map(|size| size as f64);
        2.0 * products as f64 * sizes.product::<f64>()
    })
}

fn recorded<T>(
    operation: &'static str,
    device: &Device,
    run: impl FnOnce() -> T,
    flops: impl FnOnce(&T) -> f64,
) -> T {
    if !RECORDING.load(Ordering::Relaxed) {
        return run();
    }
    let wait = || {
        // A device that failed says so when its results are read.
        let _ = device.sync();
    };
    wait();
    let began = Instant::now();
    let result = run();
    wait();
    let time = began.elapsed();
    let mut spent = SPENT.lock().unwrap_or_else(PoisonError::into_inner);
    let spent = spent.entry(operation).or_default();
    spent.calls += 1;
    spent.time += time;
    spent.flops += flops(&result);
    result
}
