//! What voxels can be read from.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, CowArray, Ix3, s};

use crate::columns::Columns;
use crate::error::Error;
use crate::region::Region;

impl Region {
    /// # Errors
    /// [`Error::OutOfBounds`] unless the box lies in a volume of `shape`.
    pub fn check(&self, shape: [usize; 3]) -> Result<(), Error> {
        let inside = |range: &Range<usize>, size| range.start <= range.end && range.end <= size;
        if inside(&self.z, shape[0]) && inside(&self.y, shape[1]) && inside(&self.x, shape[2]) {
            return Ok(());
        }
        Err(Error::OutOfBounds {
            region: self.clone(),
            shape,
        })
    }
}

/// Anything that voxels can be read from: a fragment, an aligned view of one, an array.
pub trait Volume: Send + Sync {
    /// Depth, height and width, in voxels.
    fn shape(&self) -> [usize; 3];

    /// The voxels of `region`, (z, y, x), 0 to 65535.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], and what reading meets.
    fn read(&self, region: &Region) -> Result<Array3<u16>, Error>;

    /// The whole volume as columns, where it lies in memory as such.
    fn columns(&self) -> Option<&Columns> {
        None
    }

    /// The whole volume as an array (z, y, x) of any layout, where it lies in memory as such.
    fn voxels(&self) -> Option<ArrayView3<'_, u16>> {
        None
    }

    /// What [`read`](Self::read) gives, borrowed where the volume lies in memory with contiguous rows.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    fn read_or_borrow(&self, region: &Region) -> Result<CowArray<'_, u16, Ix3>, Error> {
        region.check(self.shape())?;
        let Region { z, y, x } = region.clone();
        match self.voxels().filter(|voxels| voxels.strides()[2] == 1) {
            Some(voxels) => Ok(voxels.slice_move(s![z, y, x]).into()),
            None => Ok(self.read(region)?.into()),
        }
    }
}

impl<V: Volume + ?Sized> Volume for &V {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        (**self).read(region)
    }

    fn columns(&self) -> Option<&Columns> {
        (**self).columns()
    }

    fn voxels(&self) -> Option<ArrayView3<'_, u16>> {
        (**self).voxels()
    }
}

impl<V: Volume + ?Sized> Volume for Box<V> {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        (**self).read(region)
    }

    fn columns(&self) -> Option<&Columns> {
        (**self).columns()
    }

    fn voxels(&self) -> Option<ArrayView3<'_, u16>> {
        (**self).voxels()
    }
}

impl Volume for Array3<u16> {
    fn shape(&self) -> [usize; 3] {
        let (depth, height, width) = self.dim();
        [depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(Volume::shape(self))?;
        let Region { z, y, x } = region.clone();
        Ok(self.slice(s![z, y, x]).to_owned())
    }

    fn voxels(&self) -> Option<ArrayView3<'_, u16>> {
        Some(self.view())
    }
}
