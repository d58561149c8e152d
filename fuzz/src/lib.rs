//! What the fuzz targets share: a scratch folder in memory, a bound on memory, a quiet panic hook.
//! Empty without the feature `libfuzzer`.

#![cfg(feature = "libfuzzer")]

use std::alloc::System;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cap::Cap;
use inkling_fragment::{Fragment, Region, Volume as _, panics_are_caught};
use inkling_model::Tensors;

/// Most bytes that a target may hold at once. Inputs are of some kilobytes.
const MOST_MEMORY: usize = 1 << 30;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, MOST_MEMORY);

/// The target's own folder, in memory where the system has such a place.
pub fn scratch() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // libFuzzer's hook ends the process at every panic, also at those that are caught.
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !panics_are_caught() {
                loud(info);
            }
        }));
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => tempfile::tempdir_in(memory).expect("memory can be written to"),
            false => tempfile::tempdir().expect("the temporary folder can be written to"),
        }
    });
    folder.path()
}

/// Puts an input at `name` in the scratch folder.
pub fn put(name: &str, data: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, data).expect("the scratch folder can be written to");
    path
}

/// Opens a folder as a fragment and reads a corner of every layer, its mask and its labels.
pub fn read_fragment(folder: &Path) {
    let Ok(fragment) = Fragment::open(folder) else {
        return;
    };
    let [depth, height, width] = fragment.shape();
    let region = Region::new(0..depth.min(4), 0..height.min(64), 0..width.min(64));
    let _ = fragment.read(&region);
    let last = Region::new(depth - 1..depth, height - 1..height, width - 1..width);
    let _ = fragment.read(&last);
    if height.saturating_mul(width) < 1 << 22 {
        let _ = fragment.mask();
        let _ = fragment.ink_labels();
    }
}

/// Reads weights, and every tensor that they say they hold.
pub fn read_weights(path: &Path) {
    let Ok(tensors) = Tensors::read(path) else {
        return;
    };
    for name in tensors.names() {
        let sizes = tensors.shape(name).expect("it has one").iter();
        assert_eq!(
            sizes.product::<usize>(),
            tensors.values(name).len(),
            "{name}"
        );
    }
}
