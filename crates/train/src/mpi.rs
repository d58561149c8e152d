//! Ranks over MPI, which `mpirun` or Slurm starts.

use std::io::Write as _;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::collective::{CommunicatorCollectives, SystemOperation};
use mpi::environment::Universe;
use mpi::request::{Request, Scope, scope};
use mpi::topology::{Communicator, SimpleCommunicator};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use crate::{Error, Ranks};

/// Set by the launchers of Open MPI, MPICH, Intel MPI and Slurm for the processes of one job.
const LAUNCHED: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"];

/// Seconds that a rank waits for the others, validation by rank 0 included.
const PATIENCE: &str = "INKLING_RANK_TIMEOUT";
const PATIENCE_BY_DEFAULT: u64 = 3600;

/// Exit code of a process that the others or the launcher ended.
const FAILED: i32 = 1;

/// Keeps this process among the ranks until it is dropped.
pub struct Joined {
    universe: Option<Universe>,
}

impl Ranks {
    /// The ranks that a launcher started; one when none did.
    ///
    /// # Errors
    /// [`Error::Ranks`] when MPI cannot be used.
    pub fn launched() -> Result<(Self, Joined), Error> {
        if LAUNCHED.iter().all(|name| std::env::var_os(name).is_none()) {
            return Ok((Self::alone(), Joined { universe: None }));
        }
        let joined = mpi::initialize_with_threading(Threading::Serialized);
        let Some((universe, _)) = joined else {
            return Err(Error::Ranks {
                found: "MPI in use already".to_owned(),
                expected: "to be the first to use it",
                hint: "start the program anew",
            });
        };
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let local = world.split_shared(world.rank()).rank() as usize;
        let ranks = Self::new(rank, size, local);
        if size > 1 {
            speak_when_ended(rank, size)?;
            inkling_model::join_ranks(|values| sum(&mut [values]));
        }
        let universe = Some(universe);
        Ok((ranks, Joined { universe }))
    }
}

impl Joined {
    /// Ends this rank and the others, who may know nothing of why, with `code`.
    pub fn abort(&self, code: u8) {
        if self.universe.is_some() {
            SimpleCommunicator::world().abort(code.into());
        }
    }
}

impl Drop for Joined {
    /// Parting in peace waits for all, which a panicking rank cannot.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(FAILED as u8);
        }
    }
}

/// Sums each bucket over the ranks, in place. All buckets travel at once.
///
/// A rank that is lost is noticed by the launcher, which ends the others; where it does not, by
/// nothing being heard for too long.
pub(crate) fn sum(buckets: &mut [&mut [f32]]) {
    let world = SimpleCommunicator::world();
    let own: Vec<Vec<f32>> = buckets.iter().map(|bucket| bucket.to_vec()).collect();
    scope(|scope| {
        let under_way: Vec<_> = own
            .iter()
            .zip(buckets)
            .map(|(own, bucket)| {
                let operation = SystemOperation::sum();
                world.immediate_all_reduce_into(scope, &own[..], &mut **bucket, operation)
            })
            .collect();
        let began = Instant::now();
        for request in under_way {
            wait(request, began, &world);
        }
    });
}

fn wait<'a, S: Scope<'a>>(
    mut request: Request<'a, [f32], S>,
    began: Instant,
    world: &SimpleCommunicator,
) {
    let patience = std::env::var(PATIENCE).ok();
    let patience = patience.and_then(|seconds| seconds.parse().ok());
    let patience = Duration::from_secs(patience.unwrap_or(PATIENCE_BY_DEFAULT));
    loop {
        request = match request.test() {
            Ok(_) => return,
            Err(request) => request,
        };
        let waited = began.elapsed();
        if waited > patience {
            let _ = writeln!(
                std::io::stderr(),
                "error: rank {}: found no answer from the other ranks for {} s; expected one \
                 within {PATIENCE}. hint: see which rank was lost, then give the command again \
                 with --resume, on any number of ranks",
                world.rank(),
                waited.as_secs()
            );
            world.abort(FAILED);
        }
        // At first others are nearly done; later they validate.
        match waited < Duration::from_millis(2) {
            true => std::thread::yield_now(),
            false => std::thread::sleep(waited.mul_f64(0.01).min(Duration::from_millis(20))),
        }
    }
}

/// A launcher ends the ranks that are left when one is lost. Says what that means for the run.
fn speak_when_ended(rank: usize, size: usize) -> Result<(), Error> {
    let signals = Signals::new([SIGTERM]);
    let mut signals = signals.map_err(|error| Error::Ranks {
        found: error.to_string(),
        expected: "to hear the launcher's signals",
        hint: "give the command on one rank, without mpirun",
    })?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = writeln!(
                std::io::stderr(),
                "error: rank {rank} of {size}: ended by the launcher, as happens when another rank \
                 is lost. Finished epochs are kept. hint: give the command again with --resume, on \
                 any number of ranks"
            );
            std::process::exit(FAILED);
        }
    });
    Ok(())
}
