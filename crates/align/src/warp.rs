use std::ops::Range;

use inkling_fragment::WriteOptions;
use inkling_fragment::{DepthMaps, Error as ReadError, Fragment, FragmentWriter, Region, Volume};
use ndarray::{Array2, Array3, Zip, s};
use rayon::prelude::*;

use crate::Error;

/// A volume with every column shifted and scaled in depth, computed as it is read: layer `z` of
/// it reads the input at `(z − shift) / scale`, linearly between layers, rounded half up to u16.
///
/// Beyond the input's first and last layers their values go on. Where a map holds no number, or a
/// scale that is not above 0, the column stays as it is.
pub struct Warped<V> {
    volume: V,
    /// Per pixel, the input layer that target layer 0 reads, and input layers per target layer.
    columns: Array2<(f32, f32)>,
    depth: usize,
}

impl<V: Volume> Warped<V> {
    /// `volume` through `maps`, as `depth` layers of the target.
    ///
    /// # Errors
    /// [`Error::MapSize`] when the maps are of another fragment.
    pub fn new(volume: V, maps: &DepthMaps, depth: usize) -> Result<Self, Error> {
        let [_, height, width] = volume.shape();
        let found = maps.z_shift.dim();
        if found != (height, width) {
            return Err(Error::MapSize {
                found: [found.0, found.1],
                expected: [height, width],
            });
        }
        let columns = Zip::from(&maps.z_shift)
            .and(&maps.z_scale)
            .map_collect(|&shift, &scale| column(shift, scale));
        Ok(Self {
            volume,
            columns,
            depth,
        })
    }

    /// The input layers that `region` needs.
    fn needed(&self, region: &Region) -> Range<usize> {
        let depth = self.volume.shape()[0];
        let columns = self.columns.slice(s![region.y.clone(), region.x.clone()]);
        let (first, last) = (region.z.start as f32, region.z.end.saturating_sub(1) as f32);
        let mut low = f32::INFINITY;
        let mut high = f32::NEG_INFINITY;
        for &(start, step) in columns {
            low = low.min(start + first * step);
            high = high.max(start + last * step);
        }
        let clamp = |z: f32| z.clamp(0.0, (depth - 1) as f32) as usize;
        clamp(low)..(clamp(high) + 2).min(depth)
    }
}

/// (start, step) of a column: target layer `z` reads input layer `start + z × step`.
fn column(shift: f32, scale: f32) -> (f32, f32) {
    let usable = scale.is_finite() && scale > 0.0 && shift.is_finite();
    match usable {
        true => (-shift / scale, 1.0 / scale),
        false => (0.0, 1.0),
    }
}

impl<V: Volume> Volume for Warped<V> {
    fn shape(&self) -> [usize; 3] {
        let [_, height, width] = self.volume.shape();
        [self.depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, ReadError> {
        region.check(self.shape())?;
        let mut out = Array3::zeros(region.shape());
        if out.is_empty() {
            return Ok(out);
        }
        let needed = self.needed(region);
        let base = needed.start;
        let input = Region::new(needed, region.y.clone(), region.x.clone());
        let input = self.volume.read(&input)?;
        let columns = self.columns.slice(s![region.y.clone(), region.x.clone()]);
        let last = (input.dim().0 - 1) as f32;
        let plane = input.dim().1 * input.dim().2;
        let voxels = input.as_slice().expect("read gives contiguous voxels");
        out.outer_iter_mut()
            .into_par_iter()
            .enumerate()
            .for_each(|(k, mut layer)| {
                let z = (region.z.start + k) as f32;
                let pixels = layer.iter_mut().zip(&columns).enumerate();
                for (pixel, (out, &(start, step))) in pixels {
                    let place = (start + z * step - base as f32).clamp(0.0, last);
                    let below = place as usize;
                    let above = (below + 1).min(last as usize);
                    let weight = place - below as f32;
                    let (a, b) = (
                        f32::from(voxels[below * plane + pixel]),
                        f32::from(voxels[above * plane + pixel]),
                    );
                    *out = (a + (b - a) * weight + 0.5) as u16;
                }
            });
        Ok(out)
    }
}

/// Voxels that a block of rows may take, in bytes.
const BLOCK_BYTES: usize = 256 << 20;

/// Writes layers `z` of the aligned `fragment` as a fragment folder at `target`, with its mask,
/// labels and photograph.
///
/// # Errors
/// Those of [`Warped::new`], of reading and of writing.
pub fn write_warped(
    fragment: &Fragment,
    maps: &DepthMaps,
    z: Range<usize>,
    target: &std::path::Path,
    options: WriteOptions,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Fragment, Error> {
    let [depth, height, width] = fragment.shape();
    let warped = Warped::new(fragment.clone(), maps, depth.max(z.end))?;
    let mut writer = FragmentWriter::create(target, [z.len(), height, width], options)?;
    let rows = (BLOCK_BYTES / (2 * width * (depth + z.len())).max(1)).clamp(1, height.max(1));
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let region = Region::new(z.clone(), first..end, 0..width);
        writer.write_rows(warped.read(&region)?.view())?;
        progress(end as u64, height as u64);
    }
    writer.write_mask(&fragment.mask()?)?;
    if let Some(labels) = fragment.ink_labels()? {
        writer.write_ink_labels(&labels)?;
    }
    if let Some(infrared) = fragment.infrared()? {
        writer.write_infrared(&infrared)?;
    }
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp over depth: layer z holds 1000 z everywhere.
    fn ramp() -> Array3<u16> {
        Array3::from_shape_fn((20, 3, 4), |(z, _, _)| 1000 * z as u16)
    }

    fn constant(shift: f32, scale: f32) -> DepthMaps {
        DepthMaps {
            z_shift: Array2::from_elem((3, 4), shift),
            z_scale: Array2::from_elem((3, 4), scale),
        }
    }

    #[test]
    fn a_layer_reads_the_input_at_its_inverse_place() {
        let warped = Warped::new(ramp(), &constant(2.5, 0.5), 20).unwrap();
        let voxels = warped.read(&Region::new(3..6, 1..2, 2..3)).unwrap();
        // (3 − 2.5) / 0.5 = 1, (4 − 2.5) / 0.5 = 3, (5 − 2.5) / 0.5 = 5.
        assert_eq!(voxels.as_slice().unwrap(), [1000, 3000, 5000]);
        let ends = warped.read(&Region::new(0..20, 0..1, 0..1)).unwrap();
        assert_eq!((ends[(0, 0, 0)], ends[(19, 0, 0)]), (0, 19_000));
    }

    #[test]
    fn between_layers_it_is_linear() {
        let warped = Warped::new(ramp(), &constant(0.25, 1.0), 20).unwrap();
        let voxels = warped.read(&Region::new(7..8, 0..1, 0..1)).unwrap();
        assert_eq!(voxels[(0, 0, 0)], 6750);
    }

    #[test]
    fn maps_without_numbers_leave_a_column_as_it_is() {
        for maps in [
            constant(f32::NAN, 1.0),
            constant(4.0, 0.0),
            constant(1.0, f32::NAN),
        ] {
            let warped = Warped::new(ramp(), &maps, 20).unwrap();
            let voxels = warped.read(&Region::new(0..20, 0..3, 0..4)).unwrap();
            assert_eq!(voxels, ramp());
        }
    }

    #[test]
    fn a_part_reads_as_the_whole_does() {
        let maps = DepthMaps {
            z_shift: Array2::from_shape_fn((3, 4), |(y, x)| y as f32 * 1.3 - x as f32 * 0.7),
            z_scale: Array2::from_shape_fn((3, 4), |(y, x)| 0.6 + 0.1 * (y + x) as f32),
        };
        let warped = Warped::new(ramp(), &maps, 20).unwrap();
        let whole = warped.read(&Region::new(0..20, 0..3, 0..4)).unwrap();
        let part = warped.read(&Region::new(6..13, 1..3, 2..4)).unwrap();
        assert_eq!(part, whole.slice(s![6..13, 1..3, 2..4]));
    }

    #[test]
    fn maps_of_another_fragment_are_refused() {
        let maps = DepthMaps::identity(3, 5);
        assert!(matches!(
            Warped::new(ramp(), &maps, 20),
            Err(Error::MapSize { .. })
        ));
    }
}
