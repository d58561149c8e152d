//! The depth of a volume that a convolution of the plane is laid over.

use super::folded::DepthPadding;

/// What a convolution of the plane becomes over a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Layers of the volume that comes in.
    pub layers: usize,
    /// Layers from one output to the next; divides `layers`.
    pub stride: usize,
    /// What stands beyond the first and the last layer.
    pub padding: DepthPadding,
    /// Whether each kernel of the plane stays one and lies in one of the three planes, a third of the
    /// outputs each; else kernels are as deep as they are wide.
    pub splits_planes: bool,
}
