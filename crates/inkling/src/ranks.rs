//! Whether this process is one of several that train together.

use inkling_pipeline::Usage;
use inkling_train::Ranks;

use crate::cli::Command;
#[cfg(not(feature = "mpi"))]

/// Keeps this process among the ranks until it is dropped.
#[cfg(feature = "mpi")]
pub use inkling_train::Joined;

/// Without MPI there is nothing to join.
#[cfg(not(feature = "mpi"))]
pub struct Joined;

#[cfg(not(feature = "mpi"))]
impl Joined {
    /// There are no others to end.
    pub fn abort(&self, _code: u8) {}
}

/// The ranks that train together for `command`; other commands are one process each.
#[cfg(feature = "mpi")]
pub fn launched(command: &Command) -> anyhow::Result<(Ranks, Option<Joined>)> {
    if !trains(command) {
        return Ok((Ranks::single(), None));
    }
    let (ranks, joined) = Ranks::launched()?;
    Ok((ranks, Some(joined)))
}

/// One rank; several processes in one run would spoil it.
#[cfg(not(feature = "mpi"))]
pub fn launched(command: &Command) -> anyhow::Result<(Ranks, Option<Joined>)> {
    let size = std::env::var("OMPI_COMM_WORLD_SIZE").ok();
    let size = size.and_then(|size| size.parse::<usize>().ok());
    match size {
        Some(size) if size > 1 && trains(command) => Err(Usage(format!(
            "found {size} processes started by mpirun; expected one, this build having no MPI. \
             hint: build with `cargo build --release --features mpi`, or leave mpirun out"
        ))
        .into()),
        _ => Ok((Ranks::single(), None)),
    }
}

fn trains(command: &Command) -> bool {
    matches!(command, Command::Train(_) | Command::Cv(_))
}
