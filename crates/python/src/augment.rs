//! Samples of training: crops, transformed, with their labels.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use inkling_augment::{SampleKey, Scratch, Source, TrainTransform};
use inkling_fragment::Volume;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::batch::{Batch, SpareBatches};
use crate::buffers::to_numpy;
use crate::errors::{exception, input};
use crate::settings::{files, overrides, recipe};
use crate::sheet::{Sheet, SheetMasks, layers_of};
use crate::volume::GivenVolume;
use crate::work;

/// A training sample: a crop of a volume, transformed, with its labels.
#[pyclass(frozen, module = "inkling")]
pub struct Sample {
    /// Normalised intensities: float32 (z, y, x).
    #[pyo3(get)]
    volume: Py<PyAny>,
    /// Ink, 0 to 1: float32 (y, x).
    #[pyo3(get)]
    labels: Py<PyAny>,
    /// 1 on papyrus, 0 elsewhere: float32 (y, x).
    #[pyo3(get)]
    validity: Py<PyAny>,
    /// 1 where labels count, 0 elsewhere: float32 (y, x); None where they count everywhere.
    #[pyo3(get)]
    supervision: Option<Py<PyAny>>,
}

impl Sample {
    fn new(py: Python, sample: inkling_augment::Sample) -> PyResult<Self> {
        let supervision = sample.supervision.map(|counts| to_numpy(py, counts));
        Ok(Self {
            volume: to_numpy(py, sample.volume)?.unbind(),
            labels: to_numpy(py, sample.labels)?.unbind(),
            validity: to_numpy(py, sample.validity)?.unbind(),
            supervision: supervision.transpose()?.map(Bound::unbind),
        })
    }
}

/// The transform of training: a random crop with its centre on papyrus, rotated, resized, flipped,
/// brightened, with noise or blur, distorted, normalised.
///
/// A sample is addressed by (seed, epoch, index): the same address gives the same sample on any number of
/// threads, in any process, and as `inkling train` sees it.
///
/// Args:
///     config: Recipes (TOML) whose [augment], and whose model.image_size, model.depth and data.layers, are
///         used.
///     image_size: Side of a sample in pixels, in place of the recipe's.
///     depth: Layers of a sample, in place of the recipe's.
///     layers: First layer that is read and end (exclusive). Without a recipe all by default.
///     **settings: Keys of [augment], such as rotate=0.5, rotate_limit=45.
///
/// Raises:
///     InputError: For unknown keys and values out of their range; when called, for arrays of other types or
///         sizes, and sheets in which no crop fits.
///
/// Calling:
///     `augment(volume, mask=None, labels=None, seed=0, epoch=0, index=0, *, supervision=None)` gives the
///     Sample at (seed, epoch, index). The volume is a Sheet, of which all layers are read, or what Sheet takes
///     as volume, mask, labels and supervision.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> volume = numpy.full((20, 200, 200), 30000, numpy.uint16)
///     >>> augment = inkling.Augment(image_size=64, depth=16)
///     >>> sample = augment(volume, numpy.ones((200, 200), bool), seed=1, epoch=0, index=0)
///     >>> sample.volume.shape, sample.volume.dtype, sample.labels.shape
///     ((16, 64, 64), dtype('float32'), (64, 64))
#[pyclass(frozen, module = "inkling")]
pub struct Augment {
    transform: TrainTransform,
    image_size: usize,
    depth: usize,
    layers: Option<(usize, usize)>,
    /// What it was made of.
    files: Vec<PathBuf>,
    overrides: Vec<String>,
    spare: Arc<SpareBatches>,
}

thread_local! {
    /// Memory that goes from one sample to the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Augment {
    fn of_recipe(
        files: Vec<PathBuf>,
        overrides: Vec<String>,
        size: (Option<usize>, Option<usize>),
        layers: Option<(usize, usize)>,
    ) -> PyResult<Self> {
        let recipe = recipe(&files, &overrides)?;
        let image_size = size.0.unwrap_or(recipe.model.image_size);
        let depth = size.1.unwrap_or(recipe.model.depth);
        let transform = TrainTransform::new(recipe.augment, image_size, depth)
            .map_err(|error| exception(&error.into()))?;
        let of_recipe = (!files.is_empty()).then(|| recipe.data.layers.into());
        Ok(Self {
            transform,
            image_size,
            depth,
            layers: layers.or(of_recipe),
            files,
            overrides,
            spare: Arc::default(),
        })
    }

    fn sample(&self, source: &Source, key: SampleKey) -> anyhow::Result<inkling_augment::Sample> {
        SCRATCH.with_borrow_mut(|scratch| Ok(self.transform.sample(source, key, scratch)?))
    }
}

#[pymethods]
impl Augment {
    #[new]
    #[pyo3(signature = (config=None, *, image_size=None, depth=None, layers=None, **settings))]
    fn new(
        config: Option<&Bound<PyAny>>,
        image_size: Option<usize>,
        depth: Option<usize>,
        layers: Option<(usize, usize)>,
        settings: Option<&Bound<PyDict>>,
    ) -> PyResult<Self> {
        let overrides = overrides("augment", settings)?;
        Self::of_recipe(files(config)?, overrides, (image_size, depth), layers)
    }

    /// Side of a sample, in pixels.
    #[getter]
    fn image_size(&self) -> usize {
        self.image_size
    }

    /// Layers of a sample.
    #[getter]
    fn depth(&self) -> usize {
        self.depth
    }

    /// First layer that is read of arrays and fragments and end (exclusive); None for all.
    #[getter]
    fn layers(&self) -> Option<(usize, usize)> {
        self.layers
    }

    #[pyo3(signature = (volume, mask=None, labels=None, seed=0, epoch=0, index=0, *, supervision=None))]
    #[allow(clippy::too_many_arguments, reason = "Python names them")]
    fn __call__(
        &self,
        py: Python,
        volume: &Bound<PyAny>,
        mask: Option<&Bound<PyAny>>,
        labels: Option<&Bound<PyAny>>,
        seed: u64,
        epoch: u64,
        index: u64,
        supervision: Option<&Bound<PyAny>>,
    ) -> PyResult<Sample> {
        let key = SampleKey { seed, epoch, index };
        if let Ok(sheet) = volume.cast::<Sheet>() {
            let source = sheet.get();
            let sample = work::short(py, || self.sample(&source.source(), key))?;
            return Sample::new(py, sample);
        }
        let given = GivenVolume::new(volume)?;
        let masks = SheetMasks::new(py, &given, mask, labels, supervision)?;
        let view = given.view();
        let z = layers_of(self.layers, view.shape()[0])?;
        let sample = work::short(py, || {
            let source = Source {
                volume: &view,
                mask: &masks.mask,
                labels: masks.labels.as_ref(),
                supervision: masks.supervision.as_ref(),
                z,
            };
            self.sample(&source, key)
        })?;
        Sample::new(py, sample)
    }

    /// Samples of sheets as one batch, made on all threads.
    ///
    /// Args:
    ///     samples: A sheet and an index for each sample.
    ///     seed: The run's seed.
    ///     epoch: The epoch, from 0.
    ///
    /// Returns:
    ///     dict: float32 arrays: "volume" (n, z, y, x), normalised; "labels", "validity" and "supervision"
    ///     (n, y, x), the last 1 where labels count. Each sample is the one that a call gives for its sheet
    ///     and index. Memory of batches that are gone is used again.
    ///
    /// Raises:
    ///     InputError: For no samples, and sheets in which no crop fits.
    #[pyo3(signature = (samples, *, seed=0, epoch=0))]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        samples: Vec<(Bound<'py, Sheet>, u64)>,
        seed: u64,
        epoch: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        if samples.is_empty() {
            return Err(input("samples: found none; expected at least 1"));
        }
        let size = [samples.len(), self.depth, self.image_size];
        let samples: Vec<_> = samples
            .iter()
            .map(|(sheet, index)| (sheet.get(), *index))
            .collect();
        let batch = work::short(py, || {
            let mut batch = Batch::new(&self.spare, size);
            let parts: Vec<_> = samples.into_iter().zip(batch.samples_mut()).collect();
            parts
                .into_par_iter()
                .try_for_each(|((sheet, index), mut part)| {
                    let key = SampleKey { seed, epoch, index };
                    let source = sheet.source();
                    SCRATCH.with_borrow_mut(|scratch| {
                        self.transform.sample_into(&source, key, scratch, &mut part)
                    })
                })?;
            Ok(batch)
        })?;
        batch.into_arrays(py)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let own = slf.get();
        let arguments = (
            own.files.clone(),
            own.overrides.clone(),
            (own.image_size, own.depth),
            own.layers,
        );
        let again = slf.get_type().getattr("_again")?;
        Ok((again, arguments.into_pyobject(py)?))
    }

    /// Makes one that was pickled.
    #[staticmethod]
    fn _again(
        files: Vec<PathBuf>,
        overrides: Vec<String>,
        size: (usize, usize),
        layers: Option<(usize, usize)>,
    ) -> PyResult<Self> {
        Self::of_recipe(files, overrides, (Some(size.0), Some(size.1)), layers)
    }

    fn __repr__(&self) -> String {
        let (depth, side) = (self.depth, self.image_size);
        format!("<inkling.Augment: {depth} × {side} × {side} (z, y, x)>")
    }
}
