//! A [`VolumeConv`] and the norm behind it, in one pass.

use burn::tensor::Tensor;
use inkling_kernels::{Activation, conv2d_affine, conv2d_affine_onto};

use super::VolumeConv;

/// A [`VolumeConv`], a norm that takes its running statistics, and an activation; made by
/// [`VolumeConv::with_norm`] for one pass.
#[derive(Debug)]
pub struct NormedVolumeConv<'a> {
    pub conv: &'a VolumeConv,
    /// The kernels' layers as input channels.
    pub(super) weight: Tensor<4>,
    pub(super) bias: Option<Tensor<1>>,
    /// The norm's factor and summand of each channel.
    pub(super) scales: [Tensor<1>; 2],
    pub(super) activation: Option<Activation>,
}

impl NormedVolumeConv<'_> {
    /// What a 2D convolution makes of what the kernels see.
    ///
    /// # Shapes
    /// - seen: `[layers, depth × inputs, height, width]`
    /// - output: `[layers, outputs, height / stride, width / stride]`, rounded up
    pub fn plane(&self, seen: Tensor<4>) -> Tensor<4> {
        let (weight, bias, scales) = self.kernel();
        let options = self.conv.options();
        conv2d_affine(seen, weight, bias, options, scales, self.activation)
    }

    /// The same for kernels of one layer, added to the layers of a shortcut from `first` on before `activation`;
    /// in place of the shortcut where nobody else has it and the kernels are of one voxel.
    ///
    /// # Shapes
    /// - shortcut and output: `[any layers, outputs, height, width]`
    /// - layers: `[layers, inputs, height, width]`
    pub fn plane_onto(
        &self,
        (shortcut, first): (Tensor<4>, usize),
        layers: Tensor<4>,
        activation: Activation,
    ) -> Tensor<4> {
        let (weight, bias, scales) = self.kernel();
        let (shortcut, options) = ((shortcut, first), self.conv.options());
        conv2d_affine_onto(shortcut, layers, weight, bias, options, scales, activation)
    }

    fn kernel(&self) -> (Tensor<4>, Option<Tensor<1>>, [Tensor<1>; 2]) {
        (self.weight.clone(), self.bias.clone(), self.scales.clone())
    }
}
