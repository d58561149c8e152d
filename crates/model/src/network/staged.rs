use burn::tensor::Tensor;

use crate::depth::Place;
use crate::encoders::Stages;
use crate::layers::Resize;
use crate::{Conversion, Normalization};

/// A network that is passed through block by block: an encoder's stages, each of which ends with
/// a feature map, and a decoder after them. Checkpointed gradients, layer-wise learning rates and
/// freezing need no more than this of a network.
///
/// What goes from block to block is always a tensor of four axes; networks over volumes fold the
/// depth into the batch.
pub(crate) trait StagedNetwork {
    /// What the first block takes of a volume: `[batch, depth, height, width]` to `[images, inputs,
    /// height, width]`. Unless it says otherwise, each layer is an image of one channel.
    fn images(&self, volume: Tensor<4>) -> Tensor<4> {
        let [batch, layers, height, width] = volume.dims();
        volume.reshape([batch * layers, 1, height, width])
    }

    /// What intensities are brought to first.
    fn normalization(&self) -> &Normalization;

    /// What the stages are of.
    fn encoder(&self) -> &dyn Stages;

    /// What the decoder keeps of the feature map of a stage: the map, unless something smaller will do.
    fn kept(&self, _stage: usize, map: Tensor<4>) -> Tensor<4> {
        map
    }

    /// What the decoder makes of what it [kept](Self::kept) of the feature maps of `batch` volumes: `[batch,
    /// maps, rows, columns]`.
    fn partial(&self, features: Vec<Tensor<4>>, batch: usize) -> Tensor<4>;

    /// One map of those that [`partial`](Self::partial) gave, `[batch, 1, rows, columns]`; linear. Unless it
    /// says otherwise, that gave only one.
    fn combine(&self, maps: Tensor<4>) -> Tensor<4> {
        maps
    }

    /// How logits grow to the patch's size.
    fn enlargement(&self) -> Resize;

    /// Whether probabilities are enlarged in prediction, and not logits, as whoever published the network
    /// does.
    fn enlarges_probabilities(&self) -> bool {
        false
    }

    /// Where the tensor `name` lies; `None` outside of the encoder.
    fn place(&self, name: &str) -> Option<Place> {
        Place::of(name)
    }

    /// How 2D weights become those of the network, where it takes volumes.
    fn conversion(&self) -> Option<Conversion> {
        None
    }

    /// How many blocks each stage has.
    fn blocks(&self) -> Vec<usize> {
        self.encoder().blocks()
    }

    /// What one block makes of the images (the very first block) or of what the block before it
    /// made.
    fn block(&self, stage: usize, block: usize, input: Tensor<4>) -> Tensor<4> {
        self.encoder().block(stage, block, input)
    }

    /// The feature map, `[images, channels, rows, columns]`, that the last block of a stage made.
    fn feature(&self, x: Tensor<4>) -> Tensor<4> {
        self.encoder().feature(x)
    }

    /// Whether the stem counts as the first stage.
    fn stem_is_stage(&self) -> bool {
        self.encoder().stem_is_stage()
    }

    /// Whether tensors are grouped by stage, and not by block, for layer-wise learning rates.
    fn layers_are_stages(&self) -> bool {
        self.encoder().layers_are_stages()
    }

    /// What `of` makes of each stage's feature map of images, finest first, before the next stage begins.
    fn pass(
        &self,
        images: Tensor<4>,
        of: &dyn Fn(usize, Tensor<4>) -> Tensor<4>,
    ) -> Vec<Tensor<4>> {
        let mut x = images;
        let mut features = Vec::new();
        for (stage, blocks) in self.blocks().into_iter().enumerate() {
            for block in 0..blocks {
                x = self.block(stage, block, x);
            }
            features.push(of(stage, self.feature(x.clone())));
        }
        features
    }

    /// Which of all blocks a place belongs to.
    fn block_index(&self, place: Place) -> usize {
        let Place::Block { stage, block } = place else {
            return 0;
        };
        let stem = usize::from(self.stem_is_stage());
        let before: usize = self.blocks().iter().take(stage + stem).sum();
        before + block
    }
}
