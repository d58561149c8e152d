//! Max-pooling of volumes whose depth is folded into the batch.

use std::ops::Range;

use burn::backend::Flex;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Slice, Tensor};

use crate::computed::computed_with;
use crate::dispatch::{is_final, primitive};
use crate::flex_tensors::{contiguous, from_values, values};
use crate::profile::timed;
use crate::vectors::vectorized;

/// One axis of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolAxis {
    /// Places that are looked at together.
    pub kernel: usize,
    /// Places from one window to the next.
    pub stride: usize,
    /// How far the first window reaches before the first place, and the last one behind the last; less than the
    /// kernel.
    pub border: [usize; 2],
}

impl PoolAxis {
    /// Leaves an axis as it is.
    pub const NONE: Self = Self {
        kernel: 1,
        stride: 1,
        border: [0, 0],
    };

    /// Places of the result.
    fn outputs(self, size: usize) -> usize {
        let [before, after] = self.border;
        (before + size + after - self.kernel) / self.stride + 1
    }

    /// What stands in the border of a window that sees the places `seen`, if it reaches there.
    fn border_of(self, seen: &Range<usize>, beyond: f32) -> Option<f32> {
        (seen.len() < self.kernel).then_some(beyond)
    }

    /// The places that window `index` sees.
    fn seen(self, index: usize, size: usize) -> Range<usize> {
        let [before, _] = self.border;
        let start = index * self.stride;
        start.saturating_sub(before)..(start + self.kernel - before).min(size)
    }
}

/// The largest value of each window, NaN if one is NaN; `torch.nn.functional.max_pool3d` with borders of any widths, in
/// which `beyond` stands: −∞ there.
///
/// # Shapes
/// - x: `[batch × layers, channels, height, width]`
/// - axes: of layers, rows and columns
/// - output: `[batch × output layers, channels, rows, columns]`
pub fn max_pool3d(x: Tensor<4>, layers: usize, axes: [PoolAxis; 3], beyond: f32) -> Tensor<4> {
    let device = x.device();
    timed("max-pooling", &device, move || {
        if !is_final(&x) {
            return plain_max_pool3d(x, layers, axes, beyond);
        }
        let [images, channels, height, width] = x.dims();
        let pooling = Pooling {
            axes,
            beyond,
            channels,
            size: [layers, height, width],
        };
        let [deep, rows, columns] = pooling.outputs();
        let x = contiguous(primitive(x));
        let output = pooling.forward(values(&x));
        let output = from_values(output, [images / layers * deep, channels, rows, columns]);
        Tensor::from_primitive::<Flex>(output)
    })
}

/// [`max_pool3d`] by burn's operations.
fn plain_max_pool3d(x: Tensor<4>, layers: usize, axes: [PoolAxis; 3], beyond: f32) -> Tensor<4> {
    let [along_depth, along_rows, along_columns] = axes;
    let is_even = |axis: PoolAxis| axis.border[0] == axis.border[1];
    let is_empty = beyond == f32::NEG_INFINITY;
    let (x, padding) = match is_empty && is_even(along_rows) && is_even(along_columns) {
        true => (x, [along_rows.border[0], along_columns.border[0]]),
        false => {
            let sides = [along_rows, along_columns].map(|axis| axis.border.into());
            (x.pad(sides, beyond), [0; 2])
        }
    };
    let options = MaxPoolOptions::new([along_rows.kernel, along_columns.kernel])
        .with_stride([along_rows.stride, along_columns.stride])
        .with_padding(padding);
    let pooled = max_pool2d(x, options);
    if along_depth == PoolAxis::NONE {
        return pooled;
    }
    let [images, channels, rows, columns] = pooled.dims();
    let volumes = pooled.reshape([images / layers, layers, channels, rows, columns]);
    let [before, after] = along_depth.border;
    let border = |count: usize| {
        let shape = [images / layers, count, channels, rows, columns];
        (count > 0).then(|| Tensor::full(shape, beyond, &volumes.device()))
    };
    let parts = [border(before), Some(volumes.clone()), border(after)];
    let bordered = Tensor::cat(parts.into_iter().flatten().collect(), 1);
    let outputs = along_depth.outputs(layers);
    let taps = (0..along_depth.kernel).map(|tap| {
        let range = tap..tap + (outputs - 1) * along_depth.stride + 1;
        let step = along_depth.stride.cast_signed();
        bordered.clone().slice_dim(
            1,
            Slice::new(
                range.start.cast_signed(),
                Some(range.end.cast_signed()),
                step,
            ),
        )
    });
    let largest = taps.reduce(Tensor::max_pair).expect("a kernel has a layer");
    largest.reshape([images / layers * outputs, channels, rows, columns])
}

/// A pooling of volumes `[layers, channels, height, width]`.
#[derive(Clone, Copy, Debug)]
struct Pooling {
    axes: [PoolAxis; 3],
    /// What stands in borders.
    beyond: f32,
    channels: usize,
    /// Layers, rows and columns.
    size: [usize; 3],
}

impl Pooling {
    fn outputs(self) -> [usize; 3] {
        std::array::from_fn(|axis| self.axes[axis].outputs(self.size[axis]))
    }

    /// Axis by axis: the largest of layers, then of rows, then of columns.
    fn forward(self, volumes: &[f32]) -> Vec<f32> {
        let Self {
            axes,
            beyond,
            channels,
            size,
        } = self;
        let ([layers, height, width], [deep, rows, columns]) = (size, self.outputs());
        let area = height * width;
        let batch = volumes.len() / (layers * channels * area).max(1);
        let scratch = || [vec![0.0; area], vec![0.0; rows * width]];
        let len = batch * deep * channels * rows * columns;
        computed_with(len, rows * columns, scratch, |scratch, index, output| {
            let [plane, lines] = scratch;
            let (image, channel) = (index / channels, index % channels);
            let [volume, layer] = [image / deep, image % deep];
            let seen = axes[0].seen(layer, layers);
            let plane_of = |layer| {
                let first = ((volume * layers + layer) * channels + channel) * area;
                &volumes[first..][..area]
            };
            vectorized(
                #[inline(always)]
                || {
                    let border = axes[0].border_of(&seen, beyond);
                    largest_of(seen.clone().map(plane_of), border, plane);
                    for (y, line) in lines.chunks_exact_mut(width).enumerate() {
                        let seen = axes[1].seen(y, height);
                        let border = axes[1].border_of(&seen, beyond);
                        largest_of(seen.map(|y| &plane[y * width..][..width]), border, line);
                    }
                    let lines = lines.chunks_exact(width);
                    for (line, output) in lines.zip(output.chunks_exact_mut(columns)) {
                        largest_along(line, axes[2], beyond, output);
                    }
                },
            );
        })
    }
}

/// The largest of some rows, and of what stands in a border, at each place.
#[inline(always)]
pub fn largest_of<'a>(
    mut rows: impl Iterator<Item = &'a [f32]>,
    border: Option<f32>,
    output: &mut [f32],
) {
    output.copy_from_slice(rows.next().expect("a window sees something"));
    for row in rows {
        for (largest, &x) in output.iter_mut().zip(row) {
            *largest = larger(*largest, x);
        }
    }
    if let Some(border) = border {
        for largest in output {
            *largest = larger(*largest, border);
        }
    }
}

/// The largest of each window of a row.
#[inline(always)]
fn largest_along(row: &[f32], axis: PoolAxis, beyond: f32, output: &mut [f32]) {
    let [before, _] = axis.border;
    // Windows that lie within the row.
    let first = before.div_ceil(axis.stride).min(output.len());
    let end = match (row.len() + before).checked_sub(axis.kernel) {
        Some(free) => (free / axis.stride + 1).clamp(first, output.len()),
        None => first,
    };
    if first < end {
        let within = &mut output[first..end];
        let seen = &row[first * axis.stride - before..];
        for tap in 0..axis.kernel {
            with_every(within, &seen[tap..], axis.stride, |largest, x| match tap {
                0 => x,
                _ => larger(largest, x),
            });
        }
    }
    for index in (0..first).chain(end..output.len()) {
        let seen = &row[axis.seen(index, row.len())];
        output[index] = seen.iter().copied().fold(beyond, larger);
    }
}

/// Changes values by every `stride`-th one of a row.
#[inline(always)]
fn with_every(values: &mut [f32], row: &[f32], stride: usize, change: impl Fn(f32, f32) -> f32) {
    // A step of one is told apart, so that the loop is vectorised.
    match stride {
        1 => values
            .iter_mut()
            .zip(row)
            .for_each(|(value, &x)| *value = change(*value, x)),
        _ => values
            .iter_mut()
            .zip(row.iter().step_by(stride))
            .for_each(|(value, &x)| *value = change(*value, x)),
    }
}

/// NaN if one of them is.
#[inline(always)]
fn larger(left: f32, right: f32) -> f32 {
    match right > left || right.is_nan() {
        true => right,
        false => left,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn volumes(shape: [usize; 4]) -> Tensor<4> {
        let number = |index: usize| ((index * 7919 + 13) % 1013) as f32 - 500.0;
        let numbers: Vec<f32> = (0..shape.iter().product()).map(number).collect();
        Tensor::from_data(TensorData::new(numbers, shape), &Device::flex())
    }

    fn numbers(x: Tensor<4>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    fn axis(kernel: usize, stride: usize, border: [usize; 2]) -> PoolAxis {
        PoolAxis {
            kernel,
            stride,
            border,
        }
    }

    #[test]
    fn windows_are_those_of_burn_s_operations() {
        let same = axis(3, 1, [1, 1]);
        let halved = axis(3, 2, [1, 1]);
        for axes in [
            [same; 3],
            [PoolAxis::NONE, halved, halved],
            [halved, halved, halved],
            [axis(2, 2, [0, 0]), axis(2, 2, [0, 1]), axis(3, 2, [0, 1])],
            [same, axis(3, 2, [0, 1]), axis(5, 3, [2, 1])],
        ] {
            for ([height, width], beyond) in [
                ([9, 11], f32::NEG_INFINITY),
                ([4, 5], 0.0),
                ([2, 2], f32::NEG_INFINITY),
                ([17, 64], 0.0),
            ] {
                let x = volumes([2 * 5, 3, height, width]);
                let found = max_pool3d(x.clone(), 5, axes, beyond);
                let expected = plain_max_pool3d(x, 5, axes, beyond);
                assert_eq!(found.dims(), expected.dims());
                assert_eq!(
                    numbers(found),
                    numbers(expected),
                    "{axes:?} {height} {width}"
                );
            }
        }
    }

    #[test]
    fn one_nan_makes_its_windows_nan() {
        let mut x = [1.0, 3.0, 2.0, 5.0, 4.0, 0.0];
        x[3] = f32::NAN;
        let mut output = [0.0; 6];
        largest_along(&x, axis(3, 1, [1, 1]), 0.0, &mut output);
        assert_eq!(
            output.map(f32::is_nan),
            [false, false, true, true, true, false]
        );
    }
}
