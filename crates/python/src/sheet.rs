//! A sheet in memory that samples are cut from.

use inkling_augment::Source;
use inkling_fragment::{Columns, Region, Volume};
use ndarray::Array2;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arrays::mask_of;
use crate::buffers::{mask_to_numpy, to_numpy};
use crate::errors::input;
use crate::volume::GivenVolume;
use crate::work;

/// A volume in memory with its mask and labels, laid out so that samples are cut from it fast.
///
/// `Augment` takes arrays, too; a sheet is worth its copy of the voxels from some dozens of samples on.
///
/// Args:
///     volume: A fragment, or an array (z, y, x) of uint16, or uint8, which counts 257-fold.
///     mask: Where there is papyrus, bool (y, x). By default the fragment's own; of an array, where any layer
///         is not 0.
///     labels: Where there is ink, bool (y, x). By default the fragment's own.
///     supervision: Where labels count, bool (y, x): elsewhere there are no centres of crops.
///     layers: First layer that is kept and end (exclusive); all by default.
#[pyclass(frozen, module = "inkling")]
pub struct Sheet {
    columns: Columns,
    mask: Array2<bool>,
    labels: Option<Array2<bool>>,
    supervision: Option<Array2<bool>>,
    papyrus: usize,
}

impl Sheet {
    /// What samples are cut from.
    pub fn source(&self) -> Source<'_> {
        Source {
            volume: &self.columns,
            mask: &self.mask,
            labels: self.labels.as_ref(),
            supervision: self.supervision.as_ref(),
            z: 0..self.columns.shape()[0],
        }
    }
}

/// Masks of a sheet, (y, x), as training takes them: without supervision there is neither papyrus nor ink.
pub struct SheetMasks {
    /// Where there is papyrus.
    pub mask: Array2<bool>,
    /// Where there is ink.
    pub labels: Option<Array2<bool>>,
    /// Where labels can be trusted.
    pub supervision: Option<Array2<bool>>,
}

impl SheetMasks {
    /// Those that were given with a volume, else its own.
    pub fn new(
        py: Python,
        given: &GivenVolume,
        mask: Option<&Bound<PyAny>>,
        labels: Option<&Bound<PyAny>>,
        supervision: Option<&Bound<PyAny>>,
    ) -> PyResult<Self> {
        let mut mask = given.mask(py, mask)?;
        let mut labels = given.labels(py, labels)?;
        let supervision = supervision
            .filter(|given| !given.is_none())
            .map(|supervision| mask_of("supervision", supervision, given.size()))
            .transpose()?;
        if let Some(counts) = &supervision {
            mask.zip_mut_with(counts, |papyrus, &counts| *papyrus &= counts);
            if let Some(labels) = &mut labels {
                labels.zip_mut_with(counts, |ink, &counts| *ink &= counts);
            }
        }
        Ok(Self {
            mask,
            labels,
            supervision,
        })
    }
}

/// Layers of a volume of `depth`, as they were given.
pub fn layers_of(layers: Option<(usize, usize)>, depth: usize) -> PyResult<std::ops::Range<usize>> {
    let (first, end) = layers.unwrap_or((0, depth));
    match first < end && end <= depth {
        true => Ok(first..end),
        false => Err(input(format!(
            "layers: found ({first}, {end}) of a volume of {depth}; expected a first layer and the one after \
             the last"
        ))),
    }
}

#[pymethods]
impl Sheet {
    #[new]
    #[pyo3(signature = (volume, mask=None, labels=None, supervision=None, layers=None))]
    fn new(
        py: Python,
        volume: &Bound<PyAny>,
        mask: Option<&Bound<PyAny>>,
        labels: Option<&Bound<PyAny>>,
        supervision: Option<&Bound<PyAny>>,
        layers: Option<(usize, usize)>,
    ) -> PyResult<Self> {
        let given = GivenVolume::new(volume)?;
        let SheetMasks {
            mask,
            labels,
            supervision,
        } = SheetMasks::new(py, &given, mask, labels, supervision)?;
        let size = given.size();
        let view = given.view();
        let layers = layers_of(layers, view.shape()[0])?;
        let region = Region::new(layers, 0..size[0], 0..size[1]);
        let columns = work::long(py, |_| Ok(Columns::read(&view, &region)?))?;
        Ok(Self {
            papyrus: mask.iter().filter(|&&papyrus| papyrus).count(),
            columns,
            mask,
            labels,
            supervision,
        })
    }

    /// Depth, height and width, in voxels: (z, y, x).
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        self.columns.shape().into()
    }

    /// Pixels that crops may be centred on.
    #[getter]
    fn papyrus(&self) -> usize {
        self.papyrus
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let sheet = slf.get();
        let [depth, height, width] = sheet.columns.shape();
        let whole = Region::new(0..depth, 0..height, 0..width);
        let voxels = work::long(py, |_| Ok(sheet.columns.read(&whole)?))?;
        let mask =
            |mask: Option<&Array2<bool>>| mask.map(|mask| mask_to_numpy(py, mask)).transpose();
        let arrays = (
            to_numpy(py, voxels)?,
            mask(Some(&sheet.mask))?,
            mask(sheet.labels.as_ref())?,
            mask(sheet.supervision.as_ref())?,
        );
        Ok((slf.get_type().into_any(), arrays.into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        let [depth, height, width] = self.columns.shape();
        format!("<inkling.Sheet: {depth} × {height} × {width} (z, y, x)>")
    }
}
