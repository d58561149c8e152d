use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

/// How pixels between pixels are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Copies of the nearest one.
    Nearest,
    /// Linear between neighbours, pixel centres aligned (`align_corners=False`).
    Bilinear,
}

impl Resize {
    /// # Shapes
    /// - input: `[batch, channels, height, width]`
    /// - output: `[batch, channels, size[0], size[1]]`
    pub fn to(self, input: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let [_, _, height, width] = input.dims();
        if [height, width] == size {
            return input;
        }
        let mode = match self {
            Self::Nearest => InterpolateMode::Nearest,
            Self::Bilinear => InterpolateMode::Bilinear,
        };
        let options = InterpolateOptions::new(mode).with_align_corners(false);
        interpolate(input, options.with_output_size(size))
    }
}
