use std::time::Instant;

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_augment::TestTransform;
use inkling_fragment::Volume;
use inkling_model::Network;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::halving::in_halves;
use crate::settings::Average;
use crate::tile_feed::TileFeed;
use crate::{Error, Pass, PredictSettings};

/// A network and how much it counts.
#[derive(Clone, Debug)]
pub struct Member {
    /// The network.
    pub network: Network,
    /// Its share in the mean, by the sum of all members'.
    pub weight: f64,
}

/// What is told of a tile, as images in this order: the probability, the mean square of all passes
/// and members (for their spread), each member's own probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// Whether the mean square is told.
    pub square: bool,
    /// Whether each member's own probability is told.
    pub members: bool,
}

impl Channels {
    /// Images per tile, for so many members.
    pub fn count(self, members: usize) -> usize {
        1 + usize::from(self.square) + if self.members { members } else { 0 }
    }
}

/// What is predicted with, and how.
pub struct Predictor<'a> {
    /// The networks.
    pub members: &'a [Member],
    /// Where they run.
    pub device: &'a Device,
    /// Reads a tile.
    pub transform: TestTransform,
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// How.
    pub settings: &'a PredictSettings,
    /// What is told.
    pub channels: Channels,
    /// Threads that read tiles.
    pub readers: usize,
}

/// Takes a tile's place in the list, and its images (channel, y, x).
pub type Seen<'a> = dyn FnMut(usize, ArrayView3<f32>) -> Result<(), Error> + 'a;

impl Predictor<'_> {
    /// Looks at the tiles of `volume` whose upper left pixels are `places`, and tells `seen` of each, in
    /// order. Gives the seconds spent in the networks.
    ///
    /// # Errors
    /// Bad settings, voxels that cannot be read, predictions that are no numbers, a device whose
    /// memory holds not even one tile; those of `seen`.
    pub fn look_at(
        &self,
        volume: &dyn Volume,
        places: &[(usize, usize)],
        seen: &mut Seen,
    ) -> Result<f64, Error> {
        self.settings.check()?;
        let mut seconds = 0.0;
        let mut limit = self.settings.batch;
        std::thread::scope(|scope| {
            let threads = self.readers.max(1);
            let mut feed = TileFeed::start(scope, &self.transform, volume, places, threads);
            let mut first = 0;
            while first < places.len() {
                let count = limit.min(places.len() - first);
                let mut tiles = Vec::with_capacity(count);
                for _ in 0..count {
                    tiles.push(feed.next_tile().expect("a tile for every place")?);
                }
                in_halves(count, &mut limit, |range| {
                    let began = Instant::now();
                    let images = self.look(&tiles[range.clone()]);
                    seconds += began.elapsed().as_secs_f64();
                    self.tell(images, first + range.start, places, seen)
                })?;
                first += count;
            }
            Ok::<_, Error>(())
        })?;
        Ok(seconds)
    }

    fn tell(
        &self,
        images: Vec<f32>,
        first: usize,
        places: &[(usize, usize)],
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let side = self.image_size;
        let shape = (self.channels.count(self.members.len()), side, side);
        let size = shape.0 * side * side;
        for (index, images) in images.chunks_exact(size).enumerate() {
            let (y, x) = places[first + index];
            if images.iter().any(|value| !value.is_finite()) {
                return Err(Error::NotANumber { y, x });
            }
            let images = ArrayView3::from_shape(shape, images).expect("images of a tile");
            seen(first + index, images)?;
        }
        Ok(())
    }

    /// The images of `tiles`, (z, y, x) each: tile after tile, (channel, y, x).
    fn look(&self, tiles: &[Array3<f32>]) -> Vec<f32> {
        let (depth, height, width) = tiles[0].dim();
        let voxels: Vec<f32> = tiles.iter().flatten().copied().collect();
        let shape = [tiles.len(), depth, height, width];
        let tiles = Tensor::from_data(TensorData::new(voxels, shape), self.device);
        let passes = self.settings.passes();
        let total: f64 = self.members.iter().map(|member| member.weight).sum();
        let looks: Vec<Look> = self
            .members
            .iter()
            .map(|member| self.look_with(&member.network, &tiles, &passes))
            .collect();
        let mean = |which: fn(&Look) -> &Tensor<3>| -> Tensor<3> {
            let weighted = self.members.iter().zip(&looks).map(|(member, look)| {
                let share = member.weight / total;
                match self.members.len() {
                    1 => which(look).clone(),
                    _ => which(look).clone() * share as f32,
                }
            });
            weighted.reduce(|sum, map| sum + map).expect("a member")
        };
        let mut images = vec![mean(|look| &look.probability)];
        if self.channels.square {
            images.push(mean(|look| look.square.as_ref().expect("asked for")));
        }
        if self.channels.members {
            images.extend(looks.iter().map(|look| look.probability.clone()));
        }
        let images = Tensor::stack::<4>(images, 1).into_data();
        images.try_to_vec().expect("probabilities are f32")
    }

    fn look_with(&self, network: &Network, tiles: &Tensor<4>, passes: &[Pass]) -> Look {
        let logits = self.settings.average == Average::Logits;
        let mut mean = PassMean::new(passes, self.image_size, self.device);
        let mut square = self.channels.square.then(|| mean.clone());
        for pass in passes {
            let map = network.forward(pass.apply(tiles.clone()));
            let map = if logits { map } else { sigmoid(map) };
            let map = pass.undo(map);
            if let Some(square) = &mut square {
                let probability = match logits {
                    true => sigmoid(map.clone()),
                    false => map.clone(),
                };
                square.add(pass, probability.clone() * probability);
            }
            mean.add(pass, map);
        }
        let mean = mean.finish();
        Look {
            probability: if logits { sigmoid(mean) } else { mean },
            square: square.map(PassMean::finish),
        }
    }
}

/// What one network says, `[batch, side, side]`.
struct Look {
    probability: Tensor<3>,
    square: Option<Tensor<3>>,
}

/// The weighted mean over passes, each where it sees the tile.
#[derive(Clone)]
struct PassMean {
    sum: Option<Tensor<3>>,
    /// Sum of the weights: the same everywhere, or per pixel `[1, side, side]`.
    total: f32,
    seen: Option<Tensor<3>>,
    side: usize,
    device: Device,
}

impl PassMean {
    fn new(passes: &[Pass], side: usize, device: &Device) -> Self {
        let free = passes.iter().filter_map(|pass| pass.validity(side, device));
        let exact = passes.iter().filter(|pass| !pass.is_free());
        let total = exact.map(|pass| pass.weight).sum();
        // Free rotations count once each.
        let seen = free.reduce(|a, b| a + b).map(|seen| seen + total);
        Self {
            sum: None,
            total,
            seen,
            side,
            device: device.clone(),
        }
    }

    fn add(&mut self, pass: &Pass, map: Tensor<3>) {
        let weighted = match (&self.seen, pass.validity(self.side, &self.device)) {
            (None, _) => map * (pass.weight / self.total),
            (Some(seen), None) => map * pass.weight / seen.clone(),
            (Some(seen), Some(valid)) => map * valid / seen.clone(),
        };
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        });
    }

    fn finish(self) -> Tensor<3> {
        self.sum.expect("at least one pass")
    }
}
