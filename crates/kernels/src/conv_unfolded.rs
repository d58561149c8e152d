//! Convolutions as products of matrices: strided ones, and those with more weights than pixels.
//!
//! What kernels see of an image is copied into the columns of a matrix (im2col), a few hundred pixels at a
//! time, so that the copy stays in a core's cache; weights are read where they lie. Images are layers of
//! volumes, which kernels of several layers reach across.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::conv3d::DepthBorder;
use crate::matrix::{MatrixLayout, MulPrecision, Threading, multiply};

/// Pixels of the output that are computed at once: as many as have about so many values in their columns, which is
/// 2 MiB for each thread, but neither fewer nor more than these.
const COLUMN_VALUES: usize = 1 << 19;
const PIXELS: [usize; 2] = [128, 512];
/// Rows of columns that one task of a gradient has, about: channels times taps.
const TASK_TAPS: usize = 432;
/// Tasks that a gradient of weights is split into, about; each has its own sums.
const TASKS: usize = 16;
/// Fewest blocks of pixels that are tasks of their own.
const FEWEST_BLOCKS: usize = 8;
/// Most pixels for each output channel where weights outnumber them. Columns are then at most twice as large as
/// the weights.
const PIXELS_PER_OUTPUT: usize = 2;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Volumes.
    pub batch: usize,
    /// Layers of a volume.
    pub layers: usize,
    /// Channels of the volume.
    pub inputs: usize,
    /// Rows of a layer.
    pub height: usize,
    /// Columns of a layer.
    pub width: usize,
    /// Layers of the kernels.
    pub deep: usize,
    /// Rows and columns of the kernels.
    pub side: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Where kernels lie.
    pub options: Conv3dOptions,
}

/// Where a 3D convolution's kernels lie; the options of `torch.nn.functional.conv3d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3dOptions {
    /// Layers from one place to the next.
    pub depth_stride: usize,
    /// Layers before the first and behind the last.
    pub depth_padding: usize,
    /// What stands there.
    pub border: DepthBorder,
    /// Pixels from one place to the next, along both axes.
    pub stride: usize,
    /// Zeros around a layer's pixels.
    pub padding: usize,
}

impl Conv3dOptions {
    /// A result of the volume's size, by kernels of `deep` layers and of `side` pixels, both odd.
    pub fn same(deep: usize, side: usize, border: DepthBorder) -> Self {
        Self {
            depth_stride: 1,
            depth_padding: deep / 2,
            border,
            stride: 1,
            padding: side / 2,
        }
    }

    /// Images by themselves.
    pub fn in_plane(stride: usize, padding: usize) -> Self {
        Self {
            depth_stride: 1,
            depth_padding: 0,
            border: DepthBorder::Zeros,
            stride,
            padding,
        }
    }
}

/// The order in which the products of a kernel are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// As weights lie.
    ChannelsFirst,
    /// All channels of a tap, then those of the next: as libraries sum that keep channels last. In the deepest
    /// networks roundings of the first layer reach the logits a hundredfold, so the same order is nearer to them.
    TapsFirst,
}

/// Pixels of the output that lie in one row, and what a tap sees from them.
struct Span {
    /// The first one's index among a block's pixels.
    at: usize,
    count: usize,
    /// Layer of all volumes, and index in its phases' plane.
    image: usize,
    from: usize,
}

impl Sizes {
    /// Layers of the result.
    pub fn output_layers(self) -> usize {
        places(
            self.layers,
            self.deep,
            self.options.depth_padding,
            self.options.depth_stride,
        )
    }

    /// Rows of the result.
    pub fn rows(self) -> usize {
        places(
            self.height,
            self.side,
            self.options.padding,
            self.options.stride,
        )
    }

    /// Columns of the result.
    pub fn columns(self) -> usize {
        places(
            self.width,
            self.side,
            self.options.padding,
            self.options.stride,
        )
    }

    /// Whether weights outnumber pixels, so that reading them is what takes time.
    pub fn has_few_pixels(self) -> bool {
        self.lines() * self.columns() <= PIXELS_PER_OUTPUT * self.outputs
    }

    /// Taps of one channel of a kernel.
    fn taps(self) -> usize {
        self.deep * self.side * self.side
    }

    /// Values of one kernel.
    fn kernel(self) -> usize {
        self.inputs * self.taps()
    }

    /// Rows of all layers of the result.
    fn lines(self) -> usize {
        self.batch * self.output_layers() * self.rows()
    }

    /// Pixels of a layer of the result.
    fn area(self) -> usize {
        self.rows() * self.columns()
    }

    /// Lines of the result, so many that their columns have about [`COLUMN_VALUES`].
    fn blocks(self, lines: Range<usize>) -> Vec<Range<usize>> {
        let [fewest, most] = PIXELS;
        let pixels = (COLUMN_VALUES / self.kernel()).clamp(fewest, most);
        let step = (pixels / self.columns()).max(1);
        let starts = lines.clone().step_by(step);
        starts
            .map(|first| first..lines.end.min(first + step))
            .collect()
    }

    /// Channels of the volume that a task of a gradient has.
    fn slices(self) -> Vec<Range<usize>> {
        let step = (TASK_TAPS / self.taps()).max(1);
        let starts = (0..self.inputs).step_by(step);
        starts
            .map(|first| first..self.inputs.min(first + step))
            .collect()
    }

    /// Values of a line of the phases of a layer.
    fn phase(self) -> usize {
        self.width.div_ceil(self.options.stride)
    }

    /// Values of the phases of a layer: `[height, stride, phase]`.
    fn plane(self) -> usize {
        self.height * self.options.stride * self.phase()
    }

    /// Layers `[…, height, width]` with every `stride`-th column side by side, `[…, height, stride, phase]`, so
    /// that what a tap sees from a row of places lies side by side, too.
    fn phases(self, layers: &[f32]) -> Cow<'_, [f32]> {
        let stride = self.options.stride;
        if stride == 1 {
            return Cow::Borrowed(layers);
        }
        let mut phases = vec![0.0; layers.len() / self.width * stride * self.phase()];
        let rows = phases.par_chunks_mut(stride * self.phase());
        rows.zip(layers.par_chunks(self.width))
            .for_each(|(phases, row)| {
                for (phase, values) in phases.chunks_exact_mut(self.phase()).enumerate() {
                    for (value, &pixel) in values
                        .iter_mut()
                        .zip(row.iter().skip(phase).step_by(stride))
                    {
                        *value = pixel;
                    }
                }
            });
        Cow::Owned(phases)
    }

    /// The inverse of [`phases`](Self::phases) of one layer.
    fn join_phases(self, phases: &[f32], layer: &mut [f32]) {
        let stride = self.options.stride;
        let rows = layer.chunks_exact_mut(self.width);
        for (row, phases) in rows.zip(phases.chunks_exact(stride * self.phase())) {
            for (phase, values) in phases.chunks_exact(self.phase()).enumerate() {
                for (pixel, &value) in row.iter_mut().skip(phase).step_by(stride).zip(values) {
                    *pixel = value;
                }
            }
        }
    }

    /// The layer of all volumes that a layer of the kernels sees from a layer of the result.
    fn seen_layer(self, image: usize, layer: usize) -> Option<usize> {
        let [volume, own] = [image / self.output_layers(), image % self.output_layers()];
        let (reached, before) = (
            own * self.options.depth_stride + layer,
            self.options.depth_padding,
        );
        let last = self.layers - 1;
        let is_outside = reached < before || reached > before + last;
        let is_seen = !is_outside || self.options.border == DepthBorder::Replicate;
        is_seen.then_some(volume * self.layers + reached.saturating_sub(before).min(last))
    }

    /// What a tap sees from the pixels of `lines`; what lies in the padding is left out.
    fn spans(self, lines: &Range<usize>, tap: usize) -> Vec<Span> {
        let Conv3dOptions {
            stride, padding, ..
        } = self.options;
        let square = self.side * self.side;
        let [layer, row, column] = [tap / square, tap % square / self.side, tap % self.side];
        // Of the place at column 0: its phase, and how far along that the seen pixel lies.
        let offset = column as isize - padding as isize;
        let phase = offset.rem_euclid(stride as isize) as usize;
        let shift = offset.div_euclid(stride as isize);
        let length = self.width.saturating_sub(phase).div_ceil(stride) as isize;
        let first = (-shift).max(0);
        let count = (length - shift).min(self.columns() as isize) - first;
        if count <= 0 {
            return Vec::new();
        }
        let spans = lines.clone().enumerate().filter_map(|(index, line)| {
            let [image, y] = [line / self.rows(), line % self.rows()];
            let image = self.seen_layer(image, layer)?;
            let y = (y * stride + row)
                .checked_sub(padding)
                .filter(|&y| y < self.height)?;
            Some(Span {
                at: index * self.columns() + first as usize,
                count: count as usize,
                image,
                from: (y * stride + phase) * self.phase() + (first + shift) as usize,
            })
        });
        spans.collect()
    }

    /// [`spans`](Self::spans) of every tap.
    fn all_spans(self, lines: &Range<usize>) -> Vec<Vec<Span>> {
        (0..self.taps()).map(|tap| self.spans(lines, tap)).collect()
    }

    /// What every tap of `channels` sees from the pixels of `lines`: `[channels, deep, side, side, pixels]`, or
    /// `[deep, side, side, channels, pixels]`.
    fn unfold(
        self,
        phases: &[f32],
        lines: &Range<usize>,
        channels: Range<usize>,
        order: Order,
    ) -> Vec<f32> {
        let (plane, pixels) = (self.plane(), lines.len() * self.columns());
        let taps = self.all_spans(lines);
        let mut columns = vec![0.0; channels.len() * taps.len() * pixels];
        let each = columns.par_chunks_mut(pixels).enumerate();
        each.for_each(|(row, column)| {
            let [channel, tap] = match order {
                Order::ChannelsFirst => [row / taps.len(), row % taps.len()],
                Order::TapsFirst => [row % channels.len(), row / channels.len()],
            };
            let channel = channels.start + channel;
            for span in &taps[tap] {
                let from = (span.image * self.inputs + channel) * plane + span.from;
                column[span.at..][..span.count].copy_from_slice(&phases[from..][..span.count]);
            }
        });
        columns
    }

    /// Weights `[outputs, inputs, deep, side, side]` as `[outputs, deep, side, side, inputs]`.
    fn taps_first(self, weights: &[f32]) -> Vec<f32> {
        let mut turned = vec![0.0; weights.len()];
        let kernels = turned.par_chunks_mut(self.kernel());
        kernels
            .zip(weights.par_chunks(self.kernel()))
            .for_each(|(turned, kernel)| {
                for (input, taps) in kernel.chunks_exact(self.taps()).enumerate() {
                    for (tap, &weight) in taps.iter().enumerate() {
                        turned[tap * self.inputs + input] = weight;
                    }
                }
            });
        turned
    }

    /// The pixels of `lines` of layers of the result, `[…, outputs, rows, columns]` to `[outputs, pixels]`.
    fn gather(self, layers: &[f32], lines: &Range<usize>) -> Vec<f32> {
        let width = self.columns();
        let pixels = lines.len() * width;
        let mut gathered = vec![0.0; self.outputs * pixels];
        for (channel, gathered) in gathered.chunks_exact_mut(pixels).enumerate() {
            for (line, target) in lines.clone().zip(gathered.chunks_exact_mut(width)) {
                let [image, y] = [line / self.rows(), line % self.rows()];
                let from = (image * self.outputs + channel) * self.area() + y * width;
                target.copy_from_slice(&layers[from..][..width]);
            }
        }
        gathered
    }
}

/// Places of a kernel along an axis.
fn places(size: usize, kernel: usize, padding: usize, stride: usize) -> usize {
    (size + 2 * padding)
        .checked_sub(kernel)
        .map_or(0, |free| free / stride + 1)
}

/// The convolution.
///
/// # Shapes
/// - volumes: `[batch, layers, inputs, height, width]`
/// - weights: `[outputs, inputs, deep, side, side]`
/// - bias: `[outputs]`
/// - output: `[batch, output layers, outputs, rows, columns]`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let (kernel, width) = (sizes.kernel(), sizes.columns());
    let phases = sizes.phases(volumes);
    let (order, weights) = match sizes.deep {
        1 => (Order::TapsFirst, Cow::Owned(sizes.taps_first(weights))),
        _ => (Order::ChannelsFirst, Cow::Borrowed(weights)),
    };
    let product = |lines: &Range<usize>, threads| {
        let pixels = lines.len() * width;
        let columns = sizes.unfold(&phases, lines, 0..sizes.inputs, order);
        let mut product = vec![0.0; sizes.outputs * pixels];
        multiply(
            precision,
            [sizes.outputs, kernel, pixels],
            (&weights, MatrixLayout::rows(kernel)),
            (&columns, MatrixLayout::rows(pixels)),
            (&mut product, pixels),
            false,
            threads,
        );
        product
    };
    let blocks = sizes.blocks(0..sizes.lines());
    let products: Vec<Vec<f32>> = match blocks.len() < FEWEST_BLOCKS {
        true => blocks
            .iter()
            .map(|lines| product(lines, Threading::Pool))
            .collect(),
        false => blocks
            .par_iter()
            .map(|lines| product(lines, Threading::Caller))
            .collect(),
    };
    let step = blocks.first().map_or(1, Range::len);
    let mut output = vec![0.0; sizes.lines() * sizes.outputs * width];
    let planes = output.par_chunks_mut(sizes.area()).enumerate();
    planes.for_each(|(index, plane)| {
        let [image, channel] = [index / sizes.outputs, index % sizes.outputs];
        let bias = bias.map_or(0.0, |bias| bias[channel]);
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            let line = image * sizes.rows() + y;
            let (lines, product) = (&blocks[line / step], &products[line / step]);
            let from = (channel * lines.len() + line % step) * width;
            for (pixel, sum) in row.iter_mut().zip(&product[from..]) {
                *pixel = sum + bias;
            }
        }
    });
    output
}

/// The gradient of the volumes, given that of the output.
///
/// # Shapes
/// - gradient: `[batch, output layers, outputs, rows, columns]`
/// - weights: `[outputs, inputs, deep, side, side]`
/// - output: `[batch, layers, inputs, height, width]`
pub fn image_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let (slices, plane) = (sizes.slices(), sizes.plane());
    let lines = sizes.output_layers() * sizes.rows();
    let task = |task: usize| {
        let [volume, slice] = [task / slices.len(), task % slices.len()];
        let channels = &slices[slice];
        let rows = channels.len() * sizes.taps();
        let transposed = MatrixLayout::rows(sizes.kernel()).transposed();
        let mut sums = vec![0.0; sizes.layers * channels.len() * plane];
        for lines in sizes.blocks(volume * lines..(volume + 1) * lines) {
            let pixels = lines.len() * sizes.columns();
            let mut columns = vec![0.0; rows * pixels];
            multiply(
                precision,
                [rows, sizes.outputs, pixels],
                (weights, transposed.at(channels.start * sizes.taps())),
                (&sizes.gather(gradient, &lines), MatrixLayout::rows(pixels)),
                (&mut columns, pixels),
                false,
                Threading::Caller,
            );
            let taps = sizes.all_spans(&lines);
            for (row, column) in columns.chunks_exact(pixels).enumerate() {
                let [channel, tap] = [row / taps.len(), row % taps.len()];
                for span in &taps[tap] {
                    let layer = span.image - volume * sizes.layers;
                    let from = (layer * channels.len() + channel) * plane + span.from;
                    let terms = &column[span.at..][..span.count];
                    for (sum, term) in sums[from..].iter_mut().zip(terms) {
                        *sum += term;
                    }
                }
            }
        }
        sums
    };
    let tasks = sizes.batch * slices.len();
    let sums: Vec<Vec<f32>> = (0..tasks).into_par_iter().map(task).collect();
    let step = slices.first().map_or(1, Range::len);
    let area = sizes.height * sizes.width;
    let mut output = vec![0.0; sizes.batch * sizes.layers * sizes.inputs * area];
    let layers = output.par_chunks_mut(area).enumerate();
    layers.for_each(|(index, target)| {
        let [image, channel] = [index / sizes.inputs, index % sizes.inputs];
        let [volume, layer] = [image / sizes.layers, image % sizes.layers];
        let slice = channel / step;
        let own = layer * slices[slice].len() + channel % step;
        let sums = &sums[volume * slices.len() + slice][own * plane..][..plane];
        sizes.join_phases(sums, target);
    });
    output
}

/// The gradient of the weights, given that of the output.
///
/// # Shapes
/// - volumes: `[batch, layers, inputs, height, width]`
/// - gradient: `[batch, output layers, outputs, rows, columns]`
/// - output: `[outputs, inputs, deep, side, side]`
pub fn weight_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let phases = sizes.phases(volumes);
    let add = |lines: &Range<usize>, channels: Range<usize>, sums: &mut [f32], add, threads| {
        let pixels = lines.len() * sizes.columns();
        let columns = sizes.unfold(&phases, lines, channels.clone(), Order::ChannelsFirst);
        let width = channels.len() * sizes.taps();
        multiply(
            precision,
            [sizes.outputs, pixels, width],
            (&sizes.gather(gradient, lines), MatrixLayout::rows(pixels)),
            (&columns, MatrixLayout::rows(pixels).transposed()),
            (sums, width),
            add,
            threads,
        );
    };
    let kernel = sizes.kernel();
    if sizes.has_few_pixels() {
        // Where they belong at once: the sums are what is large.
        let mut output = vec![0.0; sizes.outputs * kernel];
        let whole = 0..sizes.lines();
        add(&whole, 0..sizes.inputs, &mut output, false, Threading::Pool);
        return output;
    }
    let (slices, blocks) = (sizes.slices(), sizes.blocks(0..sizes.lines()));
    let per_group = blocks.len().div_ceil((TASKS / slices.len()).max(1));
    let groups: Vec<&[Range<usize>]> = blocks.chunks(per_group).collect();
    let tasks = 0..slices.len() * groups.len();
    let sums: Vec<Vec<f32>> = tasks
        .into_par_iter()
        .map(|task| {
            let (channels, group) = (&slices[task / groups.len()], groups[task % groups.len()]);
            let mut sums = vec![0.0; sizes.outputs * channels.len() * sizes.taps()];
            for (index, lines) in group.iter().enumerate() {
                add(
                    lines,
                    channels.clone(),
                    &mut sums,
                    index > 0,
                    Threading::Caller,
                );
            }
            sums
        })
        .collect();
    let mut output = vec![0.0; sizes.outputs * kernel];
    let kernels = output.par_chunks_mut(kernel).enumerate();
    kernels.for_each(|(index, kernel)| {
        for (channels, groups) in slices.iter().zip(sums.chunks_exact(groups.len())) {
            let width = channels.len() * sizes.taps();
            let target = &mut kernel[channels.start * sizes.taps()..][..width];
            for sums in groups {
                for (sum, term) in target.iter_mut().zip(&sums[index * width..]) {
                    *sum += term;
                }
            }
        }
    });
    output
}
