use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inkling_fragment::{
    Error as ReadError, Fragment, FragmentWriter, Maps, Region, Volume, WriteOptions,
};
use ndarray::{Array2, Array3, Zip};
use rayon::prelude::*;
use serde::Serialize;

use crate::Error;

/// A volume with every column shifted and scaled in depth, computed as it is read: layer `z` of
/// it reads the input at `(z − shift) / scale`, linearly between layers, rounded half up to u16.
///
/// Beyond the input's first and last layers their values go on. A scale below 0 takes the layers
/// in reverse order. Where a map holds no number, or a scale of 0, the column stays as it is.
pub struct Warped<V> {
    volume: V,
    maps: Arc<dyn Maps>,
    depth: usize,
}

impl<V: Volume> Warped<V> {
    /// `volume` through `maps`, as `depth` layers of the target.
    ///
    /// # Errors
    /// [`Error::MapSize`] when the maps are of another fragment.
    pub fn new(volume: V, maps: Arc<dyn Maps>, depth: usize) -> Result<Self, Error> {
        let [_, height, width] = volume.shape();
        let found = maps.size();
        if found != [height, width] {
            return Err(Error::MapSize {
                found,
                expected: [height, width],
            });
        }
        Ok(Self {
            volume,
            maps,
            depth,
        })
    }
}

/// One column: target layer `z` reads input layer `start + z × step`.
#[derive(Clone, Copy)]
struct Column {
    start: f32,
    step: f32,
}

impl Column {
    fn new(shift: f32, scale: f32) -> Self {
        let usable = scale.is_finite() && scale != 0.0 && shift.is_finite();
        match usable {
            true => Self {
                start: -shift / scale,
                step: 1.0 / scale,
            },
            false => Self {
                start: 0.0,
                step: 1.0,
            },
        }
    }
}

/// The input layers, of `depth`, that target layers `z` of `columns` need.
fn needed(columns: &Array2<Column>, z: &Range<usize>, depth: usize) -> Range<usize> {
    let (first, last) = (z.start as f32, z.end.saturating_sub(1) as f32);
    let mut low = f32::INFINITY;
    let mut high = f32::NEG_INFINITY;
    for column in columns {
        let ends = [first, last].map(|z| column.start + z * column.step);
        low = low.min(ends[0]).min(ends[1]);
        high = high.max(ends[0]).max(ends[1]);
    }
    let clamp = |z: f32| z.clamp(0.0, (depth - 1) as f32) as usize;
    clamp(low)..(clamp(high) + 2).min(depth)
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
        let maps = self.maps.read(region.y.clone(), region.x.clone())?;
        let columns = Zip::from(&maps.z_shift)
            .and(&maps.z_scale)
            .map_collect(|&shift, &scale| Column::new(shift, scale));
        let needed = needed(&columns, &region.z, self.volume.shape()[0]);
        let base = needed.start as f32;
        let input = Region::new(needed, region.y.clone(), region.x.clone());
        let input = self.volume.read(&input)?;
        let columns = columns.as_slice().expect("made in standard order");
        out.outer_iter_mut()
            .into_par_iter()
            .enumerate()
            .for_each(|(k, mut layer)| {
                let z = (region.z.start + k) as f32;
                let layer = layer.as_slice_mut().expect("layers are contiguous");
                read_layer(&input, base, columns, z, layer);
            });
        Ok(out)
    }
}

/// Target layer `z` of all columns from `input`, whose first layer is `base`.
fn read_layer(input: &Array3<u16>, base: f32, columns: &[Column], z: f32, layer: &mut [u16]) {
    let plane = columns.len();
    let last = (input.dim().0 - 1) as f32;
    let above_last = (input.dim().0 - 1) * plane;
    let voxels = input.as_slice().expect("read gives contiguous voxels");
    for (pixel, (out, column)) in layer.iter_mut().zip(columns).enumerate() {
        let place = (column.start + z * column.step - base).clamp(0.0, last);
        let below = place as u32;
        let weight = place - below as f32;
        let lower = below as usize * plane;
        let upper = (lower + plane).min(above_last);
        let (a, b) = (
            f32::from(voxels[lower + pixel]),
            f32::from(voxels[upper + pixel]),
        );
        *out = (a + (b - a) * weight + 0.5) as u16;
    }
}

/// Where the time of a warp went, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WarpSeconds {
    /// Reading the fragment and warping it.
    pub reading: f64,
    /// Writing the layers.
    pub writing: f64,
}

/// Writes layers `z` of the aligned `fragment` as a fragment folder at `target`, with its mask,
/// labels and photograph, in blocks of rows that take up to `memory` bytes.
///
/// # Errors
/// Those of [`Warped::new`], of reading and of writing.
pub fn write_warped(
    fragment: &Fragment,
    maps: Arc<dyn Maps>,
    z: Range<usize>,
    target: &std::path::Path,
    options: WriteOptions,
    memory: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(Fragment, WarpSeconds), Error> {
    let [depth, height, width] = fragment.shape();
    let warped = Warped::new(fragment.clone(), maps, depth.max(z.end))?;
    let mut writer = FragmentWriter::create(target, [z.len(), height, width], options)?;
    // Layers as they are read, warped, waiting for their strip and being written.
    let row = 2 * width * (depth + 3 * z.len()) + 16 * width;
    let rows = (memory / row.max(1)).clamp(1, height.max(1));
    let mut spent = [Duration::ZERO; 2];
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let region = Region::new(z.clone(), first..end, 0..width);
        let begin = Instant::now();
        let block = warped.read(&region)?;
        spent[0] += begin.elapsed();
        let begin = Instant::now();
        writer.write_rows(block.view())?;
        spent[1] += begin.elapsed();
        progress(end as u64, height as u64);
    }
    writer.write_mask(&fragment.mask()?)?;
    if let Some(labels) = fragment.ink_labels()? {
        writer.write_ink_labels(&labels)?;
    }
    if let Some(infrared) = fragment.infrared()? {
        writer.write_infrared(&infrared)?;
    }
    let [reading, writing] = spent.map(|time| time.as_secs_f64());
    Ok((writer.finish()?, WarpSeconds { reading, writing }))
}

#[cfg(test)]
mod tests {
    use inkling_fragment::DepthMaps;
    use ndarray::s;

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

    fn warped(maps: DepthMaps) -> Result<Warped<Array3<u16>>, Error> {
        Warped::new(ramp(), Arc::new(maps), 20)
    }

    #[test]
    fn a_layer_reads_the_input_at_its_inverse_place() {
        let warped = warped(constant(2.5, 0.5)).unwrap();
        let voxels = warped.read(&Region::new(3..6, 1..2, 2..3)).unwrap();
        // (3 − 2.5) / 0.5 = 1, (4 − 2.5) / 0.5 = 3, (5 − 2.5) / 0.5 = 5.
        assert_eq!(voxels.as_slice().unwrap(), [1000, 3000, 5000]);
        let ends = warped.read(&Region::new(0..20, 0..1, 0..1)).unwrap();
        assert_eq!((ends[(0, 0, 0)], ends[(19, 0, 0)]), (0, 19_000));
    }

    #[test]
    fn between_layers_it_is_linear() {
        let warped = warped(constant(0.25, 1.0)).unwrap();
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
            let warped = warped(maps).unwrap();
            let voxels = warped.read(&Region::new(0..20, 0..3, 0..4)).unwrap();
            assert_eq!(voxels, ramp());
        }
    }

    #[test]
    fn a_scale_below_zero_takes_the_layers_in_reverse() {
        let reversed = warped(constant(19.0, -1.0)).unwrap();
        let voxels = reversed.read(&Region::new(2..4, 1..2, 1..2)).unwrap();
        assert_eq!(voxels.as_slice().unwrap(), [17_000, 16_000]);
    }

    #[test]
    fn a_part_reads_as_the_whole_does() {
        let maps = DepthMaps {
            z_shift: Array2::from_shape_fn((3, 4), |(y, x)| y as f32 * 1.3 - x as f32 * 0.7),
            z_scale: Array2::from_shape_fn((3, 4), |(y, x)| 0.6 + 0.1 * (y + x) as f32),
        };
        let warped = warped(maps).unwrap();
        let whole = warped.read(&Region::new(0..20, 0..3, 0..4)).unwrap();
        let part = warped.read(&Region::new(6..13, 1..3, 2..4)).unwrap();
        assert_eq!(part, whole.slice(s![6..13, 1..3, 2..4]));
    }

    #[test]
    fn maps_of_another_fragment_are_refused() {
        let maps = DepthMaps::identity(3, 5);
        assert!(matches!(warped(maps), Err(Error::MapSize { .. })));
    }
}
