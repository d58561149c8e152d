use std::ops::Range;

use ndarray::Array3;

use crate::{Error, Fragment, Region, Volume};

/// A fragment by the numbers in its layers' names: of a band of files 10 to 54, layer 10 is the
/// first. Scans numbered from 0 or 1, stacks and Zarr are as they are.
#[derive(Clone, Debug)]
pub struct Numbered {
    fragment: Fragment,
    first: usize,
}

impl Numbered {
    /// The fragment by its numbers.
    pub fn new(fragment: Fragment) -> Self {
        let first = fragment.first_layer();
        Self { fragment, first }
    }

    /// Checks that all of these layers are there.
    ///
    /// # Errors
    /// [`Error::Band`].
    pub fn check(&self, wanted: &Range<usize>) -> Result<(), Error> {
        let there = self.first..self.first + self.fragment.depth();
        match there.start <= wanted.start && wanted.end <= there.end {
            true => Ok(()),
            false => Err(Error::Band {
                path: self.fragment.path().to_owned(),
                found: there,
                expected: wanted.clone(),
            }),
        }
    }
}

impl Volume for Numbered {
    fn shape(&self) -> [usize; 3] {
        let [depth, height, width] = self.fragment.shape();
        [self.first + depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        self.check(&region.z)?;
        let z = region.z.start - self.first..region.z.end - self.first;
        self.fragment.read(&Region {
            z,
            ..region.clone()
        })
    }
}
