//! The threads that work: one pool, in which the whole command runs.

use anyhow::Context as _;
use inkling_pipeline::THREAD_STACK;

/// Most threads that can be asked for: more than any machine has processors, and few enough for
/// every system to start.
pub const MOST: u16 = 1024;

/// Does `work` on a thread of a pool of `threads`, or of as many as there are processors. Whatever
/// `work` shares out goes to the others of the pool, so that this number bounds all that work; the
/// calling thread waits.
pub fn within<T: Send>(threads: Option<u16>, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(THREAD_STACK);
    let pool = match threads {
        Some(threads) => pool.num_threads(usize::from(threads)),
        None => pool,
    };
    pool.build_global()
        .context("the system starts no more threads; expected those of --threads")?;
    Ok(rayon::scope(|_| work()))
}
