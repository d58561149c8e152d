use burn::tensor::{Device, Tensor, TensorData};
use inkling_augment::Sample;

/// Samples stacked on the device.
pub(crate) struct Batch {
    /// `[batch, depth, height, width]`.
    pub volume: Tensor<4>,
    /// `[batch, height, width]`.
    pub labels: Tensor<3>,
    /// `[batch, height, width]`.
    pub validity: Tensor<3>,
    /// `[batch, height, width]`; labels count everywhere without it.
    pub supervision: Option<Tensor<3>>,
}

impl Batch {
    /// The `samples`, at least one, on `device`.
    pub fn new(samples: &[Sample], device: &Device) -> Self {
        let (depth, height, width) = samples[0].volume.dim();
        let map = |values: Vec<f32>| {
            let data = TensorData::new(values, [samples.len(), height, width]);
            Tensor::from_data(data, device)
        };
        let volume = samples
            .iter()
            .flat_map(|s| s.volume.iter().copied())
            .collect();
        let data = TensorData::new(volume, [samples.len(), depth, height, width]);
        let counts = |sample: &Sample| match &sample.supervision {
            Some(mask) => mask.iter().copied().collect(),
            None => vec![1.0; height * width],
        };
        let excludes = samples.iter().any(|sample| sample.supervision.is_some());
        Self {
            supervision: excludes.then(|| map(samples.iter().flat_map(counts).collect())),
            volume: Tensor::from_data(data, device),
            labels: map(samples
                .iter()
                .flat_map(|s| s.labels.iter().copied())
                .collect()),
            validity: map(samples
                .iter()
                .flat_map(|s| s.validity.iter().copied())
                .collect()),
        }
    }
}
