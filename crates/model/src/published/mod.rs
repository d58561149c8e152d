//! Checkpoints as others publish them: recognised by their tensors' names, their settings found in
//! the names, the shapes and the checkpoint's own configuration.

mod known;
mod names;
mod recognise;

use crate::ModelSettings;

pub use known::{KNOWN, KnownCheckpoint};
pub(crate) use names::tidied;
pub use recognise::recognise;

/// What a published checkpoint was recognised as.
#[derive(Clone, Debug)]
pub struct Published {
    /// In words: the network and its size.
    pub description: String,
    /// The network, and how its input is read.
    pub settings: ModelSettings,
    /// Pixels between tiles in the publishers' own prediction.
    pub stride: usize,
}
