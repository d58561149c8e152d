//! A volume with ink added to it.

use inkling_fragment::{Error, Region, Volume};
use ndarray::{Array2, Array3, Axis, Zip, s};

/// A volume whose voxels are brighter, or darker, where strokes are planted.
pub struct Planted<'a> {
    /// The volume without them.
    pub volume: &'a dyn Volume,
    /// What ink of contrast 1 adds in each layer, in 16-bit levels.
    pub profile: &'a [f32],
    /// The strokes' contrast, (y, x); 0 where nothing is planted.
    pub contrast: Array2<f32>,
}

impl Volume for Planted<'_> {
    fn shape(&self) -> [usize; 3] {
        self.volume.shape()
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        let mut voxels = self.volume.read(region)?;
        let contrast = self.contrast.slice(s![region.y.clone(), region.x.clone()]);
        let layers = voxels
            .axis_iter_mut(Axis(0))
            .zip(&self.profile[region.z.clone()]);
        for (layer, &added) in layers {
            Zip::from(layer).and(contrast).for_each(|voxel, &contrast| {
                if contrast > 0.0 {
                    let value = f32::from(*voxel) + contrast * added;
                    *voxel = value.round().clamp(0.0, 65_535.0) as u16;
                }
            });
        }
        Ok(voxels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_added_where_it_is_planted() {
        let volume = Array3::from_elem((3, 2, 2), 100_u16);
        let planted = Planted {
            volume: &volume,
            profile: &[0.0, 20.0, -300.0],
            contrast: ndarray::array![[0.0, 0.5], [0.0, 0.0]],
        };
        let found = planted.read(&Region::new(1..3, 0..2, 0..2)).unwrap();
        assert_eq!(
            found,
            ndarray::array![[[100, 110], [100, 100]], [[100, 0], [100, 100]]]
        );
    }
}
