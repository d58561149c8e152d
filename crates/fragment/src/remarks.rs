//! Words about what was decided where a fragment's files leave something open.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Warns of something about the file or folder `path`, once in a process: masks and labels are
/// read several times in a run.
pub(crate) fn remark(path: &Path, text: &str) {
    let text = format!("{}: {text}", path.display());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(text.clone()) {
        tracing::warn!("{text}");
    }
}
