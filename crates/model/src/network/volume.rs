use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::StagedNetwork;
use super::aggregate::Aggregate;
use crate::decoders::{Unet, UnetConfig};
use crate::encoders::{Encoder, Stages};
use crate::layers::{Conv, Conv2dConfig, Initializer, Resize};
use crate::{Aggregation, Conversion, Error, ModelSettings, Normalization};

/// A network over volumes: an encoder of images that was laid over them, a 3D U-Net decoder, and
/// logits of every layer that is left, which are combined along depth into one map.
///
/// The depth is folded into the batch from end to end, `[batch × layers, channels, rows, columns]`.
#[derive(Module, Debug)]
pub struct VolumeNetwork {
    encoder: Encoder,
    decoder: Unet,
    head: Vec<Conv>,
    aggregate: Option<Aggregate>,
    #[module(skip)]
    aggregation: Aggregation,
    #[module(skip)]
    conversion: Option<Conversion>,
    #[module(skip)]
    normalization: Normalization,
}

impl VolumeNetwork {
    /// Makes the network that checked `settings` describe.
    ///
    /// # Errors
    /// Those of [`ModelSettings::encoder_config`].
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Result<Self, Error> {
        let encoder = settings.encoder_config()?;
        let channels = encoder.channels();
        let form = settings.volume_form(&encoder)?;
        let unet = UnetConfig::new(&channels, &settings.decoder)
            .with_scse(settings.attention.is_some())
            .over_volumes(&form);
        let last = settings.decoder[settings.decoder.len() - 1];
        let head = Conv2dConfig::new([last, 1], 3).with_initializer(Initializer::XavierUniform);
        let depth = form.within(unet.last_map());
        Ok(Self {
            decoder: unet.init(device),
            head: vec![head.init_over(Some(depth), device)],
            aggregate: settings.aggregation.init(depth.layers, last, device),
            aggregation: settings.aggregation,
            conversion: settings.conversion(),
            normalization: settings.normalization.clone(),
            encoder: encoder.init(device),
        })
    }
}

impl StagedNetwork for VolumeNetwork {
    fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    fn encoder(&self) -> &dyn Stages {
        &self.encoder
    }

    fn partial(&self, features: Vec<Tensor<4>>, batch: usize) -> Tensor<4> {
        let features = self.decoder.forward(features);
        let logits = (self.head.iter()).fold(features.clone(), |x, conv| conv.forward(x));
        let [images, _, rows, columns] = logits.dims();
        let logits = logits.reshape([batch, images / batch, rows, columns]);
        self.aggregation
            .partial(self.aggregate.as_ref(), logits, features)
    }

    fn combine(&self, maps: Tensor<4>) -> Tensor<4> {
        self.aggregation.combine(self.aggregate.as_ref(), maps)
    }

    fn enlargement(&self) -> Resize {
        Resize::Nearest
    }

    fn conversion(&self) -> Option<Conversion> {
        self.conversion
    }
}
