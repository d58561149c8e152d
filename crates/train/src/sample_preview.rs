use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use inkling_augment::Sample;
use ndarray::{Array2, ArrayView2};

use crate::Error;
use crate::events::Events;

/// One sample as the network saw it, for people to look at.
pub(crate) struct SamplePreview {
    input: Array2<u8>,
    label: Array2<u8>,
    prediction: Array2<u8>,
}

impl SamplePreview {
    /// The first sample of a batch, its middle layer stretched to black and white, and what the
    /// network made of it; logits are `[batch, height, width]`.
    pub fn new(sample: &Sample, logits: &Tensor<3>) -> Self {
        let (depth, height, width) = sample.volume.dim();
        let middle = sample.volume.index_axis(ndarray::Axis(0), depth / 2);
        let ink = sigmoid(logits.clone().inner().narrow(0, 0, 1));
        let ink: Vec<f32> = ink
            .into_data()
            .convert::<f32>()
            .try_into_vec()
            .unwrap_or_default();
        let prediction = Array2::from_shape_vec((height, width), ink);
        Self {
            input: stretched(middle),
            label: sample.labels.mapv(gray),
            prediction: prediction.unwrap_or_default().mapv(gray),
        }
    }

    /// Shows all three.
    pub fn show(&self, events: &mut Events, step: u64) -> Result<(), Error> {
        events.picture("sample/1 input", step, &self.input)?;
        events.picture("sample/2 label", step, &self.label)?;
        events.picture("sample/3 prediction", step, &self.prediction)
    }
}

fn gray(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn stretched(image: ArrayView2<f32>) -> Array2<u8> {
    let low = image.iter().copied().fold(f32::INFINITY, f32::min);
    let high = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(f32::MIN_POSITIVE);
    image.mapv(|value| gray((value - low) / range))
}

/// `picture` shrunk by a whole factor, by means, to at most `side` px each way.
pub(crate) fn shrunk(picture: &Array2<u8>, side: usize) -> Array2<u8> {
    let (height, width) = picture.dim();
    let factor = height.max(width).div_ceil(side).max(1);
    let size = (height.div_ceil(factor), width.div_ceil(factor));
    Array2::from_shape_fn(size, |(y, x)| {
        let rows = y * factor..height.min((y + 1) * factor);
        let columns = x * factor..width.min((x + 1) * factor);
        let block = picture.slice(ndarray::s![rows, columns]);
        let sum: u32 = block.iter().map(|&value| u32::from(value)).sum();
        (sum / block.len() as u32) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_takes_means_to_the_very_edge() {
        let picture = ndarray::array![[0, 2, 9], [4, 6, 9], [1, 3, 200]];
        assert_eq!(shrunk(&picture, 2), ndarray::array![[3, 9], [2, 200]]);
        assert_eq!(shrunk(&picture, 3), picture);
    }
}
