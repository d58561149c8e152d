use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inkling_fragment::{
    Error as ReadError, Fragment, FragmentWriter, Maps, Part, Provenance, Region, Volume,
    WriteOptions,
};
use ndarray::{Array2, Array3, ArrayView2, Axis, Zip};
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
        let column = Self {
            start: -shift / scale,
            step: 1.0 / scale,
        };
        let usable = scale.is_finite() && column.start.is_finite() && column.step.is_finite();
        match usable {
            true => column,
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
        let plan = WarpPlan::new(self, region)?;
        let input = self.volume.read(&plan.input)?;
        Ok(plan.apply(&input))
    }
}

/// How one region is warped: the input voxels that it needs, and how each column reads them.
struct WarpPlan {
    columns: Array2<Column>,
    z: Range<usize>,
    input: Region,
}

impl WarpPlan {
    fn new<V: Volume>(warped: &Warped<V>, region: &Region) -> Result<Self, ReadError> {
        let maps = warped.maps.read(region.y.clone(), region.x.clone())?;
        let columns = Zip::from(&maps.z_shift)
            .and(&maps.z_scale)
            .map_collect(|&shift, &scale| Column::new(shift, scale));
        let needed = needed(&columns, &region.z, warped.volume.shape()[0]);
        Ok(Self {
            columns,
            z: region.z.clone(),
            input: Region::new(needed, region.y.clone(), region.x.clone()),
        })
    }

    /// The region's voxels from those of `self.input`.
    fn apply(&self, input: &Array3<u16>) -> Array3<u16> {
        let (height, width) = self.columns.dim();
        let mut out = Array3::zeros((self.z.len(), height, width));
        if out.is_empty() {
            return out;
        }
        let base = self.input.z.start as f32;
        let columns = self.columns.as_slice().expect("made in standard order");
        // Row by row: one row of all layers stays in the processor's cache.
        out.axis_iter_mut(Axis(1))
            .into_par_iter()
            .zip(input.axis_iter(Axis(1)))
            .zip(columns.par_chunks(width))
            .for_each(|((mut out, input), columns)| {
                for (k, mut line) in out.outer_iter_mut().enumerate() {
                    let z = (self.z.start + k) as f32;
                    let line = line.as_slice_mut().expect("rows are contiguous");
                    read_line(input, base, columns, z, line);
                }
            });
        out
    }
}

/// Columns of a row that are computed together.
const LANES: usize = 32;

/// Target layer `z` of one row of columns from `input` (z, x), whose first layer is `base`.
fn read_line(input: ArrayView2<u16>, base: f32, columns: &[Column], z: f32, line: &mut [u16]) {
    let layers = input.nrows();
    let last = (layers - 1) as f32;
    let row = |layer: usize| {
        input
            .row(layer.min(layers - 1))
            .to_slice()
            .expect("rows lie together")
    };
    let chunks = line.chunks_mut(LANES).zip(columns.chunks(LANES));
    for (chunk, (line, columns)) in chunks.enumerate() {
        let mut places = [0.0_f32; LANES];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = (column.start + z * column.step - base).clamp(0.0, last);
        }
        let places = &places[..columns.len()];
        let begin = chunk * LANES;
        let below = places[0] as usize;
        let floor = below as f32;
        let together = places
            .iter()
            .all(|place| (floor..floor + 1.0).contains(place));
        if together {
            // Neighbours mostly read the same two layers.
            let (lower, upper) = (&row(below)[begin..], &row(below + 1)[begin..]);
            let pairs = lower.iter().zip(upper);
            for ((out, place), (&a, &b)) in line.iter_mut().zip(places).zip(pairs) {
                *out = between(a, b, place - floor);
            }
        } else {
            for (x, (out, place)) in line.iter_mut().zip(places).enumerate() {
                let below = *place as usize;
                let (a, b) = (row(below)[begin + x], row(below + 1)[begin + x]);
                *out = between(a, b, place - below as f32);
            }
        }
    }
}

/// Linear from `a` to `b`, rounded half up.
fn between(a: u16, b: u16, weight: f32) -> u16 {
    let (a, b) = (f32::from(a), f32::from(b));
    (a + (b - a) * weight + 0.5) as i32 as u16
}

/// Where the time of a warp went, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WarpSeconds {
    /// Reading the fragment's layers from disk.
    pub reading: f64,
    /// Interpolating the warped layers.
    pub warping: f64,
    /// Compressing and writing the warped layers.
    pub writing: f64,
}

/// Blocks need not be larger: fresh memory costs more than another read.
const BLOCK_BYTES: usize = 48 << 20;

/// Writes layers `z` of the aligned `fragment` as a fragment folder at `target`, with its masks,
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
    let row = 2 * width * (2 * depth + 3 * z.len()) + 16 * width;
    let rows = (memory.min(BLOCK_BYTES) / row.max(1)).clamp(1, height.max(1));
    let mut spent = [Duration::ZERO; 3];
    for first in (0..height).step_by(rows) {
        let end = height.min(first + rows);
        let region = Region::new(z.clone(), first..end, 0..width);
        let plan = WarpPlan::new(&warped, &region)?;
        let begin = Instant::now();
        let input = fragment.read(&plan.input)?;
        let read = Instant::now();
        let block = plan.apply(&input);
        let applied = Instant::now();
        writer.write_rows(block.view())?;
        spent[0] += read - begin;
        spent[1] += applied - read;
        spent[2] += applied.elapsed();
        progress(end as u64, height as u64);
    }
    writer.copy_side_images(fragment, &Part::downscaled(fragment, 1))?;
    Provenance::of(fragment)?.write(&writer.folder())?;
    let [reading, warping, writing] = spent.map(|time| time.as_secs_f64());
    let seconds = WarpSeconds {
        reading,
        warping,
        writing,
    };
    Ok((writer.finish()?, seconds))
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
