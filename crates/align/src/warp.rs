use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inkling_fragment::{
    DepthMaps, Error as ReadError, Fragment, FragmentWriter, Maps, Part, Provenance, Region,
    Volume, WriteOptions,
};
use ndarray::{Array3, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use serde::Serialize;

use crate::Error;

/// A volume with every column shifted and scaled in depth, computed as it is read: layer `z` of
/// it reads the input at `(z − shift) / scale`, linearly between layers, rounded half up to u16.
///
/// Beyond the input's first and last layers their values go on. A scale below 0 takes the layers
/// in reverse order. Where a map holds NaN or infinity, or a scale of 0, the column stays as it is.
pub struct Warped<V, M: ?Sized = dyn Maps> {
    volume: V,
    maps: Arc<M>,
    depth: usize,
}

impl<V: Volume, M: Maps + ?Sized> Warped<V, M> {
    /// `volume` through `maps`, as `depth` layers of the target.
    ///
    /// # Errors
    /// [`Error::MapSize`] when the maps are of another fragment.
    pub fn new(volume: V, maps: Arc<M>, depth: usize) -> Result<Self, Error> {
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

    /// Writes the voxels of `region` into `out`, (z, y, x), of the region's shape, with the last axis innermost.
    /// A volume that lies in memory is read where it lies.
    ///
    /// # Errors
    /// Those of [`Volume::read`].
    ///
    /// # Panics
    /// If `out` is of another shape or layout.
    pub fn read_into(&self, region: &Region, out: ArrayViewMut3<u16>) -> Result<(), ReadError> {
        region.check(self.shape())?;
        let plan = WarpPlan::new(self, region)?;
        plan.apply(self.volume.read_or_borrow(&plan.input)?.view(), out);
        Ok(())
    }
}

/// One column: target layer `z` reads input layer `start + z × step`.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    start: f32,
    step: f32,
}

impl Column {
    /// The column as it was fitted; where that is NaN or infinite, or the scale is 0, the column as it is.
    fn new(shift: f32, scale: f32) -> Self {
        Self::fitted(shift, scale).unwrap_or(Self {
            start: 0.0,
            step: 1.0,
        })
    }

    pub fn fitted(shift: f32, scale: f32) -> Option<Self> {
        let column = Self {
            start: -shift / scale,
            step: 1.0 / scale,
        };
        let usable = scale.is_finite() && column.start.is_finite() && column.step.is_finite();
        usable.then_some(column)
    }

    /// The input layer, between two, that target layer `z` reads.
    pub fn at(self, z: f32) -> f32 {
        self.start + z * self.step
    }
}

/// The input layers, of `depth`, that target layers `z` need.
fn needed(maps: &DepthMaps, z: &Range<usize>, depth: usize) -> Range<usize> {
    let (first, last) = (z.start as f32, z.end.saturating_sub(1) as f32);
    let rows = maps.z_shift.axis_iter(Axis(0)).into_par_iter();
    let [low, high] = rows
        .zip(maps.z_scale.axis_iter(Axis(0)))
        .map(|(shifts, scales)| {
            let mut reach = [f32::INFINITY, f32::NEG_INFINITY];
            for (&shift, &scale) in shifts.iter().zip(scales) {
                let column = Column::new(shift, scale);
                let [a, b] = [first, last].map(|z| column.at(z));
                reach = [reach[0].min(a).min(b), reach[1].max(a).max(b)];
            }
            reach
        })
        .reduce(
            || [f32::INFINITY, f32::NEG_INFINITY],
            |a, b| [a[0].min(b[0]), a[1].max(b[1])],
        );
    let clamp = |z: f32| z.clamp(0.0, (depth - 1) as f32) as usize;
    clamp(low)..(clamp(high) + 2).min(depth)
}

impl<V: Volume, M: Maps + ?Sized> Volume for Warped<V, M> {
    fn shape(&self) -> [usize; 3] {
        let [_, height, width] = self.volume.shape();
        [self.depth, height, width]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, ReadError> {
        region.check(self.shape())?;
        let mut out = Array3::zeros(region.shape());
        self.read_into(region, out.view_mut())?;
        Ok(out)
    }
}

/// How one region is warped: the input voxels that it needs, and how each column reads them.
struct WarpPlan {
    maps: DepthMaps,
    z: Range<usize>,
    input: Region,
}

impl WarpPlan {
    fn new<V: Volume, M: Maps + ?Sized>(
        warped: &Warped<V, M>,
        region: &Region,
    ) -> Result<Self, ReadError> {
        let maps = warped.maps.read(region.y.clone(), region.x.clone())?;
        let depth = warped.volume.shape()[0];
        let needed = match warped.volume.voxels() {
            // All of it is there.
            Some(_) => 0..depth,
            None => needed(&maps, &region.z, depth),
        };
        Ok(Self {
            maps,
            z: region.z.clone(),
            input: Region::new(needed, region.y.clone(), region.x.clone()),
        })
    }

    /// Writes the region's voxels into `out` from those of `self.input`, (z, y, x).
    fn apply(&self, input: ArrayView3<u16>, mut out: ArrayViewMut3<u16>) {
        let (height, width) = self.maps.z_shift.dim();
        assert_eq!(out.dim(), (self.z.len(), height, width));
        if out.is_empty() {
            return;
        }
        let base = self.input.z.start as f32;
        // Row by row: one row of all layers stays in the processor's cache.
        out.axis_iter_mut(Axis(1))
            .into_par_iter()
            .zip(input.axis_iter(Axis(1)))
            .zip(self.maps.z_shift.axis_iter(Axis(0)))
            .zip(self.maps.z_scale.axis_iter(Axis(0)))
            .for_each_init(
                Columns::default,
                |columns, (((out, input), shifts), scales)| {
                    columns.fill(shifts, scales);
                    Arch::new().dispatch(WarpedRow {
                        input,
                        base,
                        columns,
                        z: self.z.clone(),
                        out,
                    });
                },
            );
    }
}

/// A row's [`Column`]s, field by field, for vectors of them.
#[derive(Default)]
struct Columns {
    starts: Vec<f32>,
    steps: Vec<f32>,
}

impl Columns {
    fn fill(&mut self, shifts: ArrayView1<f32>, scales: ArrayView1<f32>) {
        self.starts.clear();
        self.steps.clear();
        for (&shift, &scale) in shifts.iter().zip(scales) {
            let Column { start, step } = Column::new(shift, scale);
            self.starts.push(start);
            self.steps.push(step);
        }
    }
}

/// Target layers `z` of one row of columns, from `input` (z, x), whose first layer is `base`.
struct WarpedRow<'a> {
    input: ArrayView2<'a, u16>,
    base: f32,
    columns: &'a Columns,
    z: Range<usize>,
    /// (z, x).
    out: ArrayViewMut2<'a, u16>,
}

impl WithSimd for WarpedRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        for k in 0..self.z.len() {
            self.layer(k);
        }
    }
}

/// Columns of a row that are computed together.
const LANES: usize = 16;

impl WarpedRow<'_> {
    /// Target layer `z.start + k`.
    #[inline(always)]
    fn layer(&mut self, k: usize) {
        let Columns { starts, steps } = self.columns;
        let (z, last) = ((self.z.start + k) as f32, (self.input.nrows() - 1) as f32);
        let base = self.base;
        // Where it lies in the input, in layers.
        let place = |start: f32, step: f32| (start + z * step - base).clamp(0.0, last);
        let out = self.out.index_axis_mut(Axis(0), k);
        let out = out.into_slice().expect("rows lie together");
        let (starts, starts_left) = starts.as_chunks::<LANES>();
        let (steps, steps_left) = steps.as_chunks::<LANES>();
        let (out, out_left) = out.as_chunks_mut::<LANES>();
        let input = self.input;
        for (index, ((out, starts), steps)) in out.iter_mut().zip(starts).zip(steps).enumerate() {
            let mut places = [0.0; LANES];
            for ((place_of, &start), &step) in places.iter_mut().zip(starts).zip(steps) {
                *place_of = place(start, step);
            }
            neighbours(input, index * LANES, &places, out);
        }
        let begin = out.len() * LANES;
        let left = out_left.iter_mut().zip(starts_left).zip(steps_left);
        for (x, ((out, &start), &step)) in left.enumerate() {
            *out = value(input, begin + x, place(start, step));
        }
    }
}

/// The input at the places of columns `begin` and the next ones, which mostly lie between the same two layers, or on both
/// sides of one.
#[inline(always)]
fn neighbours(input: ArrayView2<u16>, begin: usize, places: &[f32; LANES], out: &mut [u16; LANES]) {
    let below = least(*places) as usize;
    let floor = below as f32;
    // Without a branch for each.
    let beyond = |end: f32| {
        let reached = places.iter().map(|&place| u32::from(place >= end));
        reached.fold(0, |some, reached| some | reached)
    };
    let layer = |layer: usize| -> &[u16; LANES] {
        row(input, layer)[begin..]
            .first_chunk()
            .expect("a whole vector")
    };
    if beyond(floor + 1.0) == 0 {
        let (lower, upper) = (layer(below), layer(below + 1));
        for lane in 0..LANES {
            out[lane] = between(lower[lane], upper[lane], places[lane] - floor);
        }
    } else if beyond(floor + 2.0) == 0 {
        let [first, second, third] = [below, below + 1, below + 2].map(layer);
        for lane in 0..LANES {
            let height = places[lane] - floor;
            let is_low = height < 1.0;
            let lower = if is_low { first[lane] } else { second[lane] };
            let upper = if is_low { second[lane] } else { third[lane] };
            let weight = if is_low { height } else { height - 1.0 };
            out[lane] = between(lower, upper, weight);
        }
    } else {
        for lane in 0..LANES {
            out[lane] = value(input, begin + lane, places[lane]);
        }
    }
}

/// The input at one place.
#[inline(always)]
fn value(input: ArrayView2<u16>, x: usize, place: f32) -> u16 {
    let below = place as usize;
    let (lower, upper) = (row(input, below)[x], row(input, below + 1)[x]);
    between(lower, upper, place - below as f32)
}

/// A layer of the input, the last one for those beyond it.
#[inline(always)]
fn row(input: ArrayView2<'_, u16>, layer: usize) -> &[u16] {
    let layer = layer.min(input.nrows() - 1);
    let row = input.index_axis_move(Axis(0), layer);
    row.to_slice().expect("rows lie together")
}

/// Linear from `lower` to `upper`, rounded half up.
#[inline(always)]
fn between(lower: u16, upper: u16, weight: f32) -> u16 {
    /// 2²³: the bits of its sum with a whole number end in that number's. Conversions of vectors by `as` are slow.
    const WHOLE: f32 = 8_388_608.0;
    let (lower, upper) = (f32::from(lower), f32::from(upper));
    let rounded = (lower + (upper - lower) * weight + 0.5).floor();
    (rounded + WHOLE).to_bits() as u16
}

/// The least of the values, halves against halves.
#[inline(always)]
fn least(mut values: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            values[lane] = if values[lane] < values[lane + half] {
                values[lane]
            } else {
                values[lane + half]
            };
        }
        half /= 2;
    }
    values[0]
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
        let mut block = Array3::zeros((z.len(), end - first, width));
        plan.apply(input.view(), block.view_mut());
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
    use ndarray::{Array2, s};

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

    fn warped(maps: DepthMaps) -> Result<Warped<Array3<u16>, DepthMaps>, Error> {
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

    /// Columns together are what each is by itself: between two layers, around one, and further apart.
    #[test]
    fn columns_together_are_what_each_is_alone() {
        let (depth, width) = (30, 2 * LANES + 5);
        let volume = Array3::from_shape_fn((depth, 1, width), |(z, _, x)| {
            ((z * 7919 + x * 104_729) % 65_536) as u16
        });
        for slope in [0.0, 0.01, 0.05, 0.4, -0.07] {
            let maps = DepthMaps {
                z_shift: Array2::from_shape_fn((1, width), |(_, x)| 0.3 - slope * x as f32),
                z_scale: Array2::from_shape_fn((1, width), |(_, x)| 1.0 + 0.1 * slope * x as f32),
            };
            let columns = maps.z_shift.iter().zip(&maps.z_scale);
            let columns: Vec<_> = columns
                .map(|(&shift, &scale)| Column::new(shift, scale))
                .collect();
            let warped = Warped::new(volume.clone(), Arc::new(maps), depth).unwrap();
            let found = warped.read(&Region::new(0..depth, 0..1, 0..width)).unwrap();
            let input = volume.index_axis(Axis(1), 0);
            for ((z, _, x), &found) in found.indexed_iter() {
                let Column { start, step } = columns[x];
                let place = (start + z as f32 * step).clamp(0.0, (depth - 1) as f32);
                assert_eq!(found, value(input, x, place), "{slope} {z} {x}");
            }
        }
    }

    /// Half up, at the ends of the range too.
    #[test]
    fn values_are_rounded_half_up() {
        for (lower, upper, weight, expected) in [
            (0, 1, 0.5, 1),
            (1, 2, 0.5, 2),
            (2, 3, 0.49, 2),
            (3, 2, 0.5, 3),
            (0, 0, 0.9, 0),
            (u16::MAX, u16::MAX, 0.7, u16::MAX),
            (0, u16::MAX, 0.999_999_9, u16::MAX),
        ] {
            assert_eq!(
                between(lower, upper, weight),
                expected,
                "{lower} {upper} {weight}"
            );
        }
    }

    #[test]
    fn maps_of_another_fragment_are_refused() {
        let maps = DepthMaps::identity(3, 5);
        assert!(matches!(warped(maps), Err(Error::MapSize { .. })));
    }
}
