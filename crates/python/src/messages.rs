//! What the libraries warn of while they work, handed to Python's `logging` as the logger `inkling`.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use pyo3::prelude::*;

/// Lines that Python has not heard yet, as the subscriber writes them: the level and the words.
static WAITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Waiting;

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from now on. The command line, which speaks for itself, comes before any of this or not at all.
pub fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        // Where the process has a listener, it stays.
        let _ = tracing_subscriber::fmt()
            .with_target(false)
            .without_time()
            .with_ansi(false)
            .log_internal_errors(false)
            .with_writer(|| Waiting)
            .try_init();
    });
}

/// Hands what is waiting to the logger `inkling`.
pub fn hand_over(py: Python) -> PyResult<()> {
    let waiting = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    if waiting.is_empty() {
        return Ok(());
    }
    let logger = py
        .import("logging")?
        .call_method1("getLogger", ("inkling",))?;
    for line in String::from_utf8_lossy(&waiting).lines() {
        let line = line.trim_start();
        let (level, text) = line.split_once(' ').unwrap_or(("WARN", line));
        let method = match level {
            "ERROR" => "error",
            "WARN" => "warning",
            _ => "info",
        };
        logger.call_method1(method, ("%s", text.trim_start()))?;
    }
    Ok(())
}
