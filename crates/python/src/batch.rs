//! Batches of training samples, in memory that goes from one batch to the next.

use std::any::Any;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use inkling_augment::SampleMut;
use ndarray::{ArrayViewMut2, ArrayViewMut3};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::buffers::part_to_numpy;

/// How many batches' memory is kept while nobody looks at it.
const SPARE: usize = 2;

/// Memory of batches that nobody looks at any more. The system clears fresh memory page by page, which takes as
/// long as making the samples that are written there.
#[derive(Default)]
pub struct SpareBatches(Mutex<Vec<Vec<f32>>>);

/// Samples of one size, one after another: all volumes, then all labels, validities and supervisions.
pub struct Batch {
    values: Vec<f32>,
    count: usize,
    depth: usize,
    side: usize,
    spare: Arc<SpareBatches>,
}

impl Batch {
    /// Memory for `count` samples of `depth` layers of `side`² px, with anything in it.
    pub fn new(spare: &Arc<SpareBatches>, [count, depth, side]: [usize; 3]) -> Self {
        let length = count * (depth + 3) * side * side;
        let mut spares = spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = spares.iter().position(|values| values.len() == length);
        let values = fitting.map(|place| spares.swap_remove(place));
        Self {
            values: values.unwrap_or_else(|| vec![0.0; length]),
            count,
            depth,
            side,
            spare: Arc::clone(spare),
        }
    }

    /// Every sample's part.
    pub fn samples_mut(&mut self) -> Vec<SampleMut<'_>> {
        let [depth, side] = [self.depth, self.side];
        let pixels = side * side;
        let (volumes, images) = self.values.split_at_mut(self.count * depth * pixels);
        let (labels, images) = images.split_at_mut(self.count * pixels);
        let (validities, supervisions) = images.split_at_mut(self.count * pixels);
        let image = |values| {
            ArrayViewMut2::from_shape((side, side), values)
                .expect("a chunk holds an image's pixels")
        };
        let volumes = volumes.chunks_exact_mut(depth * pixels);
        volumes
            .zip(labels.chunks_exact_mut(pixels))
            .zip(validities.chunks_exact_mut(pixels))
            .zip(supervisions.chunks_exact_mut(pixels))
            .map(|(((volume, labels), validity), supervision)| SampleMut {
                volume: ArrayViewMut3::from_shape((depth, side, side), volume)
                    .expect("a chunk holds a volume's voxels"),
                labels: image(labels),
                validity: image(validity),
                supervision: Some(image(supervision)),
            })
            .collect()
    }

    /// Its arrays by their names, which share its memory; that is used again when all of them are gone.
    pub fn into_arrays(self, py: Python) -> PyResult<Bound<PyDict>> {
        let [count, depth, side] = [self.count, self.depth, self.side];
        let pixels = count * side * side;
        let first = self.values.as_ptr();
        let batch: Arc<dyn Any + Send + Sync> = Arc::new(self);
        let names = ["labels", "validity", "supervision"];
        let arrays = PyDict::new(py);
        let volumes = part_to_numpy(py, &batch, first, &[count, depth, side, side])?;
        arrays.set_item("volume", volumes)?;
        for (index, name) in names.into_iter().enumerate() {
            let first = first.wrapping_add((depth + index) * pixels);
            let images = part_to_numpy(py, &batch, first, &[count, side, side])?;
            arrays.set_item(name, images)?;
        }
        Ok(arrays)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut spares = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The oldest goes: sizes that are asked for no more are not kept for ever.
        if spares.len() == SPARE {
            spares.remove(0);
        }
        spares.push(take(&mut self.values));
    }
}
