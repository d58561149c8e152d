use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use inkling_kernels::profile::{self, OperationTime};
use inkling_kernels::{MulPrecision, has_kernels, peak_flops};
use inkling_model::Network;
use serde_json::{Value, json};

use crate::cli::Forward;

/// What passing a patch through a network gave and took.
pub struct Timing {
    /// `[batch, height, width]`.
    pub logits: TensorData,
    /// Of one pass, the median.
    pub seconds: f64,
    /// Where the last pass's time went, if that was asked for.
    shares: Vec<OperationTime>,
    /// Floating-point operations per second that the processor reaches at most, where it works and that was asked
    /// for.
    peak: Option<f64>,
}

impl Timing {
    /// Passes `patch` through `network` as often and as exactly as `flags` say.
    pub fn of(network: &Network, patch: &Tensor<4>, flags: &Forward) -> Self {
        let (repeat, profiled) = (flags.repeat, flags.profile);
        let pass = || {
            let began = Instant::now();
            let logits = flags.precision.within(|| network.forward(patch.clone()));
            let logits = logits.into_data();
            (logits, began.elapsed().as_secs_f64())
        };
        let mut times: Vec<f64> = (1..repeat).map(|_| pass().1).collect();
        if profiled {
            profile::start();
        }
        let (logits, last) = pass();
        let mut shares = profile::finish();
        if profiled {
            let known: f64 = shares.iter().map(|share| share.seconds).sum();
            shares.push(OperationTime {
                operation: "the rest",
                calls: 1,
                seconds: (last - known).max(0.0),
                flops: 0.0,
            });
        }
        let peak = (profiled && has_kernels(patch)).then(|| {
            let measure = || peak_flops(MulPrecision::current());
            flags.precision.within(measure)
        });
        times.push(last);
        times.sort_by(f64::total_cmp);
        Self {
            logits,
            seconds: times[times.len() / 2],
            shares,
            peak,
        }
    }

    /// Share of the processor's peak that an operation's products reached.
    fn share_of_peak(&self, time: &OperationTime) -> Option<f64> {
        let pace = time.flops / time.seconds;
        self.peak.filter(|_| pace > 0.0).map(|peak| pace / peak)
    }

    /// The shares for people.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.shares.iter().map(|share| {
            let OperationTime {
                operation,
                calls,
                seconds,
                ..
            } = share;
            let pace = match self.share_of_peak(share) {
                Some(part) => format!(", {:.0} % of the processor's peak", 100.0 * part),
                None => String::new(),
            };
            format!("{seconds:9.4} s {calls:6} × {operation}{pace}")
        })
    }

    /// The shares for programs.
    pub fn figures(&self) -> Value {
        let shares = self.shares.iter().map(|share| {
            json!({
                "operation": share.operation,
                "calls": share.calls,
                "seconds": share.seconds,
                "flops": share.flops,
                "share_of_peak": self.share_of_peak(share),
            })
        });
        shares.collect()
    }
}
