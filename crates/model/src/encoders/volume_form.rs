use crate::layers::{Depth, DepthPadding};

/// How an encoder of images is laid over volumes whose depth is folded into the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeForm {
    /// Layers of a volume.
    pub layers: usize,
    /// Layers from one output to the next where each feature map gets its stride in the plane, finest
    /// map first. Each divides the layers that the ones before leave.
    pub strides: Vec<usize>,
    /// What stands beyond the first and the last layer.
    pub padding: DepthPadding,
    /// Whether kernels stay flat and are shared out among the three planes.
    pub splits_planes: bool,
    /// Layers of an attention's windows, where windows have a depth; all, where there are fewer.
    pub window: Option<usize>,
    /// Whether the first block mixes all layers into one, so that what follows sees images.
    pub collapses: bool,
}

impl VolumeForm {
    /// Layers of a feature map, counted from the finest.
    pub fn layers_of(&self, map: usize) -> usize {
        if self.collapses {
            return 1;
        }
        self.layers / self.strides[..=map].iter().product::<usize>()
    }

    /// Layers of what a feature map is made of.
    pub fn layers_before(&self, map: usize) -> usize {
        match map {
            0 => self.layers,
            _ => self.layers_of(map - 1),
        }
    }

    /// For the convolution that gives a feature map its stride.
    pub fn entering(&self, map: usize) -> Depth {
        Depth {
            layers: self.layers_before(map),
            stride: self.strides[map],
            ..self.within(map)
        }
    }

    /// For a convolution at a feature map's resolution.
    pub fn within(&self, map: usize) -> Depth {
        Depth {
            layers: self.layers_of(map),
            stride: 1,
            padding: self.padding,
            splits_planes: self.splits_planes,
        }
    }

    /// Layers of a feature map of images or volumes; of images 1.
    pub fn layers_or_one(form: Option<&Self>, map: usize) -> usize {
        form.map_or(1, |form| form.layers_of(map))
    }
}
