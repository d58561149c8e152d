//! Volumes as Python hands them in: an array, or a fragment on disk.

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array2, Array3, ArrayView3, s};
use pyo3::prelude::*;

use crate::arrays::{Given, VolumeArray, mask_of};
use crate::errors::input;
use crate::fragment::Fragment;
use crate::work;

/// A volume that was handed in.
pub enum GivenVolume {
    /// A fragment, read as it is needed.
    Fragment(inkling_fragment::Fragment),
    /// An array (z, y, x), read where it lies.
    Array(VolumeArray),
}

impl GivenVolume {
    /// Takes a fragment, or what NumPy makes an array of.
    pub fn new(object: &Bound<PyAny>) -> PyResult<Self> {
        if let Ok(fragment) = object.cast::<Fragment>() {
            return Ok(Self::Fragment(fragment.get().opened()?));
        }
        Ok(Self::Array(
            Given::new("volume", object, "(z, y, x)")?.volume()?,
        ))
    }

    /// It, to be read.
    pub fn view(&self) -> VolumeView<'_> {
        match self {
            Self::Fragment(fragment) => VolumeView::Fragment(fragment.clone()),
            Self::Array(array) => VolumeView::Array(array.view()),
        }
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        let [_, height, width] = self.view().shape();
        [height, width]
    }

    /// Its name in messages.
    pub fn id(&self) -> String {
        match self {
            Self::Fragment(fragment) => fragment.id().to_owned(),
            Self::Array(_) => "the array".to_owned(),
        }
    }

    /// The mask (y, x) that was given with it; else the fragment's own, and of an array where any layer is
    /// not 0.
    pub fn mask(&self, py: Python, given: Option<&Bound<PyAny>>) -> PyResult<Array2<bool>> {
        if let Some(given) = given.filter(|given| !given.is_none()) {
            return mask_of("mask", given, self.size());
        }
        match self {
            Self::Fragment(fragment) => work::long(py, |_| Ok(fragment.mask()?)),
            Self::Array(array) => {
                let mask = papyrus(array.view());
                match mask.iter().any(|&papyrus| papyrus) {
                    true => Ok(mask),
                    false => Err(input(
                        "volume: found 0 in every voxel; expected papyrus. hint: check the array, or give a \
                         mask (y, x)",
                    )),
                }
            }
        }
    }

    /// The labels (y, x) that were given with it, else the fragment's own.
    pub fn labels(
        &self,
        py: Python,
        given: Option<&Bound<PyAny>>,
    ) -> PyResult<Option<Array2<bool>>> {
        if let Some(given) = given.filter(|given| !given.is_none()) {
            return mask_of("labels", given, self.size()).map(Some);
        }
        match self {
            Self::Fragment(fragment) => work::long(py, |_| Ok(fragment.ink_labels()?)),
            Self::Array(_) => Ok(None),
        }
    }
}

/// Where any layer is not 0.
fn papyrus(voxels: ArrayView3<u16>) -> Array2<bool> {
    let (_, height, width) = voxels.dim();
    let mut mask = Array2::from_elem((height, width), false);
    for layer in voxels.outer_iter() {
        mask.zip_mut_with(&layer, |papyrus, &voxel| *papyrus |= voxel > 0);
    }
    mask
}

/// A volume that is read while Python waits.
#[derive(Clone)]
pub enum VolumeView<'a> {
    /// A fragment.
    Fragment(inkling_fragment::Fragment),
    /// An array.
    Array(ArrayView3<'a, u16>),
}

impl Volume for VolumeView<'_> {
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::Fragment(fragment) => fragment.shape(),
            Self::Array(array) => {
                let (depth, height, width) = array.dim();
                [depth, height, width]
            }
        }
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        match self {
            Self::Fragment(fragment) => fragment.read(region),
            Self::Array(array) => {
                region.check(Volume::shape(self))?;
                let Region { z, y, x } = region.clone();
                // In standard order, whatever the array's is.
                Ok(array.slice(s![z, y, x]).as_standard_layout().into_owned())
            }
        }
    }

    fn voxels(&self) -> Option<ArrayView3<'_, u16>> {
        match self {
            Self::Fragment(_) => None,
            Self::Array(array) => Some(array.view()),
        }
    }
}
