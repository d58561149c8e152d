//! Where a run's or a file's weights lie.

use std::path::{Path, PathBuf};

use crate::Usage;

/// The weights file `path`, or that of the best weights of the run `path`.
///
/// # Errors
/// [`Usage`] for a folder without weights.
pub fn weights_file(path: &Path) -> Result<PathBuf, Usage> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let best = path.join("best.safetensors");
    match best.is_file() {
        true => Ok(best),
        false => Err(Usage(format!(
            "{}: found a folder without best.safetensors; expected a run whose first epoch is over, or a file of \
             weights. hint: name the folder given to `inkling train --out`",
            path.display()
        ))),
    }
}
