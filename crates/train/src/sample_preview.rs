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
