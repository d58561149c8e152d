use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::StagedNetwork;
use super::aggregate::Aggregate;
use crate::decoders::{Decoder, SimplePyramid, UnetConfig, UperNetConfig};
use crate::encoders::{Encoder, Stages};
use crate::layers::{Conv2d, Conv2dConfig, Initializer, Resize};
use crate::{Aggregation, Approach, Architecture, Conversion, Error, ModelSettings, Normalization};

/// An UperNet takes the maps at strides 4 to 32; some encoders have one at stride 2 too.
const UPERNET_LEVELS: usize = 4;

/// Windows of layers, each the channels of one image for a 2D network; what it says of the windows
/// is combined pixel by pixel. A single window of all layers is "2.5D".
#[derive(Module, Debug)]
pub struct WindowNetwork {
    encoder: Encoder,
    pyramid: Option<SimplePyramid>,
    decoder: Decoder,
    head: Vec<Conv2d>,
    aggregate: Option<Aggregate>,
    /// How windows are combined; none where there is one.
    #[module(skip)]
    aggregation: Option<Aggregation>,
    #[module(skip)]
    conversion: Option<Conversion>,
    #[module(skip)]
    normalization: Normalization,
    inputs: usize,
    step: usize,
}

impl WindowNetwork {
    /// Makes the network that checked `settings` describe.
    ///
    /// # Errors
    /// Those of [`ModelSettings::encoder_config`].
    pub(super) fn new(settings: &ModelSettings, device: &Device) -> Result<Self, Error> {
        let encoder = settings.encoder_config()?;
        let channels = encoder.channels();
        let pyramid = encoder
            .is_plain()
            .then(|| SimplePyramid::new(channels[0], device));
        let last = settings.decoder[settings.decoder.len() - 1];
        let kernel = match settings.architecture {
            Architecture::Unet => 3,
            Architecture::UperNet => 1,
        };
        let head =
            Conv2dConfig::new([last, 1], kernel).with_initializer(Initializer::XavierUniform);
        let aggregation =
            (settings.approach == Approach::Aggregate).then_some(settings.aggregation);
        let windows = settings.windows();
        Ok(Self {
            pyramid,
            decoder: decoder(settings, &channels, device),
            head: vec![head.init(device)],
            aggregate: aggregation.and_then(|kind| kind.init(windows, last, device)),
            aggregation,
            conversion: settings.conversion(),
            normalization: settings.normalization.clone(),
            inputs: settings.inputs(),
            step: settings.step(),
            encoder: encoder.init(device),
        })
    }

    /// The maps that the decoder takes.
    fn levels(&self, mut features: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        match self.decoder {
            Decoder::Unet(_) => features,
            Decoder::UperNet(_) => {
                features.split_off(features.len().saturating_sub(UPERNET_LEVELS))
            }
        }
    }
}

fn decoder(settings: &ModelSettings, encoder: &[usize], device: &Device) -> Decoder {
    match settings.architecture {
        Architecture::Unet => {
            let unet = UnetConfig::new(encoder, &settings.decoder);
            Decoder::Unet(unet.with_scse(settings.attention.is_some()).init(device))
        }
        Architecture::UperNet => {
            let levels = &encoder[encoder.len().saturating_sub(UPERNET_LEVELS)..];
            let upernet = UperNetConfig::new(levels, settings.decoder[0]);
            Decoder::UperNet(upernet.with_dropout(settings.dropout).init(device))
        }
    }
}

impl StagedNetwork for WindowNetwork {
    fn images(&self, volume: Tensor<4>) -> Tensor<4> {
        let [batch, depth, height, width] = volume.dims();
        let windows = (depth - self.inputs) / self.step + 1;
        let images = [batch * windows, self.inputs, height, width];
        if self.step == self.inputs {
            return volume.narrow(1, 0, windows * self.inputs).reshape(images);
        }
        let window = |index: usize| volume.clone().narrow(1, index * self.step, self.inputs);
        Tensor::cat((0..windows).map(window).collect(), 1).reshape(images)
    }

    fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    fn encoder(&self) -> &dyn Stages {
        &self.encoder
    }

    fn partial(&self, mut features: Vec<Tensor<4>>, batch: usize) -> Tensor<4> {
        if let Some(pyramid) = &self.pyramid {
            features = pyramid.forward(features);
        }
        let features = self.decoder.forward(self.levels(features));
        let logits = (self.head.iter()).fold(features.clone(), |x, conv| conv.forward(x));
        let [images, _, rows, columns] = logits.dims();
        let logits = logits.reshape([batch, images / batch, rows, columns]);
        match self.aggregation {
            Some(kind) => kind.partial(self.aggregate.as_ref(), logits, features),
            None => logits,
        }
    }

    fn combine(&self, maps: Tensor<4>) -> Tensor<4> {
        match self.aggregation {
            Some(kind) => kind.combine(self.aggregate.as_ref(), maps),
            None => maps,
        }
    }

    fn conversion(&self) -> Option<Conversion> {
        self.conversion
    }

    fn enlargement(&self) -> Resize {
        match self.decoder {
            Decoder::Unet(_) => Resize::Nearest,
            Decoder::UperNet(_) => Resize::Bilinear,
        }
    }
}
