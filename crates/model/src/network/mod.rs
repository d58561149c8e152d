//! Networks: volume patch in, ink logits out, whatever is inside.

mod aggregate;
mod hybrid;
mod i3d;
mod resnet3d;
mod staged;
mod timesformer;
mod volume;
mod windows;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::Resize;
use crate::{Approach, Error, ModelSettings, seed_generator};

pub use hybrid::{HybridNetwork, HybridShape};
pub use i3d::{I3dNetwork, I3dShape};
pub use resnet3d::{DepthDecoder, InputNorm, ResNet3dNetwork, ResNet3dShape};
pub(crate) use staged::StagedNetwork;
pub use timesformer::{TimeSformerNetwork, TimeSformerShape};
pub use volume::VolumeNetwork;
pub use windows::WindowNetwork;

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
        Ok(match self.approach {
            Approach::Volume | Approach::VolumeSwin => {
                Network::Volume(VolumeNetwork::new(self, device)?)
            }
            Approach::Hybrid => Network::Hybrid(HybridNetwork::new(self, device)),
            Approach::ResNet3d => Network::ResNet3d(ResNet3dNetwork::new(self, device)),
            Approach::TimeSformer => Network::TimeSformer(TimeSformerNetwork::new(self, device)),
            Approach::I3d => Network::I3d(I3dNetwork::new(self, device)),
            _ => Network::Windows(WindowNetwork::new(self, device)?),
        })
    }
}

/// A segmentation network of any kind: volume patch in, ink logits out.
///
/// A pass has two halves. [`partial`](Self::partial) is all that is not linear and gives coarse
/// maps; [`combine`](Self::combine) and [`enlarge`](Self::enlarge) are linear, so that a mean of
/// several passes may be taken before them.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds few of them")]
pub enum Network {
    /// See [`WindowNetwork`].
    Windows(WindowNetwork),
    /// See [`VolumeNetwork`].
    Volume(VolumeNetwork),
    /// See [`HybridNetwork`].
    Hybrid(HybridNetwork),
    /// See [`ResNet3dNetwork`].
    ResNet3d(ResNet3dNetwork),
    /// See [`TimeSformerNetwork`].
    TimeSformer(TimeSformerNetwork),
    /// See [`I3dNetwork`].
    I3d(I3dNetwork),
}

impl Network {
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    /// - output: `[batch, height, width]`, logits of ink
    pub fn forward(&self, volume: Tensor<4>) -> Tensor<3> {
        let [_, _, height, width] = volume.dims();
        self.finish(self.partial(volume), [height, width])
    }

    /// The last coarse maps before what is linear: the logits of each window or layer, or what they
    /// give where they are not combined linearly.
    ///
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    /// - output: `[batch, maps, rows, columns]`
    pub fn partial(&self, volume: Tensor<4>) -> Tensor<4> {
        let [batch, ..] = volume.dims();
        let (staged, images) = (self.staged(), self.images(volume));
        let kept = staged.pass(images, &|stage, map| staged.kept(stage, map));
        staged.partial(kept, batch)
    }

    /// Makes one map of several, pixel by pixel; linear.
    ///
    /// # Shapes
    /// - maps: `[batch, maps, rows, columns]`, what [`partial`](Self::partial) gave
    /// - output: `[batch, 1, rows, columns]`, logits of ink
    pub fn combine(&self, maps: Tensor<4>) -> Tensor<4> {
        self.staged().combine(maps)
    }

    /// Brings maps to the patch's size; linear.
    ///
    /// # Shapes
    /// - maps: `[batch, channels, rows, columns]`
    /// - output: `[batch, channels, size[0], size[1]]`
    pub fn enlarge(&self, maps: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        self.staged().enlargement().to(maps, size)
    }

    /// Whether [`enlarge`](Self::enlarge) repeats pixels, and so may come after anything that is done
    /// to each pixel by itself.
    pub fn repeats_pixels(&self) -> bool {
        self.staged().enlargement() == Resize::Nearest
    }

    /// Whether it is one that others have published, whole.
    pub fn is_published(&self) -> bool {
        !matches!(self, Self::Windows(_) | Self::Volume(_))
    }

    /// Whether probabilities are meant to be enlarged in prediction, and not logits.
    pub fn enlarges_probabilities(&self) -> bool {
        self.staged().enlarges_probabilities()
    }

    /// [`combine`](Self::combine), then [`enlarge`](Self::enlarge).
    ///
    /// # Shapes
    /// - maps: `[batch, maps, rows, columns]`, what [`partial`](Self::partial) gave
    /// - output: `[batch, size[0], size[1]]`, logits of ink
    pub fn finish(&self, maps: Tensor<4>, size: [usize; 2]) -> Tensor<3> {
        // The reference enlarges first. Resizing and mixing windows commute, being linear, and
        // mixing the small maps is sixteen times less work.
        self.enlarge(self.combine(maps), size).squeeze_dim(1)
    }

    /// The encoder's feature maps of a volume, finest first: `[images, channels, rows, columns]`,
    /// where a volume makes as many images as the network cuts it into.
    ///
    /// # Shapes
    /// - volume: `[batch, depth, height, width]`, normalised intensities
    pub fn volume_features(&self, volume: Tensor<4>) -> Vec<Tensor<4>> {
        self.features(self.images(volume))
    }

    /// The encoder's feature maps of images, finest first.
    ///
    /// # Shapes
    /// - images: `[images, inputs, height, width]`
    pub fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        self.staged().pass(images, &|_, map| map)
    }

    /// What the first block takes of a volume, its intensities as the network wants them.
    pub(crate) fn images(&self, volume: Tensor<4>) -> Tensor<4> {
        let staged = self.staged();
        staged.images(staged.normalization().apply(volume))
    }

    pub(crate) fn staged(&self) -> &dyn StagedNetwork {
        match self {
            Self::Windows(network) => network,
            Self::Volume(network) => network,
            Self::Hybrid(network) => network,
            Self::ResNet3d(network) => network,
            Self::TimeSformer(network) => network,
            Self::I3d(network) => network,
        }
    }
}
