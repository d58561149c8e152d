use std::path::Path;

use ndarray::{Array2, ArrayView2};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::{Error, write_whole};

/// Where the papyrus lies in depth: maps of the fragment's height and width, (y, x), in layers.
/// An input layer `z` belongs to the target layer `z × scale + shift`.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthMaps {
    /// Shift in layers of the target.
    pub z_shift: Array2<f32>,
    /// Layers of the target per layer of the input.
    pub z_scale: Array2<f32>,
}

impl DepthMaps {
    /// Maps that leave every layer where it is.
    pub fn identity(height: usize, width: usize) -> Self {
        Self {
            z_shift: Array2::zeros((height, width)),
            z_scale: Array2::ones((height, width)),
        }
    }

    /// Reads `z_shift.npy` and `z_scale.npy` in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Npy`]; [`Error::Size`] when they differ in size.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let z_shift = read_map(folder.join("z_shift.npy"))?;
        let path = folder.join("z_scale.npy");
        let z_scale = read_map(&path)?;
        if z_shift.dim() == z_scale.dim() {
            return Ok(Self { z_shift, z_scale });
        }
        Err(Error::Size {
            path,
            found: [z_scale.nrows(), z_scale.ncols()],
            expected: [z_shift.nrows(), z_shift.ncols()],
            like: "z_shift.npy",
            mend: "fit the maps again with `inkling align`",
        })
    }

    /// Writes `z_shift.npy` and `z_scale.npy` into `folder`, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Exists`] without `force`; [`Error::Io`].
    pub fn write(&self, folder: impl AsRef<Path>, force: bool) -> Result<(), Error> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        write_map(folder.join("z_shift.npy"), self.z_shift.view(), force)?;
        write_map(folder.join("z_scale.npy"), self.z_scale.view(), force)
    }
}

/// Reads a 2D NPY array of f32 or f64.
///
/// # Errors
/// [`Error::Io`], [`Error::Npy`].
pub fn read_map(path: impl AsRef<Path>) -> Result<Array2<f32>, Error> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Array2::<f32>::read_npy(bytes.as_slice())
        .or_else(|_| Ok(Array2::<f64>::read_npy(bytes.as_slice())?.mapv(|value| value as f32)))
        .map_err(|error: ndarray_npy::ReadNpyError| Error::Npy {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Writes a 2D NPY array of f32, whole.
///
/// # Errors
/// [`Error::Exists`] without `force`; [`Error::Io`]; [`Error::Npy`].
pub fn write_map(path: impl AsRef<Path>, map: ArrayView2<f32>, force: bool) -> Result<(), Error> {
    let path = path.as_ref();
    write_whole(path, force, |file| {
        map.write_npy(file).map_err(|error| Error::Npy {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })
}
