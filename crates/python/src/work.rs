//! Work of the libraries, done on the pool's threads without the interpreter's lock. Ctrl-C ends it at the
//! next step that it tells of.

use std::panic::resume_unwind;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use inkling::give_back_when_idle;
use inkling_fragment::{Panic, catch_panic, silence_panics};
use inkling_pipeline::THREAD_STACK;
use pyo3::prelude::*;

use crate::errors::{InklingError, exception};
use crate::messages;
use crate::threads::Pool;

/// How often Python is asked for signals.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Whether somebody pressed Ctrl-C.
#[derive(Default)]
pub struct Interrupt {
    pressed: AtomicBool,
}

impl Interrupt {
    /// Called at every step of long work; does not return once Ctrl-C was pressed.
    pub fn check(&self) {
        if self.pressed.load(Ordering::Relaxed) {
            resume_unwind(Box::new("interrupted"));
        }
    }

    /// [`check`](Self::check) as the libraries tell of their progress.
    pub fn progress(&self) -> impl Fn(u64, u64) + Sync {
        |_, _| self.check()
    }
}

/// Does long `work`, which can be interrupted.
///
/// # Errors
/// Those of `work`, as exceptions; `KeyboardInterrupt`, or what a handler of a signal raises.
pub fn long<T: Send>(
    py: Python,
    work: impl FnOnce(&Interrupt) -> anyhow::Result<T> + Send,
) -> PyResult<T> {
    begin();
    let pool = Pool::get()?;
    let interrupt = Interrupt::default();
    let (outcome, raised) = py.detach(|| {
        thread::scope(|scope| {
            let (ending, ended) = channel::<()>();
            let worker = || work_in(&pool, ending, || work(&interrupt));
            let worker = thread::Builder::new()
                .stack_size(THREAD_STACK)
                .spawn_scoped(scope, worker);
            let mut raised = None;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(ASK_EVERY) {
                if raised.is_none() {
                    raised = Python::attach(|py| py.check_signals()).err();
                    interrupt.pressed.store(raised.is_some(), Ordering::Relaxed);
                }
            }
            (worker.map(|worker| worker.join()), raised)
        })
    });
    give_back_when_idle();
    messages::hand_over(py)?;
    if let Some(raised) = raised {
        return Err(raised);
    }
    let outcome = outcome.map_err(|error| {
        InklingError::new_err(format!("found a system that starts no thread: {error}"))
    })?;
    finish(outcome.unwrap_or_else(|payload| Err(Panic::of(payload.as_ref()))))
}

/// `ending` goes with the work, so that whoever waits for it hears of its end, however it comes.
fn work_in<T: Send>(
    pool: &Pool,
    ending: Sender<()>,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> Result<anyhow::Result<T>, Panic> {
    let outcome = catch_panic(|| pool.install(work));
    drop(ending);
    outcome
}

/// Does short `work`, of milliseconds.
///
/// # Errors
/// Those of `work`, as exceptions.
pub fn short<T: Send>(py: Python, work: impl FnOnce() -> anyhow::Result<T> + Send) -> PyResult<T> {
    begin();
    let pool = Pool::get()?;
    let outcome = py.detach(|| catch_panic(|| pool.install(work)));
    messages::hand_over(py)?;
    finish(outcome)
}

fn begin() {
    static SILENT: Once = Once::new();
    SILENT.call_once(silence_panics);
    messages::listen();
}

fn finish<T>(outcome: Result<anyhow::Result<T>, Panic>) -> PyResult<T> {
    match outcome.map_err(inkling::fault).flatten() {
        Ok(value) => Ok(value),
        Err(error) => Err(exception(&error)),
    }
}
