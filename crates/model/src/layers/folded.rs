//! Volumes as batches of their layers: `[batch × layers, …]`, so that whatever looks at a layer by
//! itself need not know of volumes.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use inkling_kernels::{DepthBorder, PoolAxis, max_pool3d};

/// What stands beyond the first and the last layer.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DepthPadding {
    /// The outermost layer again, so that a volume that is constant along depth stays so.
    #[default]
    Replicate,
    /// Zeros, as in the plane.
    Zeros,
}

impl DepthPadding {
    /// As the kernels name it.
    pub fn border(self) -> DepthBorder {
        match self {
            Self::Replicate => DepthBorder::Replicate,
            Self::Zeros => DepthBorder::Zeros,
        }
    }

    /// `before` and `after` more layers around each volume of `layers` layers.
    ///
    /// # Shapes
    /// - x: `[batch × layers, channels, height, width]`
    /// - output: `[batch, before + layers + after, channels, height, width]`
    pub fn pad(self, x: Tensor<4>, layers: usize, [before, after]: [usize; 2]) -> Tensor<5> {
        let x = unfolded(x, layers);
        if before + after == 0 {
            return x;
        }
        let border = |layer: usize, count: usize| {
            let layer = x.clone().narrow(1, layer, 1);
            match self {
                Self::Replicate => layer.repeat_dim(1, count),
                Self::Zeros => layer.zeros_like().repeat_dim(1, count),
            }
        };
        let mut parts = Vec::new();
        if before > 0 {
            parts.push(border(0, before));
        }
        parts.push(x.clone());
        if after > 0 {
            parts.push(border(layers - 1, after));
        }
        Tensor::cat(parts, 1)
    }
}

/// `[batch × layers, channels, height, width]` as `[batch, layers, channels, height, width]`.
pub fn unfolded(x: Tensor<4>, layers: usize) -> Tensor<5> {
    let [images, channels, height, width] = x.dims();
    x.reshape([images / layers, layers, channels, height, width])
}

/// The inverse of [`unfolded`].
pub fn folded(x: Tensor<5>) -> Tensor<4> {
    let [batch, layers, channels, height, width] = x.dims();
    x.reshape([batch * layers, channels, height, width])
}

/// `count` layers of `[batch, layers, channels, height, width]`, from `first` on and `step` apart.
pub fn every(x: Tensor<5>, first: usize, step: usize, count: usize) -> Tensor<5> {
    if step == 1 {
        return x.narrow(1, first, count);
    }
    let layers: Vec<_> = (0..count)
        .map(|index| x.clone().narrow(1, first + index * step, 1))
        .collect();
    Tensor::cat(layers, 1)
}

/// `0..count` in ranges of `at_once`, the last of what is left.
pub fn parts(count: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    let firsts = (0..count).step_by(at_once);
    firsts.map(move |first| first..(first + at_once).min(count))
}

/// A tensor of `count` slices along an axis, `at_once` of which are made at a time and put in place: no more than that is
/// there twice.
pub fn in_parts<const D: usize>(
    axis: usize,
    count: usize,
    at_once: usize,
    make: impl Fn(Range<usize>) -> Tensor<D>,
) -> Tensor<D> {
    let first = make(0..at_once.min(count));
    if at_once >= count {
        return first;
    }
    let mut shape = first.dims();
    shape[axis] = count;
    // Not `zeros`: flex makes those of bytes, and copies them before it writes floats.
    let whole = Tensor::full(shape, 0.0, &first.device());
    let put = |whole: Tensor<D>, range: Range<usize>, part| {
        let mut place = shape.map(|size| 0..size);
        place[axis] = range;
        whole.slice_assign(place, part)
    };
    let others = parts(count, at_once).skip(1);
    others.fold(put(whole, 0..at_once, first), |whole, range| {
        let part = make(range.clone());
        put(whole, range, part)
    })
}

/// Max-pooling by 3 × 3 with a stride of 2 in the plane; along depth by 3 with `stride`, unless that
/// is 1, which leaves depth alone.
///
/// # Shapes
/// - x: `[batch × layers, channels, height, width]`
/// - output: `[batch × layers / stride, channels, height / 2, width / 2]`
pub fn max_pool(x: Tensor<4>, layers: usize, stride: usize) -> Tensor<4> {
    let axis = |stride| PoolAxis {
        kernel: 3,
        stride,
        border: [1, 1],
    };
    let along_depth = match stride {
        1 => PoolAxis::NONE,
        _ => PoolAxis {
            border: [1, 0],
            ..axis(stride)
        },
    };
    max_pool3d(
        x,
        layers,
        [along_depth, axis(2), axis(2)],
        f32::NEG_INFINITY,
    )
}

/// The mean of each `stride` layers.
///
/// # Shapes
/// - x: `[batch × layers, channels, height, width]`
/// - output: `[batch × layers / stride, channels, height, width]`
pub fn mean_of_layers(x: Tensor<4>, stride: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    unfolded(x, stride).mean_dim(1).squeeze_dim(1)
}

/// Gives every layer the mean over its volume.
///
/// # Shapes
/// - x and output: `[batch × layers, channels, height, width]`
pub fn mean_of_volumes(x: Tensor<4>, layers: usize) -> Tensor<4> {
    if layers == 1 {
        return x;
    }
    folded(unfolded(x, layers).mean_dim(1).repeat_dim(1, layers))
}

/// The layers of each volume moved on by `by`, those that leave at the end coming in at the start.
///
/// # Shapes
/// - x and output: `[batch × layers, …, …, …]`
pub fn roll_layers(x: Tensor<4>, layers: usize, by: usize) -> Tensor<4> {
    let by = by % layers;
    if by == 0 {
        return x;
    }
    let x = unfolded(x, layers);
    let last = x.clone().narrow(1, layers - by, by);
    folded(Tensor::cat(vec![last, x.narrow(1, 0, layers - by)], 1))
}

/// Every layer `times` times, one after the other.
///
/// # Shapes
/// - x: `[batch × layers, channels, height, width]`
/// - output: `[batch × layers × times, channels, height, width]`
pub fn repeat_layers(x: Tensor<4>, times: usize) -> Tensor<4> {
    if times == 1 {
        return x;
    }
    folded(x.unsqueeze_dim::<5>(1).repeat_dim(1, times))
}

/// Layers between `from` layers, linear along depth, centres aligned as in the plane.
///
/// # Shapes
/// - x: `[batch × from, channels, height, width]`
/// - output: `[batch × to, channels, height, width]`
pub fn resize_layers(x: Tensor<4>, from: usize, to: usize) -> Tensor<4> {
    if from == to {
        return x;
    }
    let [images, channels, height, width] = x.dims();
    let batch = images / from;
    let mut shares = vec![0.0_f32; to * from];
    for (layer, row) in shares.chunks_exact_mut(from).enumerate() {
        let centre = (layer as f32 + 0.5) * from as f32 / to as f32 - 0.5;
        let place = centre.clamp(0.0, (from - 1) as f32);
        let below = place.floor() as usize;
        let above = (below + 1).min(from - 1);
        row[below] += 1.0 - (place - below as f32);
        row[above] += place - below as f32;
    }
    let shares = Tensor::<3>::from_data(TensorData::new(shares, [1, to, from]), &x.device());
    let values = x.reshape([batch, from, channels * height * width]);
    let resized = shares.repeat_dim(0, batch).matmul(values);
    resized.reshape([batch * to, channels, height, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// One volume of `values.len()` layers of one pixel.
    fn column(values: &[f32]) -> Tensor<4> {
        let data = TensorData::new(values.to_vec(), [values.len(), 1, 1, 1]);
        Tensor::from_data(data, &Device::flex())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn padding_repeats_the_outermost_layer_or_adds_zeros() {
        let x = column(&[1.0, 2.0, 3.0]);
        let replicated = DepthPadding::Replicate.pad(x.clone(), 3, [2, 1]);
        assert_eq!(values(replicated), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        let zeros = DepthPadding::Zeros.pad(x, 3, [2, 1]);
        assert_eq!(values(zeros), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
    }

    /// As `torch.nn.functional.interpolate(..., mode="trilinear")`.
    #[test]
    fn layers_between_layers_are_linear() {
        let x = column(&[1.0, 3.0]);
        assert_eq!(values(resize_layers(x.clone(), 2, 4)), [1.0, 1.5, 2.5, 3.0]);
        assert_eq!(
            values(resize_layers(column(&[1.0, 3.0, 8.0]), 3, 2)),
            [1.5, 6.75]
        );
        assert_eq!(values(resize_layers(x, 2, 2)), [1.0, 3.0]);
    }

    #[test]
    fn parts_are_put_in_place() {
        let x = Tensor::cat(vec![column(&[1.0, 2.0, 3.0]), column(&[4.0, 5.0, 6.0])], 1);
        for (axis, count) in [(0, 3), (1, 2)] {
            for at_once in 1..5 {
                let part = |range: Range<usize>| x.clone().narrow(axis, range.start, range.len());
                let whole = in_parts(axis, count, at_once, part);
                assert_eq!(values(whole), values(x.clone()), "{axis} {at_once}");
            }
        }
    }

    #[test]
    fn pooling_goes_along_depth_only_with_a_stride() {
        let x = column(&[1.0, 4.0, 2.0, 3.0]);
        assert_eq!(values(max_pool(x.clone(), 4, 1)), [1.0, 4.0, 2.0, 3.0]);
        assert_eq!(values(max_pool(x.clone(), 4, 2)), [4.0, 4.0]);
        assert_eq!(values(mean_of_layers(x, 2)), [2.5, 2.5]);
    }
}
