//! Depthwise convolutions: one group per channel, stride 1, padding of half the kernel.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::channel_affine::ChannelAffine;
use crate::computed::computed_with;
use crate::padded::PaddedPlane;
use crate::simd::arch;

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
    fn frame(self) -> PaddedPlane {
        PaddedPlane {
            height: self.height,
            width: self.width,
            padding: self.side / 2,
        }
    }

    fn taps(self) -> usize {
        self.side * self.side
    }
}

/// Vectors of places of a register tile.
const VECTORS: usize = 8;

/// The convolution.
///
/// # Shapes
/// - images: `[batch, channels, height, width]`
/// - weights: `[channels, 1, side, side]`
/// - bias: `[channels]`
/// - output: `[batch, channels, height, width]`, after `epilogue`
pub fn forward(
    sizes: Sizes,
    images: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    epilogue: Option<ChannelAffine>,
) -> Vec<f32> {
    run(sizes, images, (bias, epilogue), |channel| {
        weights[channel * sizes.taps()..][..sizes.taps()].to_vec()
    })
}

/// The gradient of the images, given that of the output: kernels rotated by 180°.
///
/// # Shapes
/// - gradient, output: `[batch, channels, height, width]`
pub fn image_gradient(sizes: Sizes, gradient: &[f32], weights: &[f32]) -> Vec<f32> {
    run(sizes, gradient, (None, None), |channel| {
        let kernel = &weights[channel * sizes.taps()..][..sizes.taps()];
        kernel.iter().rev().copied().collect()
    })
}

fn run(
    sizes: Sizes,
    images: &[f32],
    (bias, epilogue): (Option<&[f32]>, Option<ChannelAffine>),
    kernel: impl Fn(usize) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let frame = sizes.frame();
    let padded = || vec![0.0; frame.plane()];
    computed_with(
        images.len(),
        frame.area(),
        padded,
        |padded, index, output| {
            let channel = index % sizes.channels;
            frame.pad_into(&images[index * frame.area()..][..frame.area()], padded);
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            let kernel = kernel(channel);
            match sizes.side {
                3 => plane::<3>(frame, padded, &kernel, bias, output),
                5 => plane::<5>(frame, padded, &kernel, bias, output),
                7 => plane::<7>(frame, padded, &kernel, bias, output),
                side => unreachable!("a kernel of side {side}"),
            }
            if let Some(epilogue) = epilogue {
                epilogue.apply(channel, output);
            }
        },
    )
}

fn plane<const SIDE: usize>(
    frame: PaddedPlane,
    padded: &[f32],
    kernel: &[f32],
    bias: f32,
    output: &mut [f32],
) {
    arch().dispatch(Plane::<SIDE> {
        frame,
        padded,
        kernel,
        bias,
        output,
    });
}

struct Plane<'a, const SIDE: usize> {
    frame: PaddedPlane,
    padded: &'a [f32],
    kernel: &'a [f32],
    bias: f32,
    output: &'a mut [f32],
}

impl<const SIDE: usize> WithSimd for Plane<'_, SIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut plane = self;
        let places = plane.frame.places();
        let mut first = 0;
        while first < places {
            // The last tile is no wider than it must be.
            first += match (places - first).div_ceil(S::F32_LANES) {
                1 => plane.tile::<S, 1>(simd, first),
                2 => plane.tile::<S, 2>(simd, first),
                3..=4 => plane.tile::<S, 4>(simd, first),
                _ => plane.tile::<S, VECTORS>(simd, first),
            };
        }
    }
}

impl<const SIDE: usize> Plane<'_, SIDE> {
    /// Computes `WIDE` vectors of places from `first` on, and returns the number of places.
    #[inline(always)]
    fn tile<S: Simd, const WIDE: usize>(&mut self, simd: S, first: usize) -> usize {
        let (pitch, tile) = (self.frame.pitch(), WIDE * S::F32_LANES);
        let mut sums = [simd.splat_f32s(0.0); WIDE];
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
        tile
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
            |[image, grad], (channel, weights)| {
                for index in 0..sizes.batch {
                    let start = (index * sizes.channels + channel) * frame.area();
                    frame.pad_into(&images[start..][..frame.area()], image);
                    frame.pad_into(&gradient[start..][..frame.area()], grad);
                    match sizes.side {
                        3 => correlate::<3>(frame, image, grad, weights),
                        5 => correlate::<5>(frame, image, grad, weights),
                        7 => correlate::<7>(frame, image, grad, weights),
                        side => unreachable!("a kernel of side {side}"),
                    }
                }
            },
        );
    weights
}

/// Adds `Σ gradient · image at the tap's offset` to each weight.
fn correlate<const SIDE: usize>(
    frame: PaddedPlane,
    image: &[f32],
    grad: &[f32],
    weights: &mut [f32],
) {
    let corner = frame.padding * frame.pitch() + frame.padding;
    arch().dispatch(Correlation::<SIDE> {
        pitch: frame.pitch(),
        image,
        // Behind the last place are the padding's zeros.
        grad: &grad[corner..],
        places: frame.places(),
        weights,
    });
}

struct Correlation<'a, const SIDE: usize> {
    pitch: usize,
    image: &'a [f32],
    grad: &'a [f32],
    places: usize,
    weights: &'a mut [f32],
}

impl<const SIDE: usize> WithSimd for Correlation<'_, SIDE> {
    type Output = ();

    /// One row of taps epilogue another: each vector of the gradient serves all taps of a row.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let vectors = self.places.div_ceil(lanes);
        let (grads, _) = S::as_simd_f32s(&self.grad[..vectors * lanes]);
        for (y, weights) in self.weights.chunks_exact_mut(SIDE).enumerate() {
            // Two sums per tap, because one would wait for its own last addition.
            let mut sums = [[simd.splat_f32s(0.0); 2]; SIDE];
            let row = &self.image[y * self.pitch..][..vectors * lanes + SIDE];
            for (index, &grad) in grads.iter().enumerate() {
                let pixels = &row[index * lanes..][..lanes + SIDE];
                for (x, sums) in sums.iter_mut().enumerate() {
                    let (pixel, _) = S::as_simd_f32s(&pixels[x..][..lanes]);
                    let sum = &mut sums[index % 2];
                    *sum = simd.mul_add_f32s(grad, pixel[0], *sum);
                }
            }
            for (weight, [even, odd]) in weights.iter_mut().zip(sums) {
                *weight += simd.reduce_sum_f32s(simd.add_f32s(even, odd));
            }
        }
    }
}
