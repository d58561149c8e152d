use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_augment::TestTransform;
use inkling_fragment::Volume;
use inkling_model::Network;
use ndarray::{Array2, Array3, ArrayView2};

use crate::settings::Average;
use crate::{Blend, Error, Pass, PredictSettings, tiles};

/// Batches read ahead of the network.
const AHEAD: usize = 2;

/// What is predicted with, on what.
pub struct Predictor<'a> {
    /// The networks; their probabilities are averaged.
    pub networks: &'a [Network],
    /// Where they run.
    pub device: &'a Device,
    /// Reads a tile.
    pub transform: TestTransform,
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// How.
    pub settings: &'a PredictSettings,
}

/// A painted sheet.
pub struct Prediction {
    /// Probability of ink, 0 to 1, (y, x); 0 outside the mask.
    pub probability: Array2<f32>,
    /// Tiles that went through the networks.
    pub tiles: usize,
    /// Seconds in the networks, the rest of the time being reading and blending.
    pub network_seconds: f64,
}

struct Batch {
    places: Vec<(usize, usize)>,
    voxels: Vec<f32>,
    shape: [usize; 4],
}

impl Predictor<'_> {
    /// Paints the papyrus of `volume` where `mask` is set.
    ///
    /// # Errors
    /// Bad settings, voxels that cannot be read, predictions that are no numbers.
    pub fn predict(
        &self,
        volume: &dyn Volume,
        mask: &Array2<bool>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Prediction, Error> {
        self.settings.check()?;
        let side = self.image_size;
        let step = ((side as f64 * self.settings.step).round() as usize).clamp(1, side);
        let places = tiles(mask, side, step);
        let mut blend = Blend::new(mask.dim(), side);
        let mut network_seconds = 0.0;
        let mut done = 0;
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(AHEAD);
            let places = &places;
            scope.spawn(move || {
                for places in places.chunks(self.settings.batch) {
                    // A closed channel means that prediction stopped early.
                    if sender.send(self.read(volume, places)).is_err() {
                        return;
                    }
                }
            });
            self.blend_all(batches, &mut blend, &mut network_seconds, |count| {
                done += count as u64;
                progress(done, places.len() as u64);
            })
        })?;
        Ok(Prediction {
            probability: blend.finish(mask),
            tiles: places.len(),
            network_seconds,
        })
    }

    fn read(&self, volume: &dyn Volume, places: &[(usize, usize)]) -> Result<Batch, Error> {
        let mut voxels = Vec::new();
        let mut shape = [places.len(), 0, 0, 0];
        for &(y, x) in places {
            let tile: Array3<f32> = self.transform.read(volume, y, x)?;
            let (depth, height, width) = tile.dim();
            shape = [places.len(), depth, height, width];
            voxels.extend(tile);
        }
        Ok(Batch {
            places: places.to_vec(),
            voxels,
            shape,
        })
    }

    fn blend_all(
        &self,
        batches: Receiver<Result<Batch, Error>>,
        blend: &mut Blend,
        seconds: &mut f64,
        mut finished: impl FnMut(usize),
    ) -> Result<(), Error> {
        let side = self.image_size;
        for batch in batches {
            let Batch {
                places,
                voxels,
                shape,
            } = batch?;
            let began = Instant::now();
            let tiles = Tensor::from_data(TensorData::new(voxels, shape), self.device);
            let maps = self.look(&tiles).into_data();
            *seconds += began.elapsed().as_secs_f64();
            let maps: Vec<f32> = maps.try_to_vec().expect("probabilities are f32");
            for (&(y, x), map) in places.iter().zip(maps.chunks_exact(side * side)) {
                if map.iter().any(|value| !value.is_finite()) {
                    return Err(Error::NotANumber { y, x });
                }
                let map = ArrayView2::from_shape((side, side), map).expect("a square tile");
                blend.add(y, x, map);
            }
            finished(places.len());
        }
        Ok(())
    }

    /// The mean probability over all networks and passes: `[batch, depth, side, side]` to
    /// `[batch, side, side]`.
    fn look(&self, tiles: &Tensor<4>) -> Tensor<3> {
        let passes = self.settings.tta.passes();
        let maps = self
            .networks
            .iter()
            .map(|network| self.look_with(network, tiles, &passes));
        let sum = maps
            .reduce(|sum, map| sum + map)
            .expect("at least one network");
        sum / self.networks.len() as f32
    }

    fn look_with(&self, network: &Network, tiles: &Tensor<4>, passes: &[Pass]) -> Tensor<3> {
        let total: f32 = passes.iter().map(|pass| pass.weight).sum();
        let maps = passes.iter().map(|pass| {
            let logits = network.forward(pass.apply(tiles.clone()));
            let map = match self.settings.average {
                Average::Probabilities => sigmoid(logits),
                Average::Logits => logits,
            };
            pass.undo(map) * (pass.weight / total)
        });
        let mean = maps
            .reduce(|sum, map| sum + map)
            .expect("at least one pass");
        match self.settings.average {
            Average::Probabilities => mean,
            Average::Logits => sigmoid(mean),
        }
    }
}

/// Probabilities as an 8-bit image: 0 to 255, rounded.
pub fn to_image(probability: &Array2<f32>) -> Array2<u8> {
    probability.mapv(|p| (p * 255.0).round().clamp(0.0, 255.0) as u8)
}
