use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::decoders::{Decoder, SimplePyramid, UnetConfig, UperNetConfig};
use crate::encoders::Encoder;
use crate::layers::{Conv2d, Conv2dConfig, Initializer, Resize};
use crate::{Approach, Architecture, Error, ModelSettings, seed_generator};

impl ModelSettings {
    /// Makes the network with random weights, the same for the same `seed` on every device.
    ///
    /// # Errors
    /// Settings out of range, an unknown encoder, an image size that it cannot take.
    pub fn init(&self, device: &Device, seed: u64) -> Result<Network, Error> {
        let network = self.build(device)?;
        seed_generator(seed);
        Ok(network.materialize())
    }

    /// Makes the network with weights that are drawn only when first read, for those who will
    /// replace them.
    pub(crate) fn build(&self, device: &Device) -> Result<Network, Error> {
        self.check()?;
        let encoder = self.encoder_config()?;
        let channels = encoder.channels();
        let pyramid = encoder
            .is_plain()
            .then(|| SimplePyramid::new(channels[0], device));
        let last = self.decoder[self.decoder.len() - 1];
        let kernel = match self.architecture {
            Architecture::Unet => 3,
            Architecture::UperNet => 1,
        };
        let head =
            Conv2dConfig::new([last, 1], kernel).with_initializer(Initializer::XavierUniform);
        let aggregate =
            Conv2dConfig::new([self.windows(), 1], 1).with_initializer(Initializer::XavierUniform);
        Ok(Network {
            pyramid,
            decoder: self.decoder(&channels, device),
            head: vec![head.init(device)],
            aggregate: (self.approach == Approach::Aggregate).then(|| aggregate.init(device)),
            inputs: self.inputs(),
            encoder: encoder.init(device),
        })
    }

    fn decoder(&self, encoder: &[usize], device: &Device) -> Decoder {
        match self.architecture {
            Architecture::Unet => {
                let unet = UnetConfig::new(encoder, &self.decoder);
                Decoder::Unet(unet.with_scse(self.attention.is_some()).init(device))
            }
            Architecture::UperNet => {
                let levels = &encoder[encoder.len().saturating_sub(UPERNET_LEVELS)..];
                let upernet = UperNetConfig::new(levels, self.decoder[0]);
                Decoder::UperNet(upernet.with_dropout(self.dropout).init(device))
            }
        }
    }
}

/// An UperNet takes the maps at strides 4 to 32; some encoders have one at stride 2 too.
const UPERNET_LEVELS: usize = 4;

/// A segmentation network: volume patch in, ink logits out.
#[derive(Module, Debug)]
pub struct Network {
    encoder: Encoder,
    pyramid: Option<SimplePyramid>,
    decoder: Decoder,
    head: Vec<Conv2d>,
    aggregate: Option<Conv2d>,
    inputs: usize,
}

impl Network {
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    /// - output: `[batch, height, width]`, logits of ink
    pub fn forward(&self, volume: Tensor<4>) -> Tensor<3> {
        let [batch, _, height, width] = volume.dims();
        self.logits(self.volume_features(volume), batch, [height, width])
    }

    /// What each window says by itself, as coarse as the decoder leaves it.
    ///
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    /// - output: `[batch, windows, rows, columns]`
    pub fn window_logits(&self, volume: Tensor<4>) -> Tensor<4> {
        let [batch, ..] = volume.dims();
        self.decoded(self.volume_features(volume), batch)
    }

    /// Mixes what the windows say, pixel by pixel; linear.
    ///
    /// # Shapes
    /// - windows: `[batch, windows, rows, columns]`
    /// - output: `[batch, 1, rows, columns]`, logits of ink
    pub fn aggregate(&self, windows: Tensor<4>) -> Tensor<4> {
        match &self.aggregate {
            Some(aggregate) => aggregate.forward(windows),
            None => windows,
        }
    }

    /// Brings maps to the patch's size; linear.
    ///
    /// # Shapes
    /// - maps: `[batch, channels, rows, columns]`
    /// - output: `[batch, channels, size[0], size[1]]`
    pub fn enlarge(&self, maps: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        self.enlargement().to(maps, size)
    }

    /// Whether [`enlarge`](Self::enlarge) repeats pixels, and so may come after anything that is done
    /// to each pixel by itself.
    pub fn repeats_pixels(&self) -> bool {
        self.enlargement() == Resize::Nearest
    }

    /// The encoder's feature maps of a volume's windows, finest first: `[batch × windows, channels,
    /// …, …]`.
    ///
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    pub fn volume_features(&self, volume: Tensor<4>) -> Vec<Tensor<4>> {
        self.features(self.images(volume))
    }

    /// The encoder's feature maps of the windows as a batch, finest first.
    ///
    /// # Shapes
    /// - images: `[batch, inputs, height, width]`
    pub fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        self.encoder.forward(images)
    }

    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The windows of `[batch, depth, height, width]` as one batch of images.
    pub(crate) fn images(&self, volume: Tensor<4>) -> Tensor<4> {
        let [batch, depth, height, width] = volume.dims();
        let windows = depth / self.inputs;
        volume.reshape([batch * windows, self.inputs, height, width])
    }

    /// What the decoder makes of the windows' features, for `batch` volumes: coarse, each window by
    /// itself.
    fn decoded(&self, mut features: Vec<Tensor<4>>, batch: usize) -> Tensor<4> {
        if let Some(pyramid) = &self.pyramid {
            features = pyramid.forward(features);
        }
        let mut logits = self.decoder.forward(self.levels(features));
        for conv in &self.head {
            logits = conv.forward(logits);
        }
        let [images, _, rows, columns] = logits.dims();
        logits.reshape([batch, images / batch, rows, columns])
    }

    /// What the network makes of the windows' features, for `batch` volumes.
    pub(crate) fn logits(
        &self,
        features: Vec<Tensor<4>>,
        batch: usize,
        size: [usize; 2],
    ) -> Tensor<3> {
        // The reference enlarges first. Resizing and mixing windows commute, being linear, and
        // mixing the small maps is sixteen times less work.
        let logits = self.aggregate(self.decoded(features, batch));
        self.enlarge(logits, size).squeeze_dim(1)
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

    /// How logits grow to the image's size.
    fn enlargement(&self) -> Resize {
        match self.decoder {
            Decoder::Unet(_) => Resize::Nearest,
            Decoder::UperNet(_) => Resize::Bilinear,
        }
    }
}
