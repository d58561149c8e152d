//! The bottleneck.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, add_activated};

use super::WIDENING;
use crate::layers::{
    BatchNorm2d, BatchNorm2dConfig, LayerWindow, NormedVolumeConv, VolumeConv, VolumeConvConfig,
};

/// A bottleneck whose middle convolution has a depth of 3.
#[derive(Module, Debug)]
pub struct Block {
    conv1: VolumeConv,
    bn1: BatchNorm2d,
    conv2: VolumeConv,
    bn2: BatchNorm2d,
    conv3: VolumeConv,
    bn3: BatchNorm2d,
    downsample: Option<(VolumeConv, BatchNorm2d)>,
}

impl Block {
    pub fn new([inputs, inner]: [usize; 2], stride: usize, layers: usize, device: &Device) -> Self {
        let outputs = inner * WIDENING;
        let conv = |channels, kernel, stride, layers| {
            VolumeConvConfig::new(channels, kernel, layers)
                .with_stride([stride; 2])
                .init(device)
        };
        let norm = |channels| BatchNorm2dConfig::new(channels).init(device);
        let projects = stride > 1 || inputs != outputs;
        Self {
            conv1: conv([inputs, inner], 1, 1, layers),
            bn1: norm(inner),
            conv2: conv([inner, inner], 3, stride, layers),
            bn2: norm(inner),
            conv3: conv([inner, outputs], 1, 1, layers.div_ceil(stride)),
            bn3: norm(outputs),
            downsample: projects
                .then(|| (conv([inputs, outputs], 1, stride, layers), norm(outputs))),
        }
    }

    /// # Shapes
    /// - input: `[batch × layers, inputs, height, width]`
    /// - output: `[batch × layers / stride, 4 × inner, height / stride, width / stride]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let projected = self.downsample.as_ref();
        let projected =
            projected.map(|(conv, norm)| conv.forward_normed(input.clone(), norm, None));
        if let Some(convs) = self.with_norms(&input) {
            return by_steps(&convs, input, projected);
        }
        let shortcut = projected.unwrap_or_else(|| input.clone());
        let rectified = Some(Activation::Relu);
        let x = self.conv1.forward_normed(input, &self.bn1, rectified);
        let x = self.conv2.forward_normed(x, &self.bn2, rectified);
        let x = self.conv3.forward_normed(x, &self.bn3, None);
        add_activated(x, shortcut, Activation::Relu)
    }

    /// The convolutions with their norms, where these take their running statistics and nothing is recorded.
    fn with_norms(&self, input: &Tensor<4>) -> Option<[NormedVolumeConv<'_>; 3]> {
        if input.device().is_autodiff() {
            return None;
        }
        let rectified = Some(Activation::Relu);
        Some([
            self.conv1.with_norm(&self.bn1, rectified, input)?,
            self.conv2.with_norm(&self.bn2, rectified, input)?,
            self.conv3.with_norm(&self.bn3, None, input)?,
        ])
    }
}

/// The block, a few layers of its output at a time, so that no convolution's output ever lies in memory whole: the first
/// and the last look at each layer by itself. The output takes the place of `projected`, or of the input.
fn by_steps(
    [before, middle, after]: &[NormedVolumeConv; 3],
    input: Tensor<4>,
    projected: Option<Tensor<4>>,
) -> Tensor<4> {
    let [images, _, height, width] = input.dims();
    let volumes = images / middle.conv.layers();
    let (source, mut output) = match projected {
        Some(projected) => (Some(input), projected),
        None => (None, input),
    };
    let layers = output.dims()[0] / volumes;
    for volume in 0..volumes {
        let mut window = LayerWindow::default();
        for step in middle.conv.steps(middle.conv.at_once([height, width])) {
            // No layer is overwritten that is still to be seen: the next step's are in the window, or behind.
            let seen = window.slide(middle.conv.reach(&step), |seen| {
                let source = source.as_ref().unwrap_or(&output).clone();
                let first = volume * middle.conv.layers() + seen.start;
                before.plane(source.narrow(0, first, seen.len()))
            });
            let x = middle.plane(middle.conv.seen(seen, &step));
            let onto = (output, volume * layers + step.start);
            output = after.plane_onto(onto, x, Activation::Relu);
        }
    }
    output
}
