//! Volumes turned into columns, and columns read as a volume.

use std::ops::Range;

use ndarray::Array3;

use crate::columns::Columns;
use crate::error::Error;
use crate::region::Region;
use crate::volume::Volume;

/// Rows that are read at once while a volume is turned into columns.
const BAND: usize = 64;

impl Columns {
    /// The voxels of `region` of `volume`, read band by band.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(volume: &dyn Volume, region: &Region) -> Result<Self, Error> {
        region.check(volume.shape())?;
        let mut columns = Self::default();
        let start = |range: &Range<usize>| range.start as i64;
        columns.fill(
            volume,
            region.z.clone(),
            (start(&region.y), region.y.len()),
            (start(&region.x), region.x.len()),
        )?;
        Ok(columns)
    }

    /// Reads layers `z` of rows and columns given as (first, count) over what was here, keeping
    /// the memory. Places beyond the volume's sides are 0.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`] for layers that are not there, and what reading meets.
    pub fn fill(
        &mut self,
        volume: &dyn Volume,
        z: Range<usize>,
        rows: (i64, usize),
        columns: (i64, usize),
    ) -> Result<(), Error> {
        let [_, height, width] = volume.shape();
        self.reset([z.len(), rows.1, columns.1]);
        let inside = |(first, count): (i64, usize), size: usize| {
            let limit = |place: i64| place.clamp(0, size as i64) as usize;
            limit(first)..limit(first + count as i64)
        };
        let (ys, xs) = (inside(rows, height), inside(columns, width));
        let left = (xs.start as i64 - columns.0) as usize;
        for top in ys.clone().step_by(BAND) {
            let band = top..(top + BAND).min(ys.end);
            let layers = volume.read(&Region::new(z.clone(), band, xs.clone()))?;
            self.put(layers.view(), (top as i64 - rows.0) as usize, left);
        }
        Ok(())
    }
}

impl Volume for Columns {
    fn shape(&self) -> [usize; 3] {
        self.size()
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.size())?;
        let [depth, _, width] = self.size();
        let Region { z, y, x } = region;
        let mut layers = Array3::zeros((z.len(), y.len(), x.len()));
        for (k, mut layer) in layers.outer_iter_mut().enumerate() {
            for (j, mut row) in layer.outer_iter_mut().enumerate() {
                let first = ((y.start + j) * width + x.start) * depth + z.start + k;
                let places = self.voxels()[first..].iter().step_by(depth);
                for (voxel, &place) in row.iter_mut().zip(places) {
                    *voxel = place;
                }
            }
        }
        Ok(layers)
    }

    fn columns(&self) -> Option<&Columns> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn layers() -> Array3<u16> {
        Array3::from_shape_fn((5, 150, 9), |(z, y, x)| (z * 10_000 + y * 20 + x) as u16)
    }

    #[test]
    fn columns_hold_what_layers_held() {
        let layers = layers();
        let region = Region::new(1..4, 3..140, 2..9);
        let columns = Columns::read(&layers, &region).unwrap();
        let again = columns.read(&Region::new(1..3, 70..80, 0..5)).unwrap();
        assert_eq!(again, layers.slice(s![2..4, 73..83, 2..7]));
        let whole = Columns::from_layers(layers.view());
        assert_eq!(
            whole.read(&region).unwrap(),
            layers.slice(s![1..4, 3..140, 2..9])
        );
        assert_eq!(whole.voxels()[..5], [0, 10_000, 20_000, 30_000, 40_000]);
    }

    #[test]
    fn places_beyond_the_sides_are_dark() {
        let layers = layers();
        let mut columns = Columns::from_layers(layers.view());
        columns.fill(&layers, 0..5, (-2, 4), (7, 5)).unwrap();
        let all = columns.read(&Region::new(0..5, 0..4, 0..5)).unwrap();
        for ((z, y, x), &voxel) in all.indexed_iter() {
            let inside = y >= 2 && x < 2;
            let expected = if inside { layers[(z, y - 2, x + 7)] } else { 0 };
            assert_eq!(voxel, expected, "({z}, {y}, {x})");
        }
    }
}
