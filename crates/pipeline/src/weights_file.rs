//! Where a run's or a file's weights lie.

use std::path::{Path, PathBuf};

/// The weights file `path`, or that of the best weights of the run `path`.
pub fn weights_file(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.join("best.safetensors"),
        false => path.to_owned(),
    }
}
