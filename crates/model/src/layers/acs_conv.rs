use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use inkling_kernels::conv2d;

use super::Conv2dConfig;
use super::depth::Depth;
use super::folded::{DepthPadding, every, folded, unfolded};
use crate::precision::{narrowed, widened};

/// An axial–coronal–sagittal convolution of volumes whose depth is folded into the batch (Yang et
/// al., *Reinventing 2D convolutions for 3D images*, 2021): the kernels stay those of the plane, and
/// lie, a third of the outputs each, in the plane across depth (axial), across height (coronal) and
/// across width (sagittal).
///
/// Each third is a 2D convolution of the volume's slices across that axis.
#[derive(Module, Debug)]
pub struct AcsConv {
    /// `[outputs, inputs / groups, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    layers: usize,
    depth_stride: usize,
    #[module(skip)]
    depth_padding: DepthPadding,
    stride: usize,
    padding: usize,
    groups: usize,
}

impl AcsConv {
    pub(super) fn new(config: &Conv2dConfig, depth: Depth, device: &Device) -> Self {
        let plane = config.init(device);
        Self {
            weight: plane.weight,
            bias: plane.bias,
            layers: depth.layers,
            depth_stride: depth.stride,
            depth_padding: depth.padding,
            stride: config.stride(),
            padding: config.padding(),
            groups: config.groups(),
        }
    }

    /// # Shapes
    /// - input: `[batch × layers, inputs, height, width]`
    /// - output: `[batch × layers / depth stride, outputs, height / stride, width / stride]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(|bias| narrowed(bias.val()));
        let (input, weight) = (narrowed(input), narrowed(self.weight.val()));
        let [outputs, _, kernel, _] = weight.dims();
        let x = unfolded(input, self.layers);
        if kernel == 1 {
            return widened(self.axial(x, weight, bias));
        }
        let mut first = 0;
        let mut thirds = Vec::new();
        for (plane, count) in thirds_of(outputs)
            .into_iter()
            .enumerate()
            .filter(|(_, n)| *n > 0)
        {
            let weight = weight.clone().narrow(0, first, count);
            let bias = bias.clone().map(|bias| bias.narrow(0, first, count));
            let x = match self.groups {
                1 => x.clone(),
                _ => x.clone().narrow(2, first, count),
            };
            thirds.push(match plane {
                0 => self.axial(x, weight, bias),
                1 => self.coronal(x, weight, bias),
                _ => self.sagittal(x, weight, bias),
            });
            first += count;
        }
        widened(Tensor::cat(thirds, 1))
    }

    /// Slices across depth: the layers.
    fn axial(&self, x: Tensor<5>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let (first, step) = (self.middle(&weight), self.depth_stride);
        let x = folded(every(x, first, step, self.layers / step));
        self.convolve(x, weight, bias, [self.stride; 2])
    }

    /// Slices across height, `[batch × height, inputs, layers, width]`.
    fn coronal(&self, x: Tensor<5>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let slices = x.permute([0, 3, 2, 1, 4]);
        let convolved = self.across(slices, weight, bias);
        folded(convolved.permute([0, 3, 2, 1, 4]))
    }

    /// Slices across width, `[batch × width, inputs, layers, height]`.
    fn sagittal(&self, x: Tensor<5>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let slices = x.permute([0, 4, 2, 1, 3]);
        let convolved = self.across(slices, weight, bias);
        folded(convolved.permute([0, 3, 2, 4, 1]))
    }

    /// Convolves slices whose rows are layers: `[batch, slices, inputs, layers, pixels]` to `[batch,
    /// slices / stride, outputs, layers / depth stride, pixels / stride]`.
    fn across(&self, slices: Tensor<5>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<5> {
        let [batch, count, ..] = slices.dims();
        let count = count / self.stride;
        let x = folded(every(slices, self.middle(&weight), self.stride, count));
        // Beyond what is repeated, the convolution sees zeros, and what it makes of them is left out.
        let border = match self.depth_padding {
            DepthPadding::Replicate => self.padding.next_multiple_of(self.depth_stride),
            DepthPadding::Zeros => 0,
        };
        let x = repeat_border(x, border);
        let output = self.convolve(x, weight, bias, [self.depth_stride, self.stride]);
        let layers = self.layers / self.depth_stride;
        let output = output.narrow(2, border / self.depth_stride, layers);
        let [_, outputs, _, pixels] = output.dims();
        output.reshape([batch, count, outputs, layers, pixels])
    }

    /// Where the plane of a kernel lies from its first output's place, across the plane: in the
    /// middle. (Of two it is the first, as the authors' code has it.)
    fn middle(&self, weight: &Tensor<4>) -> usize {
        let [.., kernel] = weight.dims();
        match kernel {
            2 => 0,
            _ => (kernel / 2).saturating_sub(self.padding),
        }
    }

    fn convolve(
        &self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        strides: [usize; 2],
    ) -> Tensor<4> {
        let [_, channels, ..] = x.dims();
        let groups = if self.groups == 1 { 1 } else { channels };
        let options = ConvOptions::new(strides, [self.padding; 2], [1, 1], groups);
        conv2d(x, weight, bias, options)
    }
}

/// The outermost rows of `[batch, channels, rows, columns]` again, `count` times at each end.
fn repeat_border(x: Tensor<4>, count: usize) -> Tensor<4> {
    if count == 0 {
        return x;
    }
    let [_, _, rows, _] = x.dims();
    let border = |row| x.clone().narrow(2, row, 1).repeat_dim(2, count);
    Tensor::cat(vec![border(0), x.clone(), border(rows - 1)], 2)
}

/// How many of `outputs` lie in the axial, coronal and sagittal plane: a third each, what is left over
/// in the first ones.
fn thirds_of(outputs: usize) -> [usize; 3] {
    [0, 1, 2].map(|plane| outputs / 3 + usize::from(plane < outputs % 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_three_does_not_divide_goes_to_the_first_planes() {
        assert_eq!(thirds_of(6), [2, 2, 2]);
        assert_eq!(thirds_of(7), [3, 2, 2]);
        assert_eq!(thirds_of(8), [3, 3, 2]);
        assert_eq!(thirds_of(1), [1, 0, 0]);
    }
}
