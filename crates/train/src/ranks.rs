//! The processes that train one network together, one per device.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// The processes of one training: each has a rank, a device, and its share of every batch. Rank 0
/// alone writes files and validates.
///
/// With the cargo feature `mpi`, `Ranks::launched` finds those that `mpirun` or Slurm started;
/// otherwise there is one.
#[derive(Debug)]
pub struct Ranks {
    rank: usize,
    size: usize,
    local: usize,
    /// All ranks know that training failed.
    failed: AtomicBool,
}

impl Ranks {
    /// A training in one process: rank 0 of 1.
    pub fn single() -> Self {
        Self::new(0, 1, 0)
    }

    pub(crate) fn new(rank: usize, size: usize, local: usize) -> Self {
        Self {
            rank,
            size,
            local,
            failed: AtomicBool::new(false),
        }
    }

    /// This process's place, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes train together.
    pub fn size(&self) -> usize {
        self.size
    }

    /// This process's place among those on its machine, from 0.
    pub fn local(&self) -> usize {
        self.local
    }

    /// Whether this process writes files and validates.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Whether all ranks have heard of a failure from [`sync_result`](Self::sync_result).
    pub fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// This rank's part of a batch of `samples`; the first ranks have one more where they cannot
    /// be shared evenly.
    pub fn share(&self, samples: usize) -> Range<usize> {
        let (each, more) = (samples / self.size, samples % self.size);
        let first = self.rank * each + self.rank.min(more);
        first..first + each + usize::from(self.rank < more)
    }

    /// `values`, summed over the ranks in place; all ranks must call it, with as many values.
    pub fn sum(&self, values: &mut [f32]) {
        if self.size > 1 {
            self.sum_buckets(&mut [values]);
        }
    }

    /// As [`sum`](Self::sum), bucket after bucket.
    pub(crate) fn sum_buckets(&self, buckets: &mut [&mut [f32]]) {
        #[cfg(feature = "mpi")]
        crate::mpi::sum(buckets);
        // Without MPI there is one rank, whose sum is its own.
        let _ = buckets;
    }

    /// Whether this rank's next batches count in the statistics of norms, which are taken over all
    /// ranks.
    pub(crate) fn count_in_statistics(&self, counted: bool) {
        #[cfg(feature = "mpi")]
        inkling_model::count_in_statistics(counted);
        // One rank has a sample in every batch.
        let _ = counted;
    }

    /// Tells all ranks how this one fared; all ranks must call it.
    ///
    /// # Errors
    /// The `outcome`'s own, or [`Error::OtherRank`] when another rank failed.
    pub fn sync_result<T, E: From<Error>>(&self, outcome: Result<T, E>) -> Result<T, E> {
        if self.size == 1 {
            return outcome;
        }
        let mut failed = vec![0.0; self.size];
        failed[self.rank] = f32::from(u8::from(outcome.is_err()));
        self.sum(&mut failed);
        let Some(rank) = failed.iter().position(|&failed| failed > 0.0) else {
            return outcome;
        };
        self.failed.store(true, Ordering::Relaxed);
        outcome.and(Err(Error::OtherRank { rank }.into()))
    }

    /// Whether `own` is true on any rank; all ranks must call it.
    pub fn any(&self, own: bool) -> bool {
        let mut count = [f32::from(u8::from(own))];
        if self.size > 1 {
            self.sum(&mut count);
        }
        count[0] > 0.0
    }

    /// Whether `text` is the same on all ranks; all ranks must call it.
    pub fn all_equal(&self, text: &str) -> bool {
        // Halves of a hash, which f32 holds exactly, beside their squares: the mean of equal
        // numbers is each of them, and only then is the mean square the mean's square.
        let parts = (text.bytes().fold(FNV_START, fnv) as u32).to_le_bytes();
        let parts: Vec<f32> = parts.into_iter().map(f32::from).collect();
        let mut sums: Vec<f32> = parts.iter().flat_map(|&part| [part, part * part]).collect();
        self.sum(&mut sums);
        let size = self.size as f32;
        sums.chunks_exact(2)
            .all(|pair| pair[1] * size == pair[0] * pair[0])
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of the hash of Fowler, Noll and Vo (FNV-1a).
fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_batch_once() {
        for samples in 0..12 {
            for size in 1..=5 {
                let shares = (0..size).map(|rank| Ranks::new(rank, size, 0).share(samples));
                let covered: Vec<usize> = shares.flatten().collect();
                assert_eq!(covered, (0..samples).collect::<Vec<_>>());
            }
        }
        assert_eq!(Ranks::new(0, 2, 0).share(3), 0..2);
    }

    #[test]
    fn one_rank_agrees_with_itself() {
        let ranks = Ranks::single();
        let mut values = [1.5, -2.0];
        ranks.sum(&mut values);
        assert_eq!(values, [1.5, -2.0]);
        assert!(ranks.all_equal("anything"));
        assert!(ranks.sync_result(Ok::<_, Error>(3)).is_ok());
        assert!(
            ranks
                .sync_result::<(), Error>(Err(Error::NoFragments))
                .is_err()
        );
    }
}
