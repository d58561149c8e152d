//! NumPy's basic indexing: integers, slices with steps, and an ellipsis.

use inkling_fragment::{Region, Volume};
use ndarray::{Array3, Axis, Slice, s};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PySlice, PyTuple};

use crate::errors::input;
use crate::work::Interrupt;

/// What is wanted along one axis: `count` places from `start` on, `step` apart.
#[derive(Clone, Copy)]
struct Places {
    start: isize,
    step: isize,
    count: usize,
    /// An integer asked for it: the axis goes.
    single: bool,
}

impl Places {
    fn all(size: usize) -> Self {
        Self {
            start: 0,
            step: 1,
            count: size,
            single: false,
        }
    }

    fn parse(item: &Bound<PyAny>, size: usize, axis: usize) -> PyResult<Self> {
        if let Ok(slice) = item.cast::<PySlice>() {
            let found = slice.indices(size as isize)?;
            return Ok(Self {
                start: found.start,
                step: found.step,
                count: found.slicelength,
                single: false,
            });
        }
        let number = match item.is_instance_of::<PyBool>() {
            true => None,
            false => item.call_method0("__index__").ok(),
        };
        let Some(number) = number else {
            return Err(input(format!(
                "found an index of type {}; expected integers, slices and ... hint: read the box around it, \
                 fragment[z, y, x], and index the array",
                item.get_type().name()?
            )));
        };
        let index: isize = number.extract()?;
        let from_start = if index < 0 {
            index + size as isize
        } else {
            index
        };
        if from_start < 0 || from_start >= size as isize {
            return Err(PyIndexError::new_err(format!(
                "found index {index} of axis {axis}; expected {} to {}",
                -(size as isize),
                size as isize - 1
            )));
        }
        Ok(Self {
            start: from_start,
            step: 1,
            count: 1,
            single: true,
        })
    }

    /// The smallest range around all places.
    fn range(&self) -> std::ops::Range<usize> {
        if self.count == 0 {
            return 0..0;
        }
        let last = self.start + self.step * (self.count as isize - 1);
        self.start.min(last) as usize..self.start.max(last) as usize + 1
    }

    /// The places within their range.
    fn within(&self) -> Slice {
        Slice::new(0, None, if self.count == 0 { 1 } else { self.step })
    }
}

/// The voxels that an index asks for.
pub struct Index([Places; 3]);

impl Index {
    /// # Errors
    /// `IndexError` beyond the volume; `InputError` for other kinds of indices.
    pub fn parse(item: &Bound<PyAny>, shape: [usize; 3]) -> PyResult<Self> {
        let items: Vec<Bound<PyAny>> = match item.cast::<PyTuple>() {
            Ok(items) => items.iter().collect(),
            Err(_) => vec![item.clone()],
        };
        let is_ellipsis = |item: &Bound<PyAny>| item.is_instance_of::<PyEllipsis>();
        let ellipses = items.iter().filter(|item| is_ellipsis(item)).count();
        let given = items.len() - ellipses;
        if given > 3 || ellipses > 1 {
            return Err(PyIndexError::new_err(format!(
                "found {given} indices and {ellipses} ellipses; expected up to 3 and 1, for (z, y, x)"
            )));
        }
        let mut places = shape.map(Places::all);
        let mut axis = 0;
        for item in &items {
            if is_ellipsis(item) {
                axis += 3 - given;
                continue;
            }
            places[axis] = Places::parse(item, shape[axis], axis)?;
            axis += 1;
        }
        Ok(Self(places))
    }

    /// Axes that integers asked for, the last one first.
    pub fn single_axes(&self) -> impl Iterator<Item = Axis> {
        let axes = (0..3).rev().filter(|&axis| self.0[axis].single);
        axes.map(Axis)
    }

    /// The voxels, (z, y, x): layers that lie apart are read one by one, and bands of rows one after the
    /// other, between which `interrupt` is asked.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(
        &self,
        volume: &dyn Volume,
        interrupt: &Interrupt,
    ) -> Result<Array3<u16>, inkling_fragment::Error> {
        let [z, y, x] = self.0;
        let mut voxels = Array3::zeros((z.count, y.count, x.count));
        if voxels.is_empty() {
            return Ok(voxels);
        }
        if z.step.abs() == 1 {
            self.read_layers(volume, z.range(), interrupt, &mut voxels)?;
            if z.step < 0 {
                voxels.invert_axis(Axis(0));
            }
            return Ok(voxels);
        }
        for index in 0..z.count {
            let layer = (z.start + z.step * index as isize) as usize;
            let mut one = Array3::zeros((1, y.count, x.count));
            self.read_layers(volume, layer..layer + 1, interrupt, &mut one)?;
            voxels.slice_mut(s![index..index + 1, .., ..]).assign(&one);
        }
        Ok(voxels)
    }

    /// Reads layers `z` into `out`.
    fn read_layers(
        &self,
        volume: &dyn Volume,
        z: std::ops::Range<usize>,
        interrupt: &Interrupt,
        out: &mut Array3<u16>,
    ) -> Result<(), inkling_fragment::Error> {
        let [_, y, x] = self.0;
        let (ys, xs) = (y.range(), x.range());
        if ys.len() <= BAND {
            let voxels = volume.read(&Region::new(z, ys, xs))?;
            *out = voxels
                .slice_axis(Axis(1), y.within())
                .slice_axis(Axis(2), x.within())
                .as_standard_layout()
                .into_owned();
            return Ok(());
        }
        let mut row = 0;
        while row < y.count {
            interrupt.check();
            let count = (BAND / y.step.unsigned_abs()).clamp(1, y.count - row);
            let part = Places {
                start: y.start + y.step * row as isize,
                count,
                ..y
            };
            let voxels = volume.read(&Region::new(z.clone(), part.range(), xs.clone()))?;
            let voxels = voxels.slice_axis(Axis(1), part.within());
            let voxels = voxels.slice_axis(Axis(2), x.within());
            out.slice_mut(s![.., row..row + count, ..]).assign(&voxels);
            row += count;
        }
        Ok(())
    }
}

/// Rows that are read at once.
const BAND: usize = 1024;
