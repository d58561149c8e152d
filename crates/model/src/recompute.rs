//! Gradients with less memory: an encoder's inner values are not kept for the way back, but
//! computed again.

use std::ops::Range;

use burn::module::{Module as _, Param};
use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};

use crate::weights::{NamedMapper, NamedVisitor, map_named, visit_named};
use crate::{Network, seed_generator};

/// What a forward pass keeps of an encoder for the way back; the rest is computed twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Everything is kept.
    #[default]
    Nothing,
    /// What each stage begins with is kept.
    Stages,
    /// What each block begins with is kept.
    Blocks,
}

/// What came of a forward and a backward pass.
pub struct Backpropagated {
    /// `[batch, height, width]`.
    pub logits: Tensor<3>,
    /// What the loss function gave.
    pub loss: Tensor<1>,
}

/// A run of an encoder's blocks.
struct Part {
    stage: usize,
    blocks: Range<usize>,
    /// Whether a feature map follows.
    is_last: bool,
    /// The place of the first block among all.
    first: usize,
}

impl Network {
    /// One forward and one backward pass of the number that `loss` makes of the logits, on a
    /// device that records gradients. `take` is given the gradients, possibly in several portions,
    /// each with the network whose parameters they are of. With `seed`, parts of the network draw
    /// the same random numbers both times; there is no need of it where nothing is dropped.
    ///
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`
    pub fn backpropagate(
        &self,
        volume: Tensor<4>,
        recompute: Recompute,
        seed: Option<u64>,
        loss: impl FnOnce(Tensor<3>) -> Tensor<1>,
        mut take: impl FnMut(&Self, &Gradients),
    ) -> Backpropagated {
        if recompute == Recompute::Nothing {
            let logits = self.forward(volume);
            let loss = loss(logits.clone());
            take(self, &loss.clone().backward());
            return Backpropagated { logits, loss };
        }
        let [batch, _, height, width] = volume.dims();
        // Taken before this pass moves the norms' statistics, which must happen once only.
        let again = self.valid().train();
        let encoding = Encoding {
            parts: self.parts(recompute),
            first_trained: self.first_trained(),
            seed,
        };
        let (inputs, features) = encoding.without_tape(self, self.images(volume));

        encoding.draw_as_in(encoding.parts.len());
        let tracked = |x: Tensor<4>| {
            x.detach()
                .set_require_grad(encoding.first_trained.is_some())
        };
        let features: Vec<_> = features.into_iter().map(tracked).collect();
        let kept = features.iter().cloned().enumerate();
        let kept = kept.map(|(stage, map)| self.staged().kept(stage, map));
        let partial = self.staged().partial(kept.collect(), batch);
        let logits = self.finish(partial, [height, width]);
        let loss = loss(logits.clone());
        let mut gradients = loss.clone().backward();
        take(self, &gradients);
        let of_features = features
            .iter()
            .map(|map| map.grad_remove(&mut gradients))
            .collect();
        drop((gradients, features));
        encoding.back(&again, inputs, of_features, take);
        Backpropagated { logits, loss }
    }

    fn through(&self, part: &Part, input: Tensor<4>) -> Tensor<4> {
        let blocks = part.blocks.clone();
        blocks.fold(input, |x, block| self.staged().block(part.stage, block, x))
    }

    fn parts(&self, recompute: Recompute) -> Vec<Part> {
        let mut first = 0;
        let mut parts = Vec::new();
        for (stage, blocks) in self.staged().blocks().into_iter().enumerate() {
            let runs: Vec<Range<usize>> = match recompute {
                Recompute::Blocks => (0..blocks).map(|block| block..block + 1).collect(),
                _ => std::iter::once(0..blocks).collect(),
            };
            parts.extend(runs.into_iter().map(|run| Part {
                stage,
                first: first + run.start,
                is_last: run.end == blocks,
                blocks: run,
            }));
            first += blocks;
        }
        parts
    }

    /// The encoder's first block with a parameter that is trained, among all blocks; the stem
    /// belongs to the first.
    fn first_trained(&self) -> Option<usize> {
        struct Finder<'a> {
            network: &'a Network,
            first: Option<usize>,
        }
        impl NamedVisitor for Finder<'_> {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
                let staged = self.network.staged();
                let place = staged.place(name);
                let Some(place) = place.filter(|_| param.val().is_require_grad()) else {
                    return;
                };
                let index = staged.block_index(place);
                self.first = Some(self.first.map_or(index, |first| first.min(index)));
            }
        }
        let mut finder = Finder {
            network: self,
            first: None,
        };
        visit_named(self, &mut finder);
        finder.first
    }
}

/// How an encoder is passed through twice.
struct Encoding {
    parts: Vec<Part>,
    /// The first block that learns, if any does.
    first_trained: Option<usize>,
    seed: Option<u64>,
}

impl Encoding {
    fn draw_as_in(&self, part: usize) {
        if let Some(seed) = self.seed {
            let turn = (part as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03);
            seed_generator(seed ^ turn);
        }
    }

    /// What each part begins with, and the feature maps; nothing is recorded, but norms and
    /// dropout do as in training.
    fn without_tape(
        &self,
        network: &Network,
        images: Tensor<4>,
    ) -> (Vec<Tensor<4>>, Vec<Tensor<4>>) {
        struct Detacher;
        impl NamedMapper for Detacher {
            fn map<const D: usize>(
                &mut self,
                _: &str,
                param: Param<Tensor<D>>,
            ) -> Param<Tensor<D>> {
                // Detaching would keep what a tensor says of gradients; mapping keeps what the
                // parameter says.
                param.map(|tensor| tensor.set_require_grad(false))
            }
        }
        let untracked = map_named(network.clone(), &mut Detacher);
        let (mut inputs, mut features) = (Vec::new(), Vec::new());
        let mut x = images;
        for (index, part) in self.parts.iter().enumerate() {
            self.draw_as_in(index);
            inputs.push(x.clone());
            x = untracked.through(part, x);
            if part.is_last {
                features.push(untracked.staged().feature(x.clone()));
            }
        }
        (inputs, features)
    }

    /// Goes back from the gradients of the feature maps, computing every part of `network` once
    /// more, down to the first that learns.
    fn back(
        &self,
        network: &Network,
        inputs: Vec<Tensor<4>>,
        mut of_features: Vec<Option<Tensor<4>>>,
        mut take: impl FnMut(&Network, &Gradients),
    ) {
        let Some(first_trained) = self.first_trained else {
            return;
        };
        let mut of_output: Option<Tensor<4>> = None;
        let parts = self.parts.iter().zip(inputs).enumerate().rev();
        for (index, (part, input)) in parts.take_while(|(_, (p, _))| p.end() > first_trained) {
            self.draw_as_in(index);
            let input = input.detach().set_require_grad(part.first > first_trained);
            let output = network.through(part, input.clone());
            let mut pulls = Vec::new();
            if let Some(gradient) = of_features.pop_if(|_| part.is_last).flatten() {
                pulls.push(pull(network.staged().feature(output.clone()), gradient));
            }
            if let Some(gradient) = of_output.take() {
                pulls.push(pull(output, gradient));
            }
            if let Some(sum) = pulls.into_iter().reduce(|a, b| a + b) {
                let mut gradients = sum.backward();
                take(network, &gradients);
                of_output = input.grad_remove(&mut gradients);
            }
        }
    }
}

impl Part {
    /// The end (exclusive), among all blocks.
    fn end(&self) -> usize {
        self.first + self.blocks.len()
    }
}

/// A number whose gradient by `output` is `gradient`.
fn pull(output: Tensor<4>, gradient: Tensor<4>) -> Tensor<1> {
    (output * Tensor::from_inner(gradient)).sum()
}
