//! A fragment on disk or on a server, sliced like an array.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use inkling_fragment::{LabelOptions, ReadOptions, Volume};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyTuple};

use crate::buffers::{mask_to_numpy, to_numpy};
use crate::errors::{exception, input};
use crate::indexing::Index;
use crate::work;

/// A scanned piece of papyrus: a volume (z, y, x) of uint16 that is read as it is sliced, and its images.
///
/// Made by `open`. Slicing reads the box that is asked for, and no more: integers, slices with steps, and
/// `...`. `numpy.asarray(fragment)` reads all of it. `dask.array.from_array(fragment, chunks=...)` and
/// `xarray.DataArray` take it as it is.
#[pyclass(frozen, module = "inkling")]
pub struct Fragment {
    path: PathBuf,
    inner: Mutex<Option<inkling_fragment::Fragment>>,
}

impl Fragment {
    /// The fragment, unless it was closed.
    pub fn opened(&self) -> PyResult<inkling_fragment::Fragment> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| {
            input(format!(
                "{}: found a fragment that was closed; expected an open one. hint: open it again",
                self.path.display()
            ))
        })
    }

    fn shape3(&self) -> PyResult<[usize; 3]> {
        Ok(self.opened()?.shape())
    }

    fn drawing<'py>(
        &self,
        py: Python<'py>,
        read: ReadDrawing,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let fragment = self.opened()?;
        let drawing = work::long(py, |_| Ok(read(&fragment)?))?;
        drawing
            .map(|drawing| mask_to_numpy(py, &drawing))
            .transpose()
    }
}

/// Reads one of a fragment's drawings (y, x).
type ReadDrawing = fn(
    &inkling_fragment::Fragment,
) -> Result<Option<ndarray::Array2<bool>>, inkling_fragment::Error>;

/// Opens a fragment: a folder of layers, a stack of them in one TIFF, or an OME-Zarr volume.
///
/// Only headers are read. What `inkling` takes on the command line is taken here: a path, `NAME=PATH`,
/// `https://…` or `s3://…`.
///
/// Args:
///     path: The fragment.
///     level: Level of an OME-Zarr volume, 0 the finest.
///     flip: Takes the layers in reverse order.
///     voxels: "auto" reads 16-bit voxels as 8 or 12 bits where their largest value says so; "as-is" does
///         not.
///     labels_ink: The value that is ink in label images; by default all that is drawn.
///     invert_labels: Ink is dark on a light ground in label images.
///
/// Returns:
///     Fragment: Its shape is (z, y, x), its dtype uint16, 0 to 65535.
///
/// Raises:
///     FileError: For a path that is not there or cannot be read as a fragment.
///
/// Examples:
///     >>> import inkling, tempfile
///     >>> folder = tempfile.mkdtemp() + "/phantom"
///     >>> inkling.write_phantom(folder, size=(64, 48), depth=20)
///     >>> fragment = inkling.open(folder)
///     >>> fragment.shape, fragment.dtype
///     ((20, 64, 48), dtype('uint16'))
///     >>> fragment[5:10, ::2, -1].shape
///     (5, 32)
#[pyfunction]
#[pyo3(signature = (path, *, level=0, flip=false, voxels="auto", labels_ink=None, invert_labels=false))]
pub fn open(
    py: Python,
    path: PathBuf,
    level: usize,
    flip: bool,
    voxels: &str,
    labels_ink: Option<u16>,
    invert_labels: bool,
) -> PyResult<Fragment> {
    let voxels_as_is = match voxels {
        "auto" => false,
        "as-is" => true,
        other => {
            return Err(input(format!(
                "voxels: found {other}; expected auto or as-is"
            )));
        }
    };
    let options = ReadOptions {
        level,
        flip,
        voxels_as_is,
        labels: LabelOptions {
            ink: labels_ink,
            invert: invert_labels,
        },
    };
    Fragment::opened_at(py, path, options)
}

impl Fragment {
    fn opened_at(py: Python, path: PathBuf, options: ReadOptions) -> PyResult<Self> {
        let opened = work::long(py, |_| {
            Ok(inkling_fragment::Fragment::open_named(&path, options)?)
        })?;
        Ok(Self {
            path,
            inner: Mutex::new(Some(opened)),
        })
    }
}

#[pymethods]
impl Fragment {
    /// Depth, height and width, in voxels: (z, y, x).
    #[getter]
    fn shape(&self) -> PyResult<(usize, usize, usize)> {
        let [depth, height, width] = self.shape3()?;
        Ok((depth, height, width))
    }

    /// The number of axes: 3.
    #[getter]
    fn ndim(&self) -> usize {
        3
    }

    /// Number of voxels.
    #[getter]
    fn size(&self) -> PyResult<usize> {
        Ok(self.shape3()?.iter().product())
    }

    /// Bytes of all voxels.
    #[getter]
    fn nbytes(&self) -> PyResult<usize> {
        Ok(2 * self.size()?)
    }

    /// numpy.dtype('uint16'): 0 to 65535, whatever the files' own bits are.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("numpy")?.call_method1("dtype", ("uint16",))
    }

    /// The fragment's name.
    #[getter]
    fn id(&self) -> PyResult<String> {
        Ok(self.opened()?.id().to_owned())
    }

    /// The path that it was opened by.
    #[getter]
    fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Names of an OME-Zarr volume's levels, the finest first; none of a folder of layers.
    #[getter]
    fn levels(&self) -> PyResult<Vec<String>> {
        Ok(self.opened()?.levels().to_vec())
    }

    /// Where there is papyrus: bool (y, x), from the mask, or where any layer is not 0. Read anew each time.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fragment = self.opened()?;
        mask_to_numpy(py, &work::long(py, |_| Ok(fragment.mask()?))?)
    }

    /// Where there is ink: bool (y, x); None without labels.
    #[getter]
    fn ink_labels<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.drawing(py, inkling_fragment::Fragment::ink_labels)
    }

    /// Where labels can be trusted: bool (y, x); None without such a mask.
    #[getter]
    fn supervision_mask<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.drawing(py, inkling_fragment::Fragment::supervision_mask)
    }

    /// What training must not see: bool (y, x); None without such a mask.
    #[getter]
    fn validation_mask<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.drawing(py, inkling_fragment::Fragment::validation_mask)
    }

    /// The infrared photograph: uint8 (y, x); None without one.
    #[getter]
    fn infrared<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let fragment = self.opened()?;
        let image = work::long(py, |_| Ok(fragment.infrared()?))?;
        image.map(|image| to_numpy(py, image)).transpose()
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.shape3()?[0])
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let fragment = self.opened()?;
        let index = Index::parse(index, fragment.shape())?;
        let voxels = work::long(py, |interrupt| Ok(index.read(&fragment, interrupt)?))?;
        let mut voxels = voxels.into_dyn();
        for axis in index.single_axes() {
            voxels = voxels.index_axis_move(axis, 0);
        }
        let array = to_numpy(py, voxels)?;
        match array.getattr("ndim")?.extract::<usize>()? {
            // A number, as NumPy has it.
            0 => array.get_item(PyTuple::empty(py)),
            _ => Ok(array),
        }
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(PyTypeError::new_err(
                "a fragment is read from files, which makes an array; copy=False cannot be had",
            ));
        }
        let array = self.__getitem__(py, &PyEllipsis::get(py).to_owned().into_any())?;
        match dtype {
            Some(dtype) if !dtype.is_none() => array.call_method1("astype", (dtype,)),
            _ => Ok(array),
        }
    }

    /// Forgets the files; reading after that is an error.
    fn close(&self) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<PyTuple>) {
        self.close();
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PathBuf, String))> {
        let options = serde_json::to_string(&self.opened()?.options())
            .map_err(|error| exception(&error.into()))?;
        let open = py.import("inkling._inkling")?.getattr("Fragment")?;
        Ok((open.getattr("_reopen")?, (self.path.clone(), options)))
    }

    /// Opens a fragment that was pickled.
    #[staticmethod]
    fn _reopen(py: Python, path: PathBuf, options: &str) -> PyResult<Self> {
        let options = serde_json::from_str(options)
            .map_err(|error| exception(&anyhow::Error::from(error)))?;
        Self::opened_at(py, path, options)
    }

    fn __repr__(&self) -> String {
        let path = self.path.display();
        match self.shape3() {
            Ok([depth, height, width]) => {
                format!("<inkling.Fragment {path}: {depth} × {height} × {width} uint16 (z, y, x)>")
            }
            Err(_) => format!("<inkling.Fragment {path}: closed>"),
        }
    }
}
