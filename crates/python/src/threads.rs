//! The threads that work. A process has one pool, made at its first work; a process that was forked from one
//! that had worked has lost its threads and gets a pool of its own, of one thread unless it asks for more:
//! data loaders fork one process per core.

use std::sync::{Arc, Mutex, PoisonError};

use inkling_pipeline::THREAD_STACK;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::input;

static STATE: Mutex<State> = Mutex::new(State {
    wanted: None,
    first: None,
    pool: None,
});

struct State {
    /// What was asked for.
    wanted: Option<usize>,
    /// The process whose threads are rayon's own.
    first: Option<u32>,
    /// The pool of a forked process.
    pool: Option<(u32, Arc<ThreadPool>)>,
}

/// Where work is done.
pub enum Pool {
    /// On rayon's own threads, the process being the first.
    Own,
    /// On those of a forked process.
    Forked(Arc<ThreadPool>),
}

impl Pool {
    /// The process's pool.
    pub fn get() -> PyResult<Self> {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        let failed = |error| {
            input(format!(
                "found a system that starts no more threads: {error}"
            ))
        };
        match state.first {
            None => {
                builder(state.wanted.unwrap_or(0))
                    .build_global()
                    .map_err(failed)?;
                state.first = Some(process);
                Ok(Self::Own)
            }
            Some(first) if first == process => Ok(Self::Own),
            Some(_) => {
                if let Some((owner, pool)) = &state.pool
                    && *owner == process
                {
                    return Ok(Self::Forked(pool.clone()));
                }
                let pool = builder(state.wanted.unwrap_or(1)).build().map_err(failed)?;
                let pool = Arc::new(pool);
                // The threads of an older one are not in this process: there is nothing to end.
                std::mem::forget(state.pool.replace((process, pool.clone())));
                Ok(Self::Forked(pool))
            }
        }
    }

    /// Does `work` on a thread of the pool; the calling thread waits.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Own => rayon::scope(|_| work()),
            Self::Forked(pool) => pool.install(work),
        }
    }

    /// Whether the process was forked from one that had worked.
    pub fn is_forked(&self) -> bool {
        matches!(self, Self::Forked(_))
    }
}

fn builder(threads: usize) -> ThreadPoolBuilder {
    ThreadPoolBuilder::new()
        .stack_size(THREAD_STACK)
        .num_threads(threads)
}

/// Sets how many threads work at once, from 1 to 1024; as many as the machine has processors by default.
///
/// To be called before the first call that works. A process that was forked, as by PyTorch's data loader,
/// works with one thread unless it calls this first.
///
/// Raises:
///     InputError: For another number, or after the threads have started.
#[pyfunction]
pub fn set_num_threads(threads: usize) -> PyResult<()> {
    if !(1..=1024).contains(&threads) {
        return Err(input(format!(
            "threads: found {threads}; expected 1 to 1024"
        )));
    }
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    let own = state.first == Some(process);
    let forked = state
        .pool
        .as_ref()
        .is_some_and(|(owner, _)| *owner == process);
    if own || forked {
        return Err(input(
            "found threads that have started; expected the number before the first work. hint: call \
             set_num_threads right after `import inkling`",
        ));
    }
    state.wanted = Some(threads);
    Ok(())
}

/// The number of threads that work at once. Starts them if they have not been.
///
/// Returns:
///     int: From 1 on.
#[pyfunction]
pub fn num_threads() -> PyResult<usize> {
    Ok(Pool::get()?.install(rayon::current_num_threads))
}
