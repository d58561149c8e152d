use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use crate::decoders::{Unet, UnetConfig};
use crate::encoders::Encoder;
use crate::layers::{Conv2d, Conv2dConfig};
use crate::{Approach, Error, ModelSettings};

impl ModelSettings {
    /// Makes the network with random weights, the same for the same `seed` on one device.
    ///
    /// # Errors
    /// Settings out of range, an unknown encoder, an image size that it cannot take.
    pub fn init(&self, device: &Device, seed: u64) -> Result<Network, Error> {
        // Devices draw from one generator per process: networks made at once must not mix draws.
        static DRAWING: Mutex<()> = Mutex::new(());
        let network = self.build(device)?;
        let _alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        device.seed(seed);
        Ok(network.materialize())
    }

    /// Makes the network with weights that are drawn only when first read, for those who will
    /// replace them.
    pub(crate) fn build(&self, device: &Device) -> Result<Network, Error> {
        self.check()?;
        let encoder = self.encoder_config()?;
        let last = self.decoder[self.decoder.len() - 1];
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let head = Conv2dConfig::new([last, 1], 3).with_initializer(xavier.clone());
        let aggregate = Conv2dConfig::new([self.windows(), 1], 1).with_initializer(xavier);
        Ok(Network {
            decoder: UnetConfig::new(&encoder.channels(), &self.decoder).init(device),
            head: vec![head.init(device)],
            aggregate: (self.approach == Approach::Aggregate).then(|| aggregate.init(device)),
            inputs: self.inputs(),
            enlargement: encoder.deepest_stride() >> self.decoder.len(),
            encoder: encoder.init(device),
        })
    }
}

/// A segmentation network: volume patch in, ink logits out.
#[derive(Module, Debug)]
pub struct Network {
    encoder: Encoder,
    decoder: Unet,
    head: Vec<Conv2d>,
    aggregate: Option<Conv2d>,
    inputs: usize,
    enlargement: usize,
}

impl Network {
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    /// - output: `[batch, height, width]`, logits of ink
    pub fn forward(&self, volume: Tensor<4>) -> Tensor<3> {
        let [batch, depth, height, width] = volume.dims();
        let windows = depth / self.inputs;
        let images = volume.reshape([batch * windows, self.inputs, height, width]);
        let features = self.encoder.forward(images);
        let mut logits = self.decoder.forward(features);
        for conv in &self.head {
            logits = conv.forward(logits);
        }
        let [_, _, rows, columns] = logits.dims();
        let mut logits = logits.reshape([batch, windows, rows, columns]);
        // The reference enlarges first. Repeating pixels and mixing windows commute exactly, and
        // mixing the small maps is sixteen times less work.
        if let Some(aggregate) = &self.aggregate {
            logits = aggregate.forward(logits);
        }
        self.enlarge(logits).squeeze_dim(1)
    }

    /// The encoder's feature maps of the windows as a batch, finest first.
    ///
    /// # Shapes
    /// - images: `[batch, inputs, height, width]`
    pub fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        self.encoder.forward(images)
    }

    fn enlarge(&self, logits: Tensor<4>) -> Tensor<4> {
        if self.enlargement == 1 {
            return logits;
        }
        let factor = self.enlargement as f32;
        let options = InterpolateOptions::new(InterpolateMode::Nearest);
        interpolate(logits, options.with_scale_factor([factor, factor]))
    }
}
