use std::ops::Range;

use inkling_fragment::{DepthMaps, Error as ReadError, Maps};
use ndarray::Array2;

use crate::lattice::Lattice;
use crate::patches::Depths;

/// Where the papyrus lies in depth, as it was fitted: shifts on a grid over the sheet, linear
/// between its points, and one scale. Maps of any part of the sheet are computed when asked for,
/// so that a sheet's maps need not fit in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthField {
    lattice: Lattice,
    scale: f32,
    size: [usize; 2],
}

impl DepthField {
    /// The depths of a sheet of `size` (height, width): shifts on a lattice and one scale.
    pub(crate) fn new(lattice: Lattice, scale: f64, size: [usize; 2]) -> Self {
        Self {
            lattice,
            scale: scale as f32,
            size,
        }
    }

    /// The depths of a sheet whose cells of `side`² px lie at `depths`.
    pub(crate) fn of_cells(depths: &Depths, side: usize, size: [usize; 2]) -> Self {
        let lattice = Lattice {
            values: depths.shift.clone(),
            origin: side as f64 / 2.0,
            step: side as f64,
        };
        Self::new(lattice, depths.scale, size)
    }

    /// The depths as seen from the back of a scan of `depth` layers: for a sheet whose layers
    /// were fitted in reverse order. Its scale is below 0.
    pub(crate) fn flipped(self, depth: usize) -> Self {
        let last = (depth - 1) as f32;
        let scale = self.scale;
        Self {
            lattice: Lattice {
                values: self.lattice.values.mapv(|shift| shift + scale * last),
                ..self.lattice
            },
            scale: -scale,
            size: self.size,
        }
    }

    /// Layers of the target per layer of the scan; below 0 when the layers count from the back.
    pub fn scale(&self) -> f64 {
        f64::from(self.scale)
    }

    /// The shift at pixel (y, x), in layers of the target.
    pub fn shift_at(&self, [y, x]: [usize; 2]) -> f64 {
        f64::from(self.lattice.at_pixels(y..y + 1, x..x + 1)[(0, 0)])
    }

    /// The maps of the whole sheet, both (y, x); shifts in layers of the target.
    pub fn maps(&self) -> DepthMaps {
        let [height, width] = self.size;
        self.part(0..height, 0..width)
    }

    /// Shifts of every `every`th pixel both ways, for pictures.
    pub fn thinned(&self, every: usize) -> Array2<f32> {
        let [ys, xs] = self.size.map(|size| -> Vec<f64> {
            (0..size)
                .step_by(every)
                .map(|pixel| pixel as f64 + 0.5)
                .collect()
        });
        self.lattice.at(&ys, &xs)
    }

    fn part(&self, y: Range<usize>, x: Range<usize>) -> DepthMaps {
        let z_shift = self.lattice.at_pixels(y, x);
        DepthMaps {
            z_scale: Array2::from_elem(z_shift.dim(), self.scale),
            z_shift,
        }
    }
}

impl Maps for DepthField {
    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn read(&self, y: Range<usize>, x: Range<usize>) -> Result<DepthMaps, ReadError> {
        Ok(self.part(y, x))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    fn depth_field() -> DepthField {
        let depths = Depths {
            scale: 0.5,
            shift: Array2::from_shape_fn((3, 4), |(i, j)| (2 * i + j) as f32),
        };
        DepthField::of_cells(&depths, 10, [28, 40])
    }

    #[test]
    fn a_part_is_as_the_whole() {
        let whole = depth_field().maps();
        let part = depth_field().read(5..20, 13..40).unwrap();
        assert_eq!(part.z_shift, whole.z_shift.slice(s![5..20, 13..40]));
        assert_eq!(whole.z_shift.dim(), (28, 40));
        let thinned = depth_field().thinned(3);
        assert_eq!(thinned, whole.z_shift.slice(s![..;3, ..;3]));
        assert_eq!(
            depth_field().shift_at([7, 9]),
            f64::from(whole.z_shift[(7, 9)])
        );
    }

    #[test]
    fn seen_from_the_back_a_layer_keeps_its_target() {
        let (front, back) = (depth_field(), depth_field().flipped(20));
        // Layer 4 of the reversed scan is layer 15 of the scan.
        let [front, back] = [(front, 4.0), (back, 15.0)]
            .map(|(depth_field, z)| z * depth_field.scale() + depth_field.shift_at([11, 11]));
        assert!((front - back).abs() < 1e-5, "{front}, {back}");
    }
}
