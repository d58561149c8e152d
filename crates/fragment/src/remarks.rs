//! Words about what was decided where a fragment's files leave something open.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Warns of something about the file or folder `path`, once in a process: a run opens a fragment
/// and reads its masks and labels several times.
pub fn remark(path: &Path, text: &str) {
    let text = format!("{}: {text}", path.display());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(text.clone()) {
        tracing::warn!("{text}");
    }
}
