//! Networks, and what they predict.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use inkling::{Allocated, VERSION, keep_free_memory};
use inkling_align::{Warped, check_maps};
use inkling_fragment::{Volume, covered};
use inkling_pipeline::{Context, Ensemble, Recipe, Silent, Usage, check_precision, model_volume};
use inkling_predict::{Channels, Error, InferenceRules, PredictSettings, Sheet};
use inkling_train::Ranks;
use ndarray::Array2;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::alignment::depth_maps;
use crate::buffers::to_numpy;
use crate::errors::input;
use crate::json::to_python;
use crate::settings::overrides;
use crate::threads::Pool;
use crate::volume::{GivenVolume, VolumeView};
use crate::work;

/// A trained network, or several that are averaged.
#[pyclass(frozen, module = "inkling")]
pub struct Model {
    ensemble: Mutex<Ensemble>,
    device: String,
    process: u32,
}

/// Maps that a volume is read through.
enum GivenMaps {
    None,
    Arrays(inkling_fragment::DepthMaps),
    Folder(PathBuf),
}

impl GivenMaps {
    fn new(maps: Option<&Bound<PyAny>>, size: [usize; 2]) -> PyResult<Self> {
        let Some(maps) = maps.filter(|maps| !maps.is_none()) else {
            return Ok(Self::None);
        };
        if maps.is_instance_of::<PyString>() || maps.hasattr("__fspath__")? {
            return Ok(Self::Folder(maps.extract()?));
        }
        let (shift, scale) = match maps.hasattr("z_shift")? {
            true => (maps.getattr("z_shift")?, maps.getattr("z_scale")?),
            false => maps.extract().map_err(|_| {
                input(
                    "maps: found neither an Alignment nor (z_shift, z_scale) nor a folder; expected one of \
                     them",
                )
            })?,
        };
        depth_maps(&shift, &scale, size).map(Self::Arrays)
    }
}

#[pymethods]
impl Model {
    /// Loads weights: the best of a run, a safetensors file, or a published checkpoint.
    ///
    /// Args:
    ///     *paths: Runs, files, or `hf:REPO[/FILE][@REVISION]`; several are averaged.
    ///     device: "auto", "flex" (the processor), or another that this build has.
    ///     layers: First layer that is read and end (exclusive), in place of those of the training.
    ///     weights: How much each model counts; all alike by default.
    ///     **settings: Keys of [model] for published checkpoints whose files leave something open.
    ///
    /// Returns:
    ///     Model: To predict with.
    ///
    /// Raises:
    ///     FileError: For files that cannot be read as weights.
    ///     InputError: For another number of layers than the model takes.
    #[staticmethod]
    #[pyo3(signature = (*paths, device="auto", layers=None, weights=Vec::new(), **settings))]
    fn load(
        py: Python,
        paths: Vec<PathBuf>,
        device: &str,
        layers: Option<(usize, usize)>,
        weights: Vec<f64>,
        settings: Option<&Bound<PyDict>>,
    ) -> PyResult<Self> {
        if paths.is_empty() {
            return Err(input("found no path; expected a run or a weights file"));
        }
        if Pool::get()?.is_forked() {
            return Err(input(
                "found a process that was forked from one with threads; expected one that was spawned. hint: \
                 multiprocessing.set_start_method(\"spawn\")",
            ));
        }
        keep_free_memory();
        let settings = overrides("model", settings)?;
        let (ensemble, device) = work::long(py, |_| {
            let ranks = Ranks::single();
            let context = Context::new(&Silent, &Allocated, &ranks, device.parse()?, VERSION);
            let mut ensemble = Ensemble::load(&paths, &weights, &settings, &context)?;
            if let Some((first, end)) = layers {
                anyhow::ensure!(
                    first < end,
                    Usage(format!(
                        "layers: found ({first}, {end}); expected a first layer and an end (exclusive)"
                    ))
                );
                ensemble.read_layers([first, end])?;
            }
            Ok((ensemble, context.device()?.to_string()))
        })?;
        Ok(Self {
            ensemble: Mutex::new(ensemble),
            device,
            process: std::process::id(),
        })
    }

    /// Predicts the ink of a whole volume, blended in memory.
    ///
    /// Args:
    ///     volume: A fragment, or an array (z, y, x) of uint16, or uint8, which counts 257-fold.
    ///     mask: Where there is papyrus, bool (y, x). By default the fragment's own; of an array, where any
    ///         layer is not 0.
    ///     maps: Depth maps that it is read through: what `align` returned, (z_shift, z_scale), or for a
    ///         fragment the folder of `inkling align`. An aligned volume has as many layers as the target.
    ///     **settings: Keys of [predict] over the model's own: tta="none", "rot90", "full" or "full-depth";
    ///         step, rotations, batch, average, precision.
    ///
    /// Returns:
    ///     numpy.ndarray: Probability of ink, float32 (y, x), 0 to 1; 0 outside the mask.
    ///
    /// Raises:
    ///     InputError: For arrays of other types or sizes, fewer layers than the model reads, maps that
    ///         hold NaN on papyrus or place it beyond the volume.
    ///     KeyboardInterrupt: After Ctrl-C, between two tiles.
    #[pyo3(signature = (volume, mask=None, *, maps=None, **settings))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        volume: &Bound<'py, PyAny>,
        mask: Option<&Bound<'py, PyAny>>,
        maps: Option<&Bound<'py, PyAny>>,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.check_process()?;
        let overrides = overrides("predict", settings)?;
        let given = GivenVolume::new(volume)?;
        let maps = GivenMaps::new(maps, given.size())?;
        let mask = given.mask(py, mask)?;
        let (view, id) = (given.view(), given.id());
        let probability = work::long(py, |interrupt| {
            let mut ensemble = self.ensemble.lock().unwrap_or_else(PoisonError::into_inner);
            let settings = predict_settings(&ensemble, &overrides)?;
            ensemble.centre_layers(view.shape()[0]);
            let volume = read_through(view, &mask, maps, &ensemble, settings.rules)?;
            check_layers(&ensemble, volume.as_ref(), id)?;
            let sheet = sheet_of(mask, volume.as_ref(), &ensemble, settings.rules)?;
            let device = self.device.parse::<inkling_model::DeviceName>()?.open()?;
            check_precision(settings.precision, &device)?;
            let predictor = ensemble.predictor(&settings, Channels::default())?;
            let progress = interrupt.progress();
            Ok(predictor
                .predict(volume.as_ref(), &sheet, &progress)?
                .probability)
        })?;
        to_numpy(py, probability)
    }

    /// The models, a dictionary each: "file", "sha256", "weight", "model" (its settings) and "input".
    #[getter]
    fn members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let ensemble = self.ensemble.lock().unwrap_or_else(PoisonError::into_inner);
        to_python(py, &serde_json::Value::from(ensemble.describe().to_vec()))
    }

    /// Side of a patch, in pixels.
    #[getter]
    fn image_size(&self) -> usize {
        let ensemble = self.ensemble.lock().unwrap_or_else(PoisonError::into_inner);
        ensemble.image_size()
    }

    /// First layer that is read and end (exclusive).
    #[getter]
    fn layers(&self) -> (usize, usize) {
        let ensemble = self.ensemble.lock().unwrap_or_else(PoisonError::into_inner);
        ensemble.input().layers.into()
    }

    /// Whether it was trained on aligned volumes: then give `maps`, or warp first.
    #[getter]
    fn aligned(&self) -> bool {
        let ensemble = self.ensemble.lock().unwrap_or_else(PoisonError::into_inner);
        ensemble.input().aligned
    }

    /// The device that it runs on.
    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    fn __repr__(&self) -> String {
        let (first, end) = self.layers();
        let side = self.image_size();
        format!(
            "<inkling.Model: layers {first}..{end}, {side} px, on {}>",
            self.device
        )
    }
}

impl Model {
    fn check_process(&self) -> PyResult<()> {
        match self.process == std::process::id() {
            true => Ok(()),
            false => Err(input(
                "found a model that another process loaded; expected one of this process. hint: load it here, \
                 in a process that was spawned, not forked",
            )),
        }
    }
}

fn predict_settings(ensemble: &Ensemble, overrides: &[String]) -> anyhow::Result<PredictSettings> {
    let own = &ensemble.metadata().predict;
    let settings = Recipe::read_over(own, &[], overrides)?.predict;
    settings.check()?;
    Ok(settings)
}

/// The volume as networks read it.
fn read_through<'a>(
    view: VolumeView<'a>,
    mask: &Array2<bool>,
    maps: GivenMaps,
    ensemble: &Ensemble,
    rules: InferenceRules,
) -> anyhow::Result<Box<dyn Volume + 'a>> {
    let (volume, maps) = match (view, maps) {
        (VolumeView::Fragment(fragment), GivenMaps::None) => {
            return model_volume(&fragment, None, ensemble, rules);
        }
        (VolumeView::Fragment(fragment), GivenMaps::Folder(folder)) => {
            return model_volume(&fragment, Some(&folder), ensemble, rules);
        }
        (VolumeView::Array(_), GivenMaps::Folder(folder)) => {
            return Err(Usage(format!(
                "maps: found the folder {} for an array; expected (z_shift, z_scale). hint: read them with \
                 numpy.load",
                folder.display()
            ))
            .into());
        }
        (view, GivenMaps::None) => (view, None),
        (view, GivenMaps::Arrays(maps)) => (view, Some(maps)),
    };
    if let Some(count) = ensemble.input().z_pool {
        return Err(Usage(format!(
            "volume: found voxels in memory, or maps in memory, for a model that reads the means of {count} \
             layers; expected a fragment, or maps in a folder. hint: give what inkling.open returns"
        ))
        .into());
    }
    Ok(match maps {
        None => Box::new(volume),
        Some(maps) => {
            let own = volume.shape()[0];
            let depth = own.max(TARGET_LAYERS);
            check_maps(&maps, || Ok(mask.clone()), [own, depth])?;
            Box::new(Warped::new(volume, Arc::new(maps), depth)?)
        }
    })
}

/// The pixels that are predicted, by `rules`: those of the mask, or of it those whose voxels are not all 0.
fn sheet_of(
    mask: Array2<bool>,
    volume: &dyn Volume,
    ensemble: &Ensemble,
    rules: InferenceRules,
) -> anyhow::Result<Sheet> {
    let [first, end] = ensemble.input().layers;
    Ok(match rules {
        InferenceRules::Reference => Sheet::of_mask(mask),
        InferenceRules::Canonical => Sheet::of_mask(covered(volume, first..end, &mask)?),
        InferenceRules::Flat => Sheet::new(covered(volume, first..end, &mask)?, mask),
    })
}

/// Layers of the built-in target: an aligned volume has at least these.
const TARGET_LAYERS: usize = 65;

fn check_layers(ensemble: &Ensemble, volume: &dyn Volume, id: String) -> Result<(), Error> {
    let ([first, end], found) = (ensemble.input().layers, volume.shape()[0]);
    match end <= found {
        true => Ok(()),
        false => Err(Error::Shallow {
            path: PathBuf::from(id),
            found,
            first,
            end,
        }),
    }
}
