//! Curves, fitted depth maps, and volumes warped by them.

use std::path::PathBuf;
use std::sync::Arc;

use inkling_align::{Curve, Target, Warped, measure_curves, measure_volume_curves};
use inkling_fragment::{DepthMapViews, DepthMaps, Region, Volume};
use ndarray::{Array1, ArrayViewMut3, s};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{Given, MapArray, check_size};
use crate::buffers::{Output, to_numpy};
use crate::errors::input;
use crate::fragment::Fragment;
use crate::json::to_python;
use crate::settings::{files, overrides, recipe};
use crate::volume::{GivenVolume, VolumeView};
use crate::work::{self, Interrupt};

/// Mean intensity of each layer: over all papyrus, over ink and over bare papyrus.
///
/// Args:
///     volume: A fragment, or an array (z, y, x) of uint16, or uint8, which counts 257-fold.
///     mask: Where there is papyrus, bool (y, x). By default the fragment's own; of an array, where any layer
///         is not 0.
///     labels: Where there is ink, bool (y, x). By default the fragment's own.
///
/// Returns:
///     dict: "all", "ink" and "background": float64 (z,) in grey levels of 16 bits; None for those that
///     cannot be known without labels.
///
/// Raises:
///     InputError: For arrays of other types or sizes, and masks without papyrus.
///     FileError: For files that cannot be read.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> volume = numpy.arange(5, dtype=numpy.uint16)[:, None, None] * numpy.ones((1, 3, 3), numpy.uint16)
///     >>> inkling.curves(volume)["all"]
///     array([0., 1., 2., 3., 4.])
#[pyfunction]
#[pyo3(signature = (volume, mask=None, labels=None))]
pub fn curves<'py>(
    py: Python<'py>,
    volume: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    labels: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let given = GivenVolume::new(volume)?;
    let mask = given.mask(py, mask)?;
    let labels = given.labels(py, labels)?;
    let (id, view) = (given.id(), given.view());
    let found = work::long(py, |interrupt| {
        let progress = interrupt.progress();
        let labels = labels.as_ref();
        Ok(measure_volume_curves(&id, &view, &mask, labels, &progress)?)
    })?;
    let dict = PyDict::new(py);
    let array = |curve: &Curve| to_numpy(py, Array1::from(curve.values().to_vec()));
    dict.set_item("all", array(&found.all)?)?;
    dict.set_item("ink", found.ink.as_ref().map(array).transpose()?)?;
    let background = found.background.as_ref().map(array);
    dict.set_item("background", background.transpose()?)?;
    Ok(dict)
}

/// The fitted depth of a volume: what `align` returns.
///
/// Layer z of the volume belongs to layer `z * z_scale + z_shift` of the target.
#[pyclass(frozen, module = "inkling")]
pub struct Alignment {
    z_shift: Py<PyAny>,
    z_scale: Py<PyAny>,
    fitted: inkling_align::Alignment,
}

#[pymethods]
impl Alignment {
    /// Shift at every pixel, in layers of the target: float32 (y, x).
    #[getter]
    fn z_shift<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.z_shift.bind(py).clone()
    }

    /// Layers of the target per layer of the volume, at every pixel: float32 (y, x).
    #[getter]
    fn z_scale<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.z_scale.bind(py).clone()
    }

    /// Layers of the target per layer of the volume; below 0 where layers were taken in reverse.
    #[getter]
    fn scale(&self) -> f64 {
        self.fitted.scale
    }

    /// Median shift over the patches with papyrus, in layers of the target.
    #[getter]
    fn shift(&self) -> f64 {
        self.fitted.shift
    }

    /// Misfit of the whole sheet's curve before and after, 0 (perfect) to 2 (opposed).
    #[getter]
    fn misfit(&self) -> (f64, f64) {
        self.fitted.misfit.into()
    }

    /// Number of layers of the target.
    #[getter]
    fn target_layers(&self) -> usize {
        self.fitted.target_layers
    }

    /// Reasons to doubt the maps, a sentence each.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.fitted.warnings.clone()
    }

    /// All figures of the fit, as `inkling align` writes them to align.json.
    ///
    /// Returns:
    ///     dict: With "scale", "shift", "misfit", "patches", "before", "after", "warnings" and more.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let figures = serde_json::to_value(&self.fitted)
            .map_err(|error| crate::errors::exception(&error.into()))?;
        to_python(py, &figures)
    }

    fn __repr__(&self) -> String {
        let [before, after] = self.fitted.misfit;
        format!(
            "<inkling.Alignment scale {:.3}, shift {:+.1} layers, misfit {before:.3} → {after:.3}>",
            self.fitted.scale, self.fitted.shift
        )
    }
}

/// Fits the depth of a volume to a target curve: one scale for the sheet, one shift per patch.
///
/// Args:
///     volume: A fragment, or an array (z, y, x) of uint16, or uint8, which counts 257-fold.
///     mask: Where there is papyrus, bool (y, x). By default the fragment's own; of an array, where any layer
///         is not 0.
///     target: What is aligned to: the curve (z,) of a sheet, a fragment, or the path of a curve (CSV) or
///         fragment. The built-in curve of 65 layers by default.
///     config: Recipes (TOML) whose [align] is used.
///     **settings: Keys of [align] over it, such as method="reference", patch=48, layers=[17, 47].
///
/// Returns:
///     Alignment: With z_shift and z_scale, float32 (y, x).
///
/// Raises:
///     InputError: For arrays of other types or sizes, settings out of their range, curves that are flat.
///     FileError: For files that cannot be read.
///
/// Examples:
///     >>> import inkling, tempfile
///     >>> folder = tempfile.mkdtemp() + "/phantom"
///     >>> inkling.write_phantom(folder, size=(96, 96), depth=65)
///     >>> fitted = inkling.align(inkling.open(folder))
///     >>> fitted.z_shift.shape
///     (96, 96)
#[pyfunction]
#[pyo3(signature = (volume, mask=None, *, target=None, config=None, **settings))]
pub fn align<'py>(
    py: Python<'py>,
    volume: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    target: Option<&Bound<'py, PyAny>>,
    config: Option<&Bound<'py, PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Alignment> {
    let settings = recipe(&files(config)?, &overrides("align", settings)?)?.align;
    let given = GivenVolume::new(volume)?;
    let mask = given.mask(py, mask)?;
    let target = target
        .map(|target| GivenTarget::new(target))
        .transpose()?
        .unwrap_or(GivenTarget::BuiltIn);
    let (id, view) = (given.id(), given.view());
    let (fitted, maps) = work::long(py, |interrupt| {
        let target = target.load(interrupt)?;
        let progress = interrupt.progress();
        let fitted = inkling_align::align_volume(&id, &view, &mask, &target, &settings, &progress)?;
        let maps = fitted.maps();
        Ok((fitted, maps))
    })?;
    Ok(Alignment {
        z_shift: to_numpy(py, maps.z_shift)?.unbind(),
        z_scale: to_numpy(py, maps.z_scale)?.unbind(),
        fitted,
    })
}

/// What is aligned to.
enum GivenTarget {
    BuiltIn,
    Curve(Vec<f64>),
    Fragment(inkling_fragment::Fragment),
    Path(PathBuf),
}

impl GivenTarget {
    fn new(target: &Bound<PyAny>) -> PyResult<Self> {
        if target.is_none() {
            return Ok(Self::BuiltIn);
        }
        if let Ok(fragment) = target.cast::<Fragment>() {
            return Ok(Self::Fragment(fragment.get().opened()?));
        }
        if let Ok(path) = target.extract() {
            return Ok(Self::Path(path));
        }
        let curve: Vec<f64> = target.extract().map_err(|_| {
            input("target: found neither a curve nor a fragment nor a path; expected one of them. hint: a curve is (z,), one number for each layer")
        })?;
        match curve.len() < 5 || curve.iter().any(|value| !value.is_finite()) {
            true => Err(input(format!(
                "target: found {} values, or NaN among them; expected a curve (z,) of at least 5 \
                 finite ones",
                curve.len()
            ))),
            false => Ok(Self::Curve(curve)),
        }
    }

    fn load(self, interrupt: &Interrupt) -> anyhow::Result<Target> {
        let of_fragment = |fragment: &inkling_fragment::Fragment| {
            let curves = measure_curves(fragment, &interrupt.progress())?;
            Ok(Target::new(fragment.id(), curves.all))
        };
        match self {
            Self::BuiltIn => Ok(Target::built_in()),
            Self::Curve(values) => Ok(Target::new("the curve", Curve::new(values))),
            Self::Fragment(fragment) => of_fragment(&fragment),
            Self::Path(path) if path.is_dir() => {
                of_fragment(&inkling_fragment::Fragment::open(path)?)
            }
            Self::Path(path) => Ok(Target::read(&path)?),
        }
    }
}

/// Bytes of voxels in work at once.
const BLOCK_BYTES: usize = 48 << 20;

/// Applies depth maps: layer z of the result is the volume at (z - z_shift) / z_scale, linear between layers.
///
/// Args:
///     volume: A fragment, or an array (z, y, x) of uint16, or uint8, which counts 257-fold.
///     z_shift: Shift in layers of the target, float32 (y, x). Where it is NaN, the column stays as it is.
///     z_scale: Layers of the target per layer of the volume, float32 (y, x).
///     z: First layer of the target and end (exclusive); by default as many as the volume has.
///     out: An array that the layers are written into, uint16 (z, y, x): memory that is there already is
///         written faster than new one.
///
/// Returns:
///     numpy.ndarray: uint16 (z, y, x); `out` where it was given.
///
/// Raises:
///     InputError: For arrays of other types or sizes.
///     FileError: For files that cannot be read.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> volume = numpy.arange(5, dtype=numpy.uint16)[:, None, None] * numpy.ones((1, 2, 2), numpy.uint16)
///     >>> inkling.warp(volume, numpy.ones((2, 2)), numpy.ones((2, 2)))[:, 0, 0]
///     array([0, 0, 1, 2, 3], dtype=uint16)
#[pyfunction]
#[pyo3(signature = (volume, z_shift, z_scale, *, z=None, out=None))]
pub fn warp<'py>(
    py: Python<'py>,
    volume: &Bound<'py, PyAny>,
    z_shift: &Bound<'py, PyAny>,
    z_scale: &Bound<'py, PyAny>,
    z: Option<(usize, usize)>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = GivenVolume::new(volume)?;
    let [shift, scale] = map_arrays([z_shift, z_scale], given.size())?;
    let maps = DepthMapViews {
        z_shift: shift.view(),
        z_scale: scale.view(),
    };
    let view = given.view();
    let depth = view.shape()[0];
    let z = z.unwrap_or((0, depth));
    let most = depth.saturating_mul(4).max(1024);
    if z.0 >= z.1 || z.1 > most {
        return Err(input(format!(
            "z: found ({}, {}); expected a first layer and an end (exclusive), up to {most}",
            z.0, z.1
        )));
    }
    let [height, width] = given.size();
    let shape = [z.1 - z.0, height, width];
    let mut voxels = match out {
        Some(out) => Output::given(out, shape)?,
        None => Output::zeros(py, shape)?,
    };
    let out = voxels.view_mut();
    work::long(py, |interrupt| write_warped(view, maps, z, out, interrupt))?;
    Ok(voxels.into_array())
}

/// Two maps (y, x) of a sheet of `size`: shifts and scales.
fn map_arrays([z_shift, z_scale]: [&Bound<PyAny>; 2], size: [usize; 2]) -> PyResult<[MapArray; 2]> {
    let map = |name: &'static str, object| -> PyResult<_> {
        let map = Given::new(name, object, "(y, x)")?.map()?;
        check_size(name, [map.view().nrows(), map.view().ncols()], size)?;
        Ok(map)
    };
    Ok([map("z_shift", z_shift)?, map("z_scale", z_scale)?])
}

/// Two maps (y, x) of a sheet of `size`, copied for the libraries.
pub fn depth_maps(
    z_shift: &Bound<PyAny>,
    z_scale: &Bound<PyAny>,
    size: [usize; 2],
) -> PyResult<DepthMaps> {
    let copy = |map: MapArray| map.view().as_standard_layout().into_owned();
    let [z_shift, z_scale] = map_arrays([z_shift, z_scale], size)?.map(copy);
    Ok(DepthMaps { z_shift, z_scale })
}

/// Layers `z` of the target, in blocks of rows, so that Ctrl-C is heard.
fn write_warped(
    view: VolumeView,
    maps: DepthMapViews,
    z: (usize, usize),
    mut out: ArrayViewMut3<u16>,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let [depth, height, width] = view.shape();
    let warped = Warped::new(view, Arc::new(maps), depth.max(z.1))?;
    let row = 2 * width * (2 * depth + z.1 - z.0) + 16 * width;
    let rows = (BLOCK_BYTES / row.max(1)).clamp(1, height.max(1));
    for first in (0..height).step_by(rows) {
        interrupt.check();
        let end = height.min(first + rows);
        let region = Region::new(z.0..z.1, first..end, 0..width);
        warped.read_into(&region, out.slice_mut(s![.., first..end, ..]))?;
    }
    Ok(())
}
