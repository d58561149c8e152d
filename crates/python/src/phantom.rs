//! Phantoms, to try things with.

use std::path::PathBuf;

use inkling_synth::PhantomSettings;
use pyo3::prelude::*;

use crate::errors::input;
use crate::work;

/// Writes a phantom: a fragment whose ink and depth are known.
///
/// Args:
///     path: The fragment's folder, which must be new unless `force`.
///     size: Height and width, in pixels.
///     depth: Number of layers, from 1 to 1024.
///     seed: Everything random follows from it.
///     scale: Layers of the target curve per layer: 1 for thin sheets, 0.6 for thick ones.
///     letter_height: Height of the letters, in pixels.
///     force: Replaces an earlier phantom.
///
/// Raises:
///     FileError: For a folder that is there, or cannot be written.
///     InputError: For sizes that are 0 or beyond reason.
#[pyfunction]
#[pyo3(signature = (path, *, size=(768, 640), depth=65, seed=1, scale=1.0, letter_height=88, force=false))]
#[allow(clippy::too_many_arguments, reason = "Python names them")]
pub fn write_phantom(
    py: Python,
    path: PathBuf,
    size: (usize, usize),
    depth: usize,
    seed: u64,
    scale: f32,
    letter_height: usize,
    force: bool,
) -> PyResult<()> {
    const MOST_PIXELS: usize = 1 << 28;
    let pixels = size.0.saturating_mul(size.1);
    let within = (1..=MOST_PIXELS).contains(&pixels)
        && (1..=1024).contains(&depth)
        && (0.05..=20.0).contains(&scale)
        && (1..=4096).contains(&letter_height);
    if !within {
        return Err(input(format!(
            "found a phantom of {} × {} px, {depth} layers, scale {scale} and letters of {letter_height} px; \
             expected at most {MOST_PIXELS} px, 1 to 1024 layers, 0.05 to 20, and 1 to 4096",
            size.0, size.1
        )));
    }
    let settings = PhantomSettings {
        height: size.0,
        width: size.1,
        depth,
        seed,
        scale,
        letter_height,
        ..PhantomSettings::default()
    };
    work::long(py, |interrupt| {
        inkling_synth::write_phantom(&path, &settings, force, &interrupt.progress())?;
        Ok(())
    })
}
