use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_model::{Network, Precision};
use ndarray::Array3;

use crate::settings::AverageSpace;
use crate::{Channels, Member, Pass, PredictSettings};

/// An ensemble of networks and the passes of test-time augmentation. Where a network only repeats its
/// coarse pixels, everything that follows it is done on the coarse ones and repeated at the end, with
/// the same bits.
pub(crate) struct TileInference<'a> {
    members: &'a [Member],
    passes: Vec<(Pass, PassWeight)>,
    average: AverageSpace,
    precision: Precision,
    channels: Channels,
    device: &'a Device,
}

/// How much a pass counts in the mean over passes.
enum PassWeight {
    /// The same for every pixel.
    Everywhere(f32),
    /// `[1, 1, side, side]`, 0 where the pass does not see the tile.
    PerPixel(Box<Tensor<4>>),
}

/// One network's mean over all passes, `[batch, 1, side, side]`.
struct MemberOutput {
    probability: Tensor<4>,
    square: Option<Tensor<4>>,
}

impl<'a> TileInference<'a> {
    pub fn new(
        members: &'a [Member],
        settings: &PredictSettings,
        channels: Channels,
        side: usize,
        device: &'a Device,
    ) -> Self {
        Self {
            members,
            passes: shares(settings.passes(), side, device),
            average: settings.average,
            precision: settings.precision,
            channels,
            device,
        }
    }

    /// The images of `tiles`, (z, y, x) each, as one batch of at least `size` tiles: tile after
    /// tile, (channel, y, x).
    pub fn infer(&self, tiles: &[Array3<f32>], size: usize) -> Vec<f32> {
        let (depth, height, width) = tiles[0].dim();
        // Kernels are chosen by the batch's size and round differently: the last batch is as large
        // as the others.
        let filled = tiles.iter().cycle().take(size.max(tiles.len()));
        let voxels: Vec<f32> = filled.flatten().copied().collect();
        let shape = [size.max(tiles.len()), depth, height, width];
        let batch = Tensor::from_data(TensorData::new(voxels, shape), self.device);
        let images = self.precision.within(|| self.images(batch));
        let images = images.narrow(0, 0, tiles.len());
        let images = images.into_data().try_to_vec();
        images.expect("probabilities are f32")
    }

    /// `[batch, depth, side, side]` to `[batch, channel, side, side]`.
    fn images(&self, tiles: Tensor<4>) -> Tensor<4> {
        let outputs = self.members.iter().map(|member| &member.network);
        let outputs: Vec<MemberOutput> = outputs
            .map(|network| self.infer_with(network, &tiles))
            .collect();
        let mut images = vec![self.mean(&outputs, |output| &output.probability)];
        if self.channels.square {
            images.push(self.mean(&outputs, |output| {
                output.square.as_ref().expect("asked for")
            }));
        }
        if self.channels.members {
            images.extend(outputs.iter().map(|output| output.probability.clone()));
        }
        Tensor::cat(images, 1)
    }

    /// The weighted mean over the networks.
    fn mean(
        &self,
        outputs: &[MemberOutput],
        which: impl Fn(&MemberOutput) -> &Tensor<4>,
    ) -> Tensor<4> {
        if let [output] = outputs {
            return which(output).clone();
        }
        let total: f64 = self.members.iter().map(|member| member.weight).sum();
        let shares = self.members.iter().map(|member| member.weight / total);
        let weighted = shares
            .zip(outputs)
            .map(|(share, output)| which(output).clone() * share as f32);
        weighted.reduce(|sum, map| sum + map).expect("a member")
    }

    fn infer_with(&self, network: &Network, tiles: &Tensor<4>) -> MemberOutput {
        let [_, _, height, width] = tiles.dims();
        let free = self.passes.iter().any(|(pass, _)| pass.is_free());
        if self.average == AverageSpace::Logits && !free && !self.channels.square {
            let logits = network.combine(self.mean_windows(network, tiles));
            let probability = match network.enlarges_probabilities() {
                true => network.enlarge(sigmoid(logits), [height, width]),
                false => sigmoid(network.enlarge(logits, [height, width])),
            };
            let square = None;
            return MemberOutput {
                probability,
                square,
            };
        }
        let coarse = (network.repeats_pixels() || network.enlarges_probabilities()) && !free;
        let output = self.infer_passes(network, tiles, coarse);
        let enlarge = |map| match coarse {
            true => network.enlarge(map, [height, width]),
            false => map,
        };
        MemberOutput {
            probability: enlarge(output.probability),
            square: output.square.map(enlarge),
        }
    }

    /// The windows' mean logits: turning back, averaging, mixing windows and enlarging are linear, so
    /// that the last two need be done but once.
    fn mean_windows(&self, network: &Network, tiles: &Tensor<4>) -> Tensor<4> {
        let mut mean = Mean::default();
        for (pass, share) in &self.passes {
            let windows = network.partial(pass.apply(tiles.clone()));
            mean.add(pass.undo(windows), share);
        }
        mean.finish()
    }

    fn infer_passes(&self, network: &Network, tiles: &Tensor<4>, coarse: bool) -> MemberOutput {
        let [_, _, height, width] = tiles.dims();
        let logits = self.average == AverageSpace::Logits;
        let (mut mean, mut square) = (Mean::default(), Mean::default());
        for (pass, share) in &self.passes {
            let windows = network.partial(pass.apply(tiles.clone()));
            let mut map = network.combine(windows);
            let early = !logits && network.enlarges_probabilities();
            if early {
                map = sigmoid(map);
            }
            if !coarse {
                map = network.enlarge(map, [height, width]);
            }
            let map = if logits || early { map } else { sigmoid(map) };
            let map = pass.undo(map);
            if self.channels.square {
                let probability = match logits {
                    true => sigmoid(map.clone()),
                    false => map.clone(),
                };
                square.add(probability.clone() * probability, share);
            }
            mean.add(map, share);
        }
        let mean = mean.finish();
        MemberOutput {
            probability: if logits { sigmoid(mean) } else { mean },
            square: self.channels.square.then(|| square.finish()),
        }
    }
}

/// The weights of `passes`, which add up to 1 at every pixel.
fn shares(passes: Vec<Pass>, side: usize, device: &Device) -> Vec<(Pass, PassWeight)> {
    let total = |passes: &[&Pass]| passes.iter().map(|pass| pass.weight).sum::<f32>();
    let (free, exact): (Vec<&Pass>, Vec<&Pass>) = passes.iter().partition(|pass| pass.is_free());
    let everywhere = total(&exact);
    let valid = free.iter().filter_map(|pass| pass.validity(side, device));
    // Free rotations count once each.
    let seen = valid.reduce(|a, b| a + b).map(|seen| seen + everywhere);
    let share = |pass: &Pass| match &seen {
        None => PassWeight::Everywhere(pass.weight / everywhere),
        Some(seen) => {
            let valid = pass.validity(side, device);
            let valid = valid.unwrap_or_else(|| seen.ones_like());
            PassWeight::PerPixel(Box::new(valid * pass.weight / seen.clone()))
        }
    };
    passes.iter().map(|&pass| (pass, share(&pass))).collect()
}

/// A weighted mean, as it grows.
#[derive(Default)]
struct Mean {
    sum: Option<Tensor<4>>,
}

impl Mean {
    fn add(&mut self, map: Tensor<4>, share: &PassWeight) {
        let weighted = match share {
            PassWeight::Everywhere(share) => map * *share,
            PassWeight::PerPixel(share) => map * share.as_ref().clone(),
        };
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        });
    }

    fn finish(self) -> Tensor<4> {
        self.sum.expect("at least one pass")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_model::{Architecture, MaxVitShape, ModelSettings};

    const SIDE: usize = 32;

    fn settings(average: AverageSpace) -> PredictSettings {
        PredictSettings {
            average,
            ..PredictSettings::default()
        }
    }

    fn member(architecture: Architecture) -> Member {
        let model = ModelSettings {
            image_size: SIDE,
            depth: 6,
            architecture,
            decoder: match architecture {
                Architecture::Unet => vec![16, 8, 8],
                Architecture::UperNet => vec![8],
            },
            maxvit: Some(MaxVitShape {
                stem: [8, 8],
                channels: [8, 16, 16, 32],
                blocks: [1; 4],
                head_width: 8,
                position_hidden: 16,
                position_dropout: 0.0,
                layer_scale: None,
            }),
            ..ModelSettings::default()
        };
        Member {
            network: model.init(&Device::flex(), 5).unwrap(),
            weight: 1.0,
        }
    }

    fn tile(seed: usize) -> Array3<f32> {
        Array3::from_shape_fn((6, SIDE, SIDE), |(z, y, x)| {
            let place = seed * 31 + z * 29 + y * 17 + x * 23 + y * x;
            (place as f32 * 0.7).sin() * 2.0
        })
    }

    /// The reference solution's own product of four rotations and three flips, spelt out.
    fn twelve(network: &Network, tile: &Array3<f32>, average: AverageSpace) -> Vec<f32> {
        let voxels = tile.iter().copied().collect::<Vec<_>>();
        let tile = TensorData::new(voxels, [1, 6, SIDE, SIDE]);
        let tile = Tensor::<4>::from_data(tile, &Device::flex());
        let mut sum = vec![0.0; SIDE * SIDE];
        for flip in [None, Some(3), Some(2)] {
            for turns in 0..4 {
                let mut patch = match flip {
                    Some(axis) => tile.clone().flip([axis]),
                    None => tile.clone(),
                };
                for _ in 0..turns {
                    patch = patch.swap_dims(2, 3).flip([2]);
                }
                let mut map = network.forward(patch);
                if average == AverageSpace::Probabilities {
                    map = sigmoid(map);
                }
                for _ in 0..turns {
                    map = map.flip([1]).swap_dims(1, 2);
                }
                if let Some(axis) = flip {
                    map = map.flip([axis - 1]);
                }
                let map: Vec<f32> = map.into_data().try_to_vec().unwrap();
                let adds = sum.iter_mut().zip(map);
                adds.for_each(|(sum, value)| *sum += f64::from(value) / 12.0);
            }
        }
        let probability = |mean: f64| match average {
            AverageSpace::Probabilities => mean,
            AverageSpace::Logits => 1.0 / (1.0 + (-mean).exp()),
        };
        sum.into_iter()
            .map(|mean| probability(mean) as f32)
            .collect()
    }

    fn assert_near(found: &[f32], expected: &[f32], what: &str) {
        let spread = expected.iter().fold(0.0_f32, |most, v| most.max(*v))
            - expected.iter().fold(1.0_f32, |least, v| least.min(*v));
        assert!(spread > 1e-3, "{what}: a flat image tells nothing");
        assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{what}: {worst}");
    }

    #[test]
    fn eight_weighted_passes_are_the_mean_of_twelve_in_both_modes() {
        let device = Device::flex();
        for architecture in [Architecture::Unet, Architecture::UperNet] {
            let member = [member(architecture)];
            for average in [AverageSpace::Probabilities, AverageSpace::Logits] {
                let settings = settings(average);
                let expected = twelve(&member[0].network, &tile(0), average);
                // Told with their spread, passes are not merged before mixing windows.
                for square in [false, true] {
                    let channels = Channels {
                        square,
                        members: false,
                    };
                    let looking = TileInference::new(&member, &settings, channels, SIDE, &device);
                    assert_eq!(looking.passes.len(), 8);
                    let images = looking.infer(&[tile(0)], 1);
                    let what = format!("{architecture:?} {average:?} {square}");
                    assert_near(&images[..SIDE * SIDE], &expected, &what);
                }
            }
        }
    }

    #[test]
    fn a_batch_that_is_filled_up_gives_its_own_tiles_only() {
        let device = Device::flex();
        let member = [member(Architecture::Unet)];
        let settings = settings(AverageSpace::Probabilities);
        let looking = TileInference::new(&member, &settings, Channels::default(), SIDE, &device);
        let full = looking.infer(&[tile(0), tile(1), tile(2), tile(3)], 4);
        let last = looking.infer(&[tile(0), tile(1)], 4);
        assert_eq!(last[..], full[..2 * SIDE * SIDE]);
    }

    #[test]
    fn free_rotations_count_once_each_where_they_see_the_tile() {
        let device = Device::flex();
        let passes = PredictSettings {
            rotations: 3,
            ..PredictSettings::default()
        }
        .passes();
        let shares = shares(passes, SIDE, &device);
        assert_eq!(shares.len(), 11);
        let mut sum = Tensor::<4>::zeros([1, 1, SIDE, SIDE], &device);
        for (_, share) in &shares {
            let PassWeight::PerPixel(share) = share else {
                panic!("free rotations do not see every pixel");
            };
            sum = sum + share.as_ref().clone();
        }
        let sum: Vec<f32> = sum.into_data().try_to_vec().unwrap();
        assert!(sum.iter().all(|sum| (sum - 1.0).abs() < 1e-6));
        let PassWeight::PerPixel(first) = &shares[0].1 else {
            panic!("free rotations do not see every pixel");
        };
        let first: Vec<f32> = first.as_ref().clone().into_data().try_to_vec().unwrap();
        // In the corner only the twelve see; in the middle three more.
        assert!((first[0] - 1.0 / 12.0).abs() < 1e-7);
        assert!((first[SIDE * SIDE / 2 + SIDE / 2] - 1.0 / 15.0).abs() < 1e-7);
    }
}
