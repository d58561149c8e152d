//! Time spent per kind of operation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;

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
    timed_products(operation, device, 0.0, run)
}

/// [`timed`] for an operation that makes products of `flops` floating-point operations.
pub(crate) fn timed_products<T>(
    operation: &'static str,
    device: &Device,
    flops: f64,
    run: impl FnOnce() -> T,
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
    let mut spent = SPENT.lock().unwrap_or_else(PoisonError::into_inner);
    let spent = spent.entry(operation).or_default();
    spent.calls += 1;
    spent.time += began.elapsed();
    spent.flops += flops;
    result
}
