//! How much memory a command may take, and what is left of it.

use inkling_fragment::Volume;

use crate::{Usage, machine};

/// What the program itself takes, with its threads' stacks and small pieces, in bytes.
pub const PROGRAM: usize = 64 << 20;

/// Counts the bytes that this process has allocated, as its allocator does.
pub trait MemoryMeter: Send + Sync {
    /// Bytes that are allocated now.
    fn in_use(&self) -> usize;

    /// The most bytes in use at once since [`forget_peak`](Self::forget_peak), or since the start.
    fn peak(&self) -> usize;

    /// Lets [`peak`](Self::peak) begin anew.
    fn forget_peak(&self);
}

/// Memory that is shared out between what a training holds.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// As many bytes as `asked` for, or three quarters of the machine's.
    pub fn new(asked: Option<usize>) -> Self {
        let limit = asked.unwrap_or_else(|| machine::memory() / 4 * 3);
        Self { limit, left: limit }
    }

    /// Takes what cannot be done without.
    ///
    /// # Errors
    /// When there is less left.
    pub fn require(&mut self, bytes: usize, what: &str) -> Result<(), Usage> {
        if self.take(bytes) {
            return Ok(());
        }
        Err(Usage(format!(
            "--memory: found {} MiB, of which {} are left for {what}; expected {} for it. hint: give \
             more, or lower train.batch, model.image_size or model.depth",
            self.limit >> 20,
            self.left >> 20,
            bytes.div_ceil(1 << 20),
        )))
    }

    /// Takes `bytes` if they are left.
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left;
        if fits {
            self.left -= bytes;
        }
        fits
    }
}

/// Bytes that the layers `z` of `volume` take in memory.
pub fn bytes_of(volume: &dyn Volume, layers: usize) -> usize {
    let [_, height, width] = volume.shape();
    height.saturating_mul(width).saturating_mul(2 * layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_no_more_than_it_has() {
        let mut budget = Budget::new(Some(100 << 20));
        budget.require(40 << 20, "the network").unwrap();
        assert!(!budget.take(61 << 20));
        assert!(budget.take(60 << 20));
        let error = budget.require(1, "a batch").unwrap_err().to_string();
        assert!(
            error.contains("found 100 MiB, of which 0 are left for a batch"),
            "{error}"
        );
    }
}
