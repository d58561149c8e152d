//! Arrays that cross between Python and the libraries without being copied, by the buffer protocol: NumPy's
//! arrays are read where they lie, and NumPy looks at the libraries' arrays where these lie.

use std::any::Any;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use ndarray::{Array, ArrayView, ArrayViewMut3, Axis, Dimension, ShapeBuilder};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::errors::input;

/// An array of Python's, held so that it is neither moved nor freed.
pub struct Borrowed<T: Element, D> {
    buffer: PyBuffer<T>,
    shape: D,
    /// Elements from one place to the next along each axis.
    strides: Vec<isize>,
}

impl<T: Element, D: Dimension> Borrowed<T, D> {
    /// Borrows `array`, whose elements must be of the type `T`, in the machine's byte order and aligned.
    pub fn new(array: &Bound<PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::<T>::get(array)
            .map_err(|error| input(format!("found an array that cannot be read: {error}")))?;
        let mut shape = D::zeros(buffer.dimensions());
        shape.slice_mut().copy_from_slice(buffer.shape());
        let size = size_of::<T>() as isize;
        let strides = buffer.strides().iter();
        let strides = strides.map(|bytes| (bytes % size == 0).then_some(bytes / size));
        let strides = strides.collect::<Option<Vec<_>>>().ok_or_else(|| {
            input("found an array whose elements lie apart by parts of themselves; expected whole ones. hint: \
                   give array.copy()")
        })?;
        Ok(Self {
            buffer,
            shape,
            strides,
        })
    }

    /// Its elements, where they lie. Whoever changes them from another thread meanwhile gets what he asks for.
    pub fn view(&self) -> ArrayView<'_, T, D> {
        let mut first = self.buffer.buf_ptr() as *const T;
        let mut strides = D::zeros(self.strides.len());
        for (axis, &stride) in self.strides.iter().enumerate() {
            let length = self.shape[axis];
            strides[axis] = stride.unsigned_abs();
            if stride < 0 && length > 0 {
                // The view begins at the lowest address and is turned round below.
                first = first.wrapping_offset(stride * (length as isize - 1));
            }
        }
        let shape = self.shape.clone().strides(strides);
        #[allow(unsafe_code, reason = "a view of memory that Python owns")]
        // SAFETY: the buffer protocol vouches for shape, strides, type and alignment of the memory, which the
        // buffer keeps alive and in its place as long as `self` is borrowed.
        let mut view = unsafe { ArrayView::from_shape_ptr(shape, first) };
        for (axis, &stride) in self.strides.iter().enumerate() {
            if stride < 0 {
                view.invert_axis(Axis(axis));
            }
        }
        view
    }
}

/// An array (z, y, x) of NumPy's that the libraries write.
pub struct Output<'py, T: Element> {
    array: Bound<'py, PyAny>,
    buffer: PyBuffer<T>,
}

impl<'py, T: Exported> Output<'py, T> {
    /// A new one, of zeros. NumPy asks the system for large pages, which take a tenth of the time until they can
    /// be written.
    pub fn zeros(py: Python<'py>, shape: [usize; 3]) -> PyResult<Self> {
        let numpy = py.import("numpy")?;
        let format = T::FORMAT.to_string_lossy();
        let array = numpy.call_method1("zeros", (shape, format))?;
        let buffer = PyBuffer::get(&array)?;
        Ok(Self { array, buffer })
    }

    /// One that was handed in as `out`.
    pub fn given(array: &Bound<'py, PyAny>, shape: [usize; 3]) -> PyResult<Self> {
        let name = T::NAME;
        let refused = |found: String| {
            input(format!(
                "out: found {found}; expected an array of {name}, {shape:?}, in standard order, that can be written"
            ))
        };
        let buffer = PyBuffer::<T>::get(array)
            .map_err(|error| refused(format!("what is no array of {name} ({error})")))?;
        if buffer.shape() != shape {
            return Err(refused(format!("{:?}", buffer.shape())));
        }
        if buffer.readonly() {
            return Err(refused("a read-only array".to_owned()));
        }
        if !buffer.is_c_contiguous() {
            return Err(refused("an array in another order".to_owned()));
        }
        Ok(Self {
            array: array.clone(),
            buffer,
        })
    }

    /// Its elements. Whoever looks at them from another thread meanwhile sees them change.
    pub fn view_mut(&mut self) -> ArrayViewMut3<'_, T> {
        let shape: [usize; 3] = std::array::from_fn(|axis| self.buffer.shape()[axis]);
        let first = match self.buffer.item_count() {
            0 => std::ptr::NonNull::dangling().as_ptr(),
            _ => self.buffer.buf_ptr().cast(),
        };
        #[allow(unsafe_code, reason = "a view of memory that Python owns")]
        // SAFETY: the buffer protocol vouches for shape, type and alignment of the memory, which is writable and
        // in standard order, and which the buffer keeps alive and in its place as long as `self` is borrowed.
        unsafe {
            ArrayViewMut3::from_shape_ptr(shape, first)
        }
    }

    /// The array, for Python.
    pub fn into_array(self) -> Bound<'py, PyAny> {
        self.array
    }
}

/// A type of elements that arrays go out with.
pub trait Exported: Element + Send + Sync + 'static {
    /// Its letter in the buffer protocol.
    const FORMAT: &'static CStr;
    /// Its name in NumPy.
    const NAME: &'static str;
}

impl Exported for u8 {
    const FORMAT: &'static CStr = c"B";
    const NAME: &'static str = "uint8";
}

impl Exported for u16 {
    const FORMAT: &'static CStr = c"H";
    const NAME: &'static str = "uint16";
}

impl Exported for i64 {
    const FORMAT: &'static CStr = c"q";
    const NAME: &'static str = "int64";
}

impl Exported for f32 {
    const FORMAT: &'static CStr = c"f";
    const NAME: &'static str = "float32";
}

impl Exported for f64 {
    const FORMAT: &'static CStr = c"d";
    const NAME: &'static str = "float64";
}

/// An array of the libraries, given away to Python.
#[pyclass(frozen)]
struct Given {
    /// Holds the memory until Python is done with it.
    _owner: Arc<dyn Any + Send + Sync>,
    /// Its address.
    first: usize,
    bytes: isize,
    item: isize,
    format: &'static CStr,
    shape: Vec<isize>,
    strides: Vec<isize>,
}

#[pymethods]
impl Given {
    #[allow(unsafe_code, reason = "Python's protocol is one of pointers")]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("found no place for the view"));
        }
        let given = slf.get();
        let asked = |flag: c_int| flags & flag == flag;
        let shape = given.shape.as_ptr().cast_mut();
        let strides = given.strides.as_ptr().cast_mut();
        let format = given.format.as_ptr().cast_mut();
        // SAFETY: `view` is Python's to be filled. Memory, shape, strides and format live as long as `given`,
        // which the view holds; nobody in Rust touches the elements again.
        unsafe {
            (*view).buf = given.first as *mut c_void;
            (*view).len = given.bytes;
            (*view).readonly = 0;
            (*view).itemsize = given.item;
            (*view).ndim = given.shape.len() as c_int;
            (*view).format = if asked(ffi::PyBUF_FORMAT) {
                format
            } else {
                null_mut()
            };
            (*view).shape = if asked(ffi::PyBUF_ND) {
                shape
            } else {
                null_mut()
            };
            (*view).strides = if asked(ffi::PyBUF_STRIDES) {
                strides
            } else {
                null_mut()
            };
            (*view).suboffsets = null_mut();
            (*view).internal = null_mut();
            (*view).obj = slf.into_any().into_ptr();
        }
        Ok(())
    }
}

/// `array` as one of NumPy's, which keeps its memory; what is not in standard order is copied into it.
pub fn to_numpy<'py, T: Exported, D: Dimension>(
    py: Python<'py>,
    array: Array<T, D>,
) -> PyResult<Bound<'py, PyAny>> {
    let numpy = py.import("numpy")?;
    let array = match array.is_standard_layout() {
        true => array,
        false => array.as_standard_layout().into_owned(),
    };
    let shape = array.shape().to_vec();
    let (elements, offset) = array.into_raw_vec_and_offset();
    if elements.is_empty() {
        // There is nothing to point at.
        let format = T::FORMAT.to_string_lossy();
        return numpy.call_method1("empty", (shape, format));
    }
    let first = elements.as_ptr().wrapping_add(offset.unwrap_or(0));
    let elements: Arc<dyn Any + Send + Sync> = Arc::new(elements);
    part_to_numpy(py, &elements, first, &shape)
}

/// A part of `owner`'s memory, from `first` on in standard order, as one of NumPy's arrays, which holds the
/// owner as long as it is looked at.
pub fn part_to_numpy<'py, T: Exported>(
    py: Python<'py>,
    owner: &Arc<dyn Any + Send + Sync>,
    first: *const T,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let item = size_of::<T>() as isize;
    let shape: Vec<isize> = shape.iter().map(|&size| size as isize).collect();
    let mut strides = vec![item; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let given = Given {
        first: first as usize,
        bytes: item * shape.iter().product::<isize>(),
        item,
        format: T::FORMAT,
        shape,
        strides,
        _owner: Arc::clone(owner),
    };
    let numpy = py.import("numpy")?;
    numpy.call_method1("asarray", (Bound::new(py, given)?,))
}

/// Truth values as an array of NumPy's.
pub fn mask_to_numpy<'py, D: Dimension>(
    py: Python<'py>,
    mask: &Array<bool, D>,
) -> PyResult<Bound<'py, PyAny>> {
    // Bytes of 0 and 1 are what NumPy's bool is.
    to_numpy(py, mask.mapv(u8::from))?.call_method1("view", ("bool",))
}
