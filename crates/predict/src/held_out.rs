//! A fragment that is validated on.

use burn::tensor::Device;
use inkling_augment::TestTransform;
use inkling_fragment::Volume;
use inkling_model::Network;
use ndarray::Array2;

use crate::{Channels, Error, Member, PredictSettings, Predictor, Sheet, Tta, to_image};

/// A held-out fragment, which a [`Validator`](crate::Validator) predicts and scores after an epoch.
pub struct HeldOut {
    /// Its voxels, aligned as those of training are.
    pub volume: Box<dyn Volume>,
    /// Where there is papyrus, (y, x).
    pub mask: Array2<bool>,
    /// Where there is ink, (y, x).
    pub labels: Array2<bool>,
    /// Reads a tile.
    pub transform: TestTransform,
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// Where the network runs.
    pub device: Device,
    /// Batch and step; the test-time augmentation is not used.
    pub settings: PredictSettings,
}

impl HeldOut {
    /// The whole sheet's blended ink probabilities, without test-time augmentation: 8 bits, (y, x);
    /// 0 outside the mask.
    ///
    /// # Errors
    /// Those of [`Predictor::predict`].
    pub fn predict(&self, network: &Network) -> Result<Array2<u8>, Error> {
        let settings = PredictSettings {
            tta: Tta::None,
            rotations: 0,
            ..self.settings.clone()
        };
        let member = Member {
            network: network.clone(),
            weight: 1.0,
        };
        let predictor = Predictor {
            members: std::slice::from_ref(&member),
            device: &self.device,
            transform: self.transform.clone(),
            image_size: self.image_size,
            settings: &settings,
            channels: Channels::default(),
        };
        let sheet = Sheet::of_mask(self.mask.clone());
        let prediction = predictor.predict(self.volume.as_ref(), &sheet, &|_, _| {})?;
        Ok(to_image(&prediction.probability))
    }
}
