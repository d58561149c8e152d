//! Convolutions of each channel by a kernel of its own, stride 1, padded by half the kernel.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::padded::Frame;
use crate::vectors::{total, vectorized};

/// Sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Side of the kernels, odd.
    pub side: usize,
}

impl Sizes {
    fn frame(self) -> Frame {
        Frame {
            height: self.height,
            width: self.width,
            border: self.side / 2,
        }
    }

    fn taps(self) -> usize {
        self.side * self.side
    }
}

/// Vectors of places that are summed in registers at once.
const VECTORS: usize = 8;
/// Products that are summed at once.
const TILE: usize = 64;

/// The convolution.
///
/// # Shapes
/// - images: `[batch, channels, height, width]`
/// - weights: `[channels, 1, side, side]`
/// - bias: `[channels]`
/// - output: `[batch, channels, height, width]`
pub fn forward(sizes: Sizes, images: &[f32], weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    run(sizes, images, bias, |channel| {
        weights[channel * sizes.taps()..][..sizes.taps()].to_vec()
    })
}

/// The gradient of the images, given that of the output: kernels turned by half a turn.
///
/// # Shapes
/// - gradient, output: `[batch, channels, height, width]`
pub fn image_gradient(sizes: Sizes, gradient: &[f32], weights: &[f32]) -> Vec<f32> {
    run(sizes, gradient, None, |channel| {
        let kernel = &weights[channel * sizes.taps()..][..sizes.taps()];
        kernel.iter().rev().copied().collect()
    })
}

fn run(
    sizes: Sizes,
    images: &[f32],
    bias: Option<&[f32]>,
    kernel: impl Fn(usize) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let frame = sizes.frame();
    let mut output = vec![0.0; images.len()];
    output
        .par_chunks_mut(frame.area())
        .zip(images.par_chunks(frame.area()))
        .enumerate()
        .for_each_init(
            || vec![0.0; frame.plane()],
            |padded, (index, (output, image))| {
                let channel = index % sizes.channels;
                frame.pad_into(image, padded);
                let bias = bias.map_or(0.0, |bias| bias[channel]);
                let kernel = kernel(channel);
                match sizes.side {
                    3 => plane::<3>(frame, padded, &kernel, bias, output),
                    5 => plane::<5>(frame, padded, &kernel, bias, output),
                    7 => plane::<7>(frame, padded, &kernel, bias, output),
                    side => unreachable!("a kernel of side {side}"),
                }
            },
        );
    output
}

fn plane<const SIDE: usize>(
    frame: Frame,
    padded: &[f32],
    kernel: &[f32],
    bias: f32,
    output: &mut [f32],
) {
    Arch::new().dispatch(Plane::<SIDE> {
        frame,
        padded,
        kernel,
        bias,
        output,
    });
}

struct Plane<'a, const SIDE: usize> {
    frame: Frame,
    padded: &'a [f32],
    kernel: &'a [f32],
    bias: f32,
    output: &'a mut [f32],
}

impl<const SIDE: usize> WithSimd for Plane<'_, SIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (pitch, tile) = (self.frame.pitch(), VECTORS * S::F32_LANES);
        for first in (0..self.frame.places()).step_by(tile) {
            let mut sums = [simd.splat_f32s(0.0); VECTORS];
            for y in 0..SIDE {
                for x in 0..SIDE {
                    let weight = simd.splat_f32s(self.kernel[y * SIDE + x]);
                    let pixels = &self.padded[first + y * pitch + x..][..tile];
                    let (pixels, _) = S::as_simd_f32s(pixels);
                    for (sum, &pixel) in sums.iter_mut().zip(pixels) {
                        *sum = simd.mul_add_f32s(weight, pixel, *sum);
                    }
                }
            }
            let sums = pulp::bytemuck::cast_slice(&sums);
            self.frame.unpad(sums, first, self.bias, self.output);
        }
    }
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - images, gradient: `[batch, channels, height, width]`
/// - output: `[channels, 1, side, side]`
pub fn weight_gradient(sizes: Sizes, images: &[f32], gradient: &[f32]) -> Vec<f32> {
    let frame = sizes.frame();
    let mut weights = vec![0.0; sizes.channels * sizes.taps()];
    weights
        .par_chunks_mut(sizes.taps())
        .enumerate()
        .for_each_init(
            || [vec![0.0; frame.plane()], vec![0.0; frame.plane()]],
            |[image, slope], (channel, weights)| {
                for index in 0..sizes.batch {
                    let start = (index * sizes.channels + channel) * frame.area();
                    frame.pad_into(&images[start..][..frame.area()], image);
                    frame.pad_into(&gradient[start..][..frame.area()], slope);
                    correlate(frame, sizes.side, image, slope, weights);
                }
            },
        );
    weights
}

/// Adds `Σ gradient · shifted image` for each tap.
fn correlate(frame: Frame, side: usize, image: &[f32], slope: &[f32], weights: &mut [f32]) {
    let corner = frame.border * frame.pitch() + frame.border;
    let slope = &slope[corner..][..frame.places()];
    vectorized(
        #[inline(always)]
        || {
            for (weight, shift) in weights.iter_mut().zip(frame.taps(side)) {
                let mut sums = [0.0; TILE];
                let (slopes, rest) = slope.as_chunks::<TILE>();
                let (pixels, _) = image[shift..].as_chunks::<TILE>();
                for (slopes, pixels) in slopes.iter().zip(pixels) {
                    for lane in 0..TILE {
                        sums[lane] += slopes[lane] * pixels[lane];
                    }
                }
                let done = slopes.len() * TILE;
                let tail = rest.iter().zip(&image[shift + done..]);
                *weight += total(sums) + tail.map(|(a, b)| a * b).sum::<f32>();
            }
        },
    );
}
