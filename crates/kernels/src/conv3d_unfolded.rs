//! [3D convolutions](crate::conv3d) with more weights than pixels, as in the deepest stages of an encoder.
//!
//! Time then goes into reading weights, so they are read once and where they lie: what the kernels see of the
//! volume is copied into the columns of a matrix (im2col), small beside the weights, and the convolution and
//! its gradients are products of matrices.

use rayon::prelude::*;

use crate::conv3d::Sizes;
use crate::matrix::{MatrixLayout, MulPrecision, Threading, multiply};

/// Taps of a layer of the kernels, and their columns.
const TAPS: usize = 9;
const SIDE: usize = 3;
/// Input channels of one task of [`image_gradient`]: their weights fit into a core's cache.
const CHANNELS: usize = 16;
/// Most pixels for each output channel. The columns are then at most twice as large as the weights.
const PIXELS_PER_OUTPUT: usize = 2;

/// Whether a convolution of these sizes is faster, and takes less memory, this way.
pub fn is_worthwhile(sizes: Sizes) -> bool {
    pixels(sizes) <= PIXELS_PER_OUTPUT * sizes.outputs
}

/// Pixels of all layers of all volumes.
fn pixels(sizes: Sizes) -> usize {
    images(sizes) * area(sizes)
}

fn images(sizes: Sizes) -> usize {
    sizes.batch * sizes.layers
}

fn area(sizes: Sizes) -> usize {
    sizes.height * sizes.width
}

/// Values of one kernel.
fn kernel(sizes: Sizes) -> usize {
    sizes.inputs * sizes.deep * TAPS
}

/// The convolution.
///
/// # Shapes
/// - volumes: `[batch, layers, inputs, height, width]`
/// - weights: `[outputs, inputs, deep, 3, 3]`
/// - bias: `[outputs]`
/// - output: `[batch, layers, outputs, height, width]`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let (kernel, pixels, area) = (kernel(sizes), pixels(sizes), area(sizes));
    let columns = unfold(sizes, volumes);
    let mut product = vec![0.0; sizes.outputs * pixels];
    multiply(
        precision,
        [sizes.outputs, kernel, pixels],
        (weights, MatrixLayout::rows(kernel)),
        (&columns, MatrixLayout::rows(pixels)),
        (&mut product, pixels),
        false,
        Threading::Pool,
    );
    let mut output = vec![0.0; product.len()];
    let planes = output.par_chunks_mut(area).enumerate();
    planes.for_each(|(index, plane)| {
        let [image, channel] = [index / sizes.outputs, index % sizes.outputs];
        let bias = bias.map_or(0.0, |bias| bias[channel]);
        let sums = &product[channel * pixels + image * area..][..area];
        for (pixel, sum) in plane.iter_mut().zip(sums) {
            *pixel = sum + bias;
        }
    });
    output
}

/// The gradient of the volumes, given that of the output.
///
/// # Shapes
/// - gradient: `[batch, layers, outputs, height, width]`
/// - weights: `[outputs, inputs, deep, 3, 3]`
/// - output: `[batch, layers, inputs, height, width]`
pub fn image_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let (area, taps) = (area(sizes), sizes.deep * TAPS);
    let gradient = pixels_first(sizes, gradient);
    let seen = SeenPixels::new(sizes);
    let blocks: Vec<Vec<f32>> = (0..sizes.inputs)
        .into_par_iter()
        .step_by(CHANNELS)
        .map(|first| {
            let channels = CHANNELS.min(sizes.inputs - first);
            let width = channels * taps;
            let mut columns = vec![0.0; pixels(sizes) * width];
            multiply(
                precision,
                [pixels(sizes), sizes.outputs, width],
                (&gradient, MatrixLayout::rows(sizes.outputs)),
                (weights, MatrixLayout::rows(kernel(sizes)).at(first * taps)),
                (&mut columns, width),
                false,
                Threading::Caller,
            );
            seen.fold(&columns, channels)
        })
        .collect();
    let mut output = vec![0.0; images(sizes) * sizes.inputs * area];
    let planes = output.par_chunks_mut(area).enumerate();
    planes.for_each(|(index, plane)| {
        let [image, channel] = [index / sizes.inputs, index % sizes.inputs];
        let block = &blocks[channel / CHANNELS];
        let first = (channel % CHANNELS) * pixels(sizes) + image * area;
        plane.copy_from_slice(&block[first..][..area]);
    });
    output
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - volumes: `[batch, layers, inputs, height, width]`
/// - gradient: `[batch, layers, outputs, height, width]`
/// - output: `[outputs, inputs, deep, 3, 3]`
pub fn weight_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let (kernel, pixels) = (kernel(sizes), pixels(sizes));
    let columns = unfold(sizes, volumes);
    let gradient = pixels_first(sizes, gradient);
    let mut output = vec![0.0; sizes.outputs * kernel];
    multiply(
        precision,
        [sizes.outputs, pixels, kernel],
        (&gradient, MatrixLayout::rows(sizes.outputs).transposed()),
        (&columns, MatrixLayout::rows(pixels).transposed()),
        (&mut output, kernel),
        false,
        Threading::Pool,
    );
    output
}

/// `[batch, layers, channels, height, width]` to `[batch, layers, height, width, channels]`, of the output.
fn pixels_first(sizes: Sizes, values: &[f32]) -> Vec<f32> {
    let (area, channels) = (area(sizes), sizes.outputs);
    let mut turned = vec![0.0; values.len()];
    let images = turned.par_chunks_mut(area * channels);
    let images = images.zip(values.par_chunks(area * channels));
    images.for_each(|(turned, image)| {
        for (channel, plane) in image.chunks_exact(area).enumerate() {
            for (pixel, &value) in turned.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = value;
            }
        }
    });
    turned
}

/// What each tap of each channel sees: `[inputs, deep, 3, 3, batch, layers, height, width]`.
fn unfold(sizes: Sizes, volumes: &[f32]) -> Vec<f32> {
    let (area, width) = (area(sizes), sizes.width);
    let layers = sizes.bordered(volumes, sizes.inputs, sizes.deep / 2, sizes.border);
    let mut columns = vec![0.0; kernel(sizes) * pixels(sizes)];
    let rows = columns.par_chunks_mut(pixels(sizes)).enumerate();
    rows.for_each(|(row, columns)| {
        let [channel, layer, tap] = [row / TAPS / sizes.deep, row / TAPS % sizes.deep, row % TAPS];
        for (image, target) in columns.chunks_exact_mut(area).enumerate() {
            let Some(seen) = layers[sizes.first_seen(image) + layer] else {
                continue;
            };
            let plane = &seen[channel * area..][..area];
            let [(own, seen, rows), (left, seen_left, columns)] =
                [(tap / SIDE, sizes.height), (tap % SIDE, width)].map(overlap);
            for y in 0..rows {
                let target = &mut target[(own + y) * width + left..][..columns];
                let line = &plane[(seen + y) * width + seen_left..][..columns];
                target.copy_from_slice(line);
            }
        }
    });
    columns
}

/// Along an axis: the first pixel whose `tap` lies within the image, the pixel that it sees, and how many such
/// there are.
fn overlap((tap, size): (usize, usize)) -> (usize, usize, usize) {
    match tap {
        0 => (1, 0, size - 1),
        1 => (0, 0, size),
        _ => (0, 1, size - 1),
    }
}

/// For each pixel of the output the taps that lie within the volume, and the pixels of the volume that they
/// see.
struct SeenPixels {
    /// `[batch, layers, height, width]` lists of the tap's and the pixel's index.
    of: Vec<Vec<[usize; 2]>>,
    /// Taps of a channel.
    taps: usize,
}

impl SeenPixels {
    fn new(sizes: Sizes) -> Self {
        let (area, width, height) = (area(sizes), sizes.width, sizes.height);
        let pixels = (0..pixels(sizes)).map(|pixel| {
            let [image, y, x] = [pixel / area, pixel % area / width, pixel % width];
            let mut seen = Vec::with_capacity(sizes.deep * TAPS);
            for tap in 0..sizes.deep * TAPS {
                let [layer, row, column] = [tap / TAPS, tap % TAPS / SIDE, tap % SIDE];
                let Some(source) = sizes.seen_layer(image, layer) else {
                    continue;
                };
                let inside =
                    (1..=height).contains(&(y + row)) && (1..=width).contains(&(x + column));
                if inside {
                    let pixel = (y + row - 1) * width + x + column - 1;
                    seen.push([tap, source * area + pixel]);
                }
            }
            seen
        });
        Self {
            of: pixels.collect(),
            taps: sizes.deep * TAPS,
        }
    }

    /// Sums what taps saw: `[batch, layers, height, width, channels, deep, 3, 3]` to
    /// `[channels, batch, layers, height, width]`.
    fn fold(&self, columns: &[f32], channels: usize) -> Vec<f32> {
        let mut sums = vec![0.0; channels * self.of.len()];
        let pixels = columns.chunks_exact(channels * self.taps).zip(&self.of);
        for (column, seen) in pixels {
            let sums = sums.chunks_exact_mut(self.of.len());
            for (sums, taps) in sums.zip(column.chunks_exact(self.taps)) {
                for &[tap, pixel] in seen {
                    sums[pixel] += taps[tap];
                }
            }
        }
        sums
    }
}
