//! Direct 3D convolutions by kernels of 3 × 3 pixels and an odd number of layers, stride 1.
//!
//! Layers that lie one behind the other are the channels of one image, so a layer of the output is a 2D
//! convolution ([`conv3x3`]) of the layers around it, where they lie: neighbouring outputs' images overlap,
//! and nothing is copied for each layer of the kernel.

use rayon::prelude::*;

use crate::conv_unfolded::{self, Conv3dOptions};
use crate::conv3x3::{
    self, Packed, PaddedImage, TapOrder, convolve_padded, pack_kernels, weight_gradient_padded,
};
use crate::matrix::{DotUnit, MulPrecision};
use crate::padded::PaddedPlane;

/// Words of padded layers that are in memory at once, about.
const AT_ONCE: usize = 4 << 20;
/// Fewest layers of the result that are computed from them.
const FEWEST_AT_ONCE: usize = 8;

/// What stands before the first and behind the last layer; around a layer's pixels are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthBorder {
    /// Zeros.
    Zeros,
    /// The outermost layer again.
    Replicate,
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Volumes.
    pub batch: usize,
    /// Layers of a volume, and of its result.
    pub layers: usize,
    /// Layers of the kernels, odd.
    pub deep: usize,
    /// Channels of the volume.
    pub inputs: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// What stands around the layers.
    pub border: DepthBorder,
}

impl Sizes {
    /// Of a convolution that is better computed directly than as a product of matrices: it keeps the volume's
    /// size, by kernels of 3 × 3 pixels, and its pixels outnumber its weights.
    pub fn direct(sizes: conv_unfolded::Sizes) -> Option<Self> {
        let conv_unfolded::Sizes {
            deep,
            side,
            options,
            ..
        } = sizes;
        let keeps_size = options == Conv3dOptions::same(deep, side, options.border);
        let fits = side == 3 && deep % 2 == 1 && keeps_size;
        (fits && !sizes.has_few_pixels()).then_some(Self {
            batch: sizes.batch,
            layers: sizes.layers,
            deep,
            inputs: sizes.inputs,
            outputs: sizes.outputs,
            height: sizes.height,
            width: sizes.width,
            border: options.border,
        })
    }

    fn frame(self) -> PaddedPlane {
        self.plane(DotUnit::of(MulPrecision::F32)).frame()
    }

    /// Sizes of the 2D convolution: an image for each layer of the result, the channels of all layers that
    /// the kernel sees, each layer's filling words of its own.
    fn plane(self, unit: DotUnit) -> conv3x3::Sizes {
        conv3x3::Sizes {
            batch: self.batch * self.layers,
            inputs: self.deep * unit.words(self.inputs) * unit.values_per_word(),
            outputs: self.outputs,
            height: self.height,
            width: self.width,
        }
    }

    /// The layer and the channel of an input of [`plane`](Self::plane), if it is no filling.
    fn layer_and_channel(self, unit: DotUnit, input: usize) -> Option<[usize; 2]> {
        let channels = unit.words(self.inputs) * unit.values_per_word();
        let [layer, channel] = [input / channels, input % channels];
        (channel < self.inputs).then_some([layer, channel])
    }

    /// The layers of volumes of `channels` channels between `border` more at each end.
    fn bordered(
        self,
        volumes: &[f32],
        channels: usize,
        border: usize,
        kind: DepthBorder,
    ) -> Vec<Option<&[f32]>> {
        let image = channels * self.height * self.width;
        let volumes = volumes.chunks_exact(self.layers * image);
        volumes
            .flat_map(|volume| {
                let (last, layers) = (self.layers - 1, self.layers + 2 * border);
                (0..layers).map(move |layer| {
                    let outside = layer < border || layer > border + last;
                    let own = layer.saturating_sub(border).min(last);
                    let is_kept = !outside || kind == DepthBorder::Replicate;
                    is_kept.then(|| &volume[own * image..][..image])
                })
            })
            .collect()
    }

    /// Convolves volumes of `layers` between as many more as the kernels reach.
    fn convolve(
        self,
        unit: DotUnit,
        layers: &[Option<&[f32]>],
        packed: &Packed,
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let frame = self.frame();
        let padded_layer = unit.words(self.inputs) * frame.plane();
        let at_once = (AT_ONCE / padded_layer).max(FEWEST_AT_ONCE);
        let mut output = vec![0.0; self.batch * self.layers * self.outputs * frame.area()];
        let parts = output.chunks_mut(at_once * self.outputs * frame.area());
        for (part, output) in parts.enumerate() {
            self.convolve_part(unit, layers, (packed, bias), (part * at_once, output));
        }
        output
    }

    /// [`convolve`](Self::convolve) for the layers of the result from `first` on that `output` has room for.
    fn convolve_part(
        self,
        unit: DotUnit,
        layers: &[Option<&[f32]>],
        (packed, bias): (&Packed, Option<&[f32]>),
        (first, output): (usize, &mut [f32]),
    ) {
        let frame = self.frame();
        let words = unit.words(self.inputs);
        let images = output.len() / (self.outputs * frame.area());
        let start = self.first_seen(first);
        let layers = &layers[start..self.first_seen(first + images - 1) + self.deep];
        let padded = frame.pad_each(unit, layers, self.inputs);
        let image = |image: usize| {
            let first = self.first_seen(first + image) - start;
            // Zeros stand before and behind the volumes' own layers, if at all.
            let seen = &layers[first..][..self.deep];
            let before = seen.iter().take_while(|layer| layer.is_none()).count();
            let own = seen[before..].iter().flatten().count();
            PaddedImage {
                start: first * words,
                inputs: before * words..(before + own) * words,
            }
        };
        let sizes = conv3x3::Sizes {
            batch: images,
            ..self.plane(unit)
        };
        convolve_padded(unit, sizes, (&padded, image), packed, (bias, None), output);
    }

    /// The first of the layers, those beyond the ends included, that a layer of the result sees.
    fn first_seen(self, image: usize) -> usize {
        let [volume, layer] = [image / self.layers, image % self.layers];
        volume * (self.layers + self.deep - 1) + layer
    }
}

/// Packs weights for [`forward`].
///
/// # Shapes
/// - weights: `[outputs, inputs, deep, 3, 3]`
pub fn pack(precision: MulPrecision, sizes: Sizes, weights: &[f32]) -> Packed {
    let unit = DotUnit::of(precision);
    let kernel = |output, input| {
        let [layer, input] = sizes.layer_and_channel(unit, input)?;
        Some((output * sizes.inputs + input) * sizes.deep + layer)
    };
    pack_kernels(
        unit,
        sizes.plane(unit),
        (weights, TapOrder::Forward),
        kernel,
    )
}

/// The convolution.
///
/// # Shapes
/// - volumes: `[batch, layers, inputs, height, width]`
/// - weights: `[outputs, inputs, deep, 3, 3]`, [packed](pack) for the same precision
/// - bias: `[outputs]`
/// - output: `[batch, layers, outputs, height, width]`
pub fn forward(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    weights: &Packed,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let layers = sizes.bordered(volumes, sizes.inputs, sizes.deep / 2, sizes.border);
    sizes.convolve(DotUnit::of(precision), &layers, weights, bias)
}

/// [`conv_unfolded::image_gradient`], [directly](Sizes::direct) where that is better.
pub fn image_gradient(
    precision: MulPrecision,
    sizes: conv_unfolded::Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    match Sizes::direct(sizes) {
        Some(direct) => direct_image_gradient(precision, direct, gradient, weights),
        None => conv_unfolded::image_gradient(precision, sizes, gradient, weights),
    }
}

/// The gradient of the volumes, given that of the output: a convolution with kernels turned round along
/// all axes and inputs and outputs exchanged. What a repeated layer gets goes to the layer itself.
fn direct_image_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    gradient: &[f32],
    weights: &[f32],
) -> Vec<f32> {
    let repeated = match sizes.border {
        DepthBorder::Zeros => 0,
        DepthBorder::Replicate => sizes.deep / 2,
    };
    let border = sizes.deep / 2 + repeated;
    let layers = sizes.bordered(gradient, sizes.outputs, border, DepthBorder::Zeros);
    let reversed = Sizes {
        layers: sizes.layers + 2 * repeated,
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        ..sizes
    };
    let unit = DotUnit::of(precision);
    let kernel = |input, output| {
        let [layer, output] = reversed.layer_and_channel(unit, output)?;
        Some((output * sizes.inputs + input) * sizes.deep + sizes.deep - 1 - layer)
    };
    let plane = reversed.plane(unit);
    let packed = pack_kernels(unit, plane, (weights, TapOrder::Turned), kernel);
    let bordered = reversed.convolve(unit, &layers, &packed, None);
    match repeated {
        0 => bordered,
        _ => fold_border(sizes, repeated, &bordered),
    }
}

/// Adds what `repeated` layers at each end got to the outermost layers: `[batch, layers + 2 repeated, …]` to
/// `[batch, layers, …]`.
fn fold_border(sizes: Sizes, repeated: usize, bordered: &[f32]) -> Vec<f32> {
    let image = sizes.inputs * sizes.height * sizes.width;
    let mut output = vec![0.0; sizes.batch * sizes.layers * image];
    let layers = output.par_chunks_mut(image).enumerate();
    layers.for_each(|(index, sum)| {
        let [volume, layer] = [index / sizes.layers, index % sizes.layers];
        let is_last = layer + 1 == sizes.layers;
        let first = if layer == 0 { 0 } else { layer + repeated };
        let last = layer + repeated + if is_last { repeated } else { 0 };
        let volume = &bordered[volume * (sizes.layers + 2 * repeated) * image..];
        for layer in first..=last {
            for (sum, term) in sum.iter_mut().zip(&volume[layer * image..][..image]) {
                *sum += term;
            }
        }
    });
    output
}

/// [`conv_unfolded::weight_gradient`], [directly](Sizes::direct) where that is better.
pub fn weight_gradient(
    precision: MulPrecision,
    sizes: conv_unfolded::Sizes,
    volumes: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    match Sizes::direct(sizes) {
        Some(direct) => direct_weight_gradient(precision, direct, volumes, gradient),
        None => conv_unfolded::weight_gradient(precision, sizes, volumes, gradient),
    }
}

/// The gradient of the weights, given that of the output: for each tap of each layer of the kernels the
/// product of the gradient and the volume at the tap's offset, summed over pixels and layers.
fn direct_weight_gradient(
    precision: MulPrecision,
    sizes: Sizes,
    volumes: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let layers = sizes.bordered(volumes, sizes.inputs, sizes.deep / 2, sizes.border);
    let volumes = sizes.frame().pad_each_channels_last(&layers, sizes.inputs);
    let seen = |image: usize, layer: usize| sizes.first_seen(image) + layer;
    let images = conv3x3::Sizes {
        inputs: sizes.inputs,
        ..sizes.plane(DotUnit::of(MulPrecision::F32))
    };
    weight_gradient_padded(precision, images, (&volumes, sizes.deep, seen), gradient)
}
