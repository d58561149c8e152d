use std::io::Write;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, ArrayView2, s};
use ndarray_npy::WriteNpyExt;

use crate::npy_file::{NpyFile, write_header};
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

    /// The maps where they lie.
    pub fn view(&self) -> DepthMapViews<'_> {
        DepthMapViews {
            z_shift: self.z_shift.view(),
            z_scale: self.z_scale.view(),
        }
    }

    /// Reads `z_shift.npy` and `z_scale.npy` in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Npy`]; [`Error::Size`] when they differ in size.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let files = MapFiles::open(folder)?;
        let [height, width] = files.size();
        files.read(0..height, 0..width)
    }

    /// Writes `z_shift.npy` and `z_scale.npy` into `folder`, which is made if need be.
    ///
    /// # Errors
    /// Those of [`write_maps`].
    pub fn write(&self, folder: impl AsRef<Path>, force: bool) -> Result<(), Error> {
        write_maps(folder, self, force)
    }
}

/// Anything that depth maps of parts of a sheet can be had from: maps in memory, their files, a
/// fitted relief.
pub trait Maps: Send + Sync {
    /// Height and width, in pixels.
    fn size(&self) -> [usize; 2];

    /// The maps of rows `y` and columns `x`, which lie within the size.
    ///
    /// # Errors
    /// What reading meets.
    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, Error>;
}

impl<M: Maps + ?Sized> Maps for &M {
    fn size(&self) -> [usize; 2] {
        (**self).size()
    }

    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, Error> {
        (**self).read(y, x)
    }
}

impl Maps for DepthMaps {
    fn size(&self) -> [usize; 2] {
        self.view().size()
    }

    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, Error> {
        self.view().read(y, x)
    }
}

/// [`DepthMaps`] that lie in memory of others, such as NumPy's, with any strides.
#[derive(Clone, Copy, Debug)]
pub struct DepthMapViews<'a> {
    /// Shift in layers of the target, (y, x).
    pub z_shift: ArrayView2<'a, f32>,
    /// Layers of the target per layer of the input, (y, x).
    pub z_scale: ArrayView2<'a, f32>,
}

impl Maps for DepthMapViews<'_> {
    fn size(&self) -> [usize; 2] {
        [self.z_shift.nrows(), self.z_shift.ncols()]
    }

    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, Error> {
        let part = |map: &ArrayView2<f32>| map.slice(s![y.clone(), x.clone()]).to_owned();
        Ok(DepthMaps {
            z_shift: part(&self.z_shift),
            z_scale: part(&self.z_scale),
        })
    }
}

/// `z_shift.npy` and `z_scale.npy` on disk, read part by part: a scroll's maps are gigabytes.
#[derive(Clone, Debug)]
pub struct MapFiles {
    z_shift: NpyFile,
    z_scale: NpyFile,
}

impl MapFiles {
    /// Opens the maps in `folder`; reads their headers only.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Npy`]; [`Error::Size`] when they differ in size.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let z_shift = NpyFile::open(folder.as_ref().join("z_shift.npy"))?;
        let z_scale = NpyFile::open(folder.as_ref().join("z_scale.npy"))?;
        if z_shift.size == z_scale.size {
            return Ok(Self { z_shift, z_scale });
        }
        Err(Error::Size {
            found: z_scale.size,
            expected: z_shift.size,
            path: z_scale.path,
            like: "z_shift.npy",
            hint: "fit the maps again with `inkling align`",
        })
    }
}

impl Maps for MapFiles {
    fn size(&self) -> [usize; 2] {
        self.z_shift.size
    }

    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, Error> {
        Ok(DepthMaps {
            z_shift: self.z_shift.read(&y, &x)?,
            z_scale: self.z_scale.read(&y, &x)?,
        })
    }
}

/// Reads a 2D NPY array of numbers, (y, x).
///
/// # Errors
/// [`Error::Io`], [`Error::Npy`]; [`Error::Truncated`].
pub fn read_map(path: impl AsRef<Path>) -> Result<Array2<f32>, Error> {
    let file = NpyFile::open(path.as_ref().to_owned())?;
    let [height, width] = file.size;
    file.read(&(0..height), &(0..width))
}

/// Rows of maps that are in memory at once while they are written.
const BLOCK: usize = 256;

/// Writes `z_shift.npy` and `z_scale.npy` into `folder`, which is made if need be, block by block.
///
/// # Errors
/// [`Error::Exists`] without `force`; [`Error::Io`]; those of reading `maps`.
pub fn write_maps(folder: impl AsRef<Path>, maps: &dyn Maps, force: bool) -> Result<(), Error> {
    let folder = folder.as_ref();
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let shift = |maps: DepthMaps| maps.z_shift;
    let scale = |maps: DepthMaps| maps.z_scale;
    write_blocks(&folder.join("z_shift.npy"), maps, shift, force)?;
    write_blocks(&folder.join("z_scale.npy"), maps, scale, force)
}

fn write_blocks(
    path: &Path,
    maps: &dyn Maps,
    which: fn(DepthMaps) -> Array2<f32>,
    force: bool,
) -> Result<(), Error> {
    let [height, width] = maps.size();
    write_whole(path, force, |file| {
        write_header(file, path, [height, width])?;
        for first in (0..height).step_by(BLOCK) {
            let rows = first..height.min(first + BLOCK);
            let values = which(maps.read(rows, 0..width)?);
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(Error::io(path))?;
        }
        Ok(())
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
