use inkling_fragment::Volume;
use ndarray::{Array2, s};

use crate::blend::Rows;
use crate::{Blend, Error, Predictor, Timings, check_count, tiles};

/// The prediction of a whole volume.
pub struct Prediction {
    /// Probability of ink, 0 to 1, (y, x); 0 outside the mask.
    pub probability: Array2<f32>,
    /// Tiles that went through the networks.
    pub tiles: usize,
    /// Where the time went.
    pub timings: Timings,
}

impl Predictor<'_> {
    /// Predicts the papyrus of `volume` where `mask` (y, x) is set, blended in memory; `progress` hears of
    /// the tiles that are done and of all.
    ///
    /// # Errors
    /// Those of [`infer`](Self::infer).
    pub fn predict(
        &self,
        volume: &dyn Volume,
        mask: &Array2<bool>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Prediction, Error> {
        self.settings.check()?;
        let side = self.image_size;
        let (height, width) = mask.dim();
        check_count([height, width], side, self.settings.step_of(side))?;
        let places = tiles(mask, side, self.settings.step_of(side));
        let mut blend = Blend::new(mask, side, self.channels.count(self.members.len()));
        let mut probability = Array2::zeros(mask.dim());
        let mut keep = |rows: Rows| -> Result<(), Error> {
            let values = rows.values.slice(s![0, .., ..]);
            let range = rows.first..rows.first + values.nrows();
            probability.slice_mut(s![range, ..]).assign(&values);
            Ok(())
        };
        let total = places.len() as u64;
        let timings = self.infer(volume, &places, &mut |index, images| {
            let (y, x) = places[index];
            blend.add([y, x], images, &mut keep)?;
            progress(index as u64 + 1, total);
            Ok(())
        })?;
        blend.finish(&mut keep)?;
        Ok(Prediction {
            probability,
            tiles: places.len(),
            timings,
        })
    }
}

/// Probabilities as an 8-bit image: 0 to 255, rounded.
pub fn to_image(probability: &Array2<f32>) -> Array2<u8> {
    probability.mapv(to_level)
}

/// A probability as one of 256 levels.
pub(crate) fn to_level(probability: f32) -> u8 {
    (probability * 255.0).round().clamp(0.0, 255.0) as u8
}
