//! How deep in a network each of its tensors lies.

use std::collections::{BTreeMap, BTreeSet};

use crate::Network;
use crate::weights::tensor_names;

/// Where in an encoder a tensor lies, shallow before deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Before the first block.
    Stem,
    /// In a block, or in what leads to the first block of its stage.
    Block {
        /// The stage as timm counts it, from 0; always 0 for plain encoders.
        stage: usize,
        /// The block, from 0.
        block: usize,
    },
}

impl Place {
    /// The place of the tensor `name`; `None` outside of the encoder.
    pub fn of(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("encoder.")?;
        let mut parts = rest.strip_prefix("model.").unwrap_or(rest).split('.');
        let (first, second, third) = (parts.next()?, parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok());
        let staged = first
            .strip_prefix("stages_")
            .or_else(|| first.strip_prefix("layers_"));
        if let Some(stage) = number(staged) {
            let block = if second == Some("blocks") {
                number(third)?
            } else {
                0
            };
            return Some(Self::Block { stage, block });
        }
        // A ResNet's stages count from 1.
        if let Some(stage) = number(first.strip_prefix("layer")) {
            let (stage, block) = (usize::checked_sub(stage, 1)?, number(second)?);
            return Some(Self::Block { stage, block });
        }
        if first == "blocks" {
            let block = number(second)?;
            return Some(Self::Block { stage: 0, block });
        }
        Some(Self::Stem)
    }

    /// The place of a block where the stem counts as the first block of the first stage.
    pub fn after_stem(stage: usize, block: usize) -> Self {
        let block = block + usize::from(stage == 0);
        Self::Block { stage, block }
    }
}

impl Network {
    /// The layer that each tensor belongs to, from 0, as timm groups them for layer-wise learning
    /// rates: an encoder's stem, then its blocks one by one (a MaxViT's stages), and last of all
    /// whatever follows the encoder.
    pub fn layers(&self) -> BTreeMap<String, usize> {
        let (staged, by_stage) = (self.staged(), self.staged().layers_are_stages());
        let place = |name: &str| match staged.place(name) {
            Some(Place::Block { stage, .. }) if by_stage => Some(Place::Block { stage, block: 0 }),
            place => place,
        };
        let names = tensor_names(self);
        let places: BTreeSet<Place> = names.iter().filter_map(|name| place(name)).collect();
        let index: BTreeMap<Place, usize> = places.into_iter().zip(0..).collect();
        names
            .into_iter()
            .map(|name| {
                let layer = place(&name).map_or(index.len(), |place| index[&place]);
                (name, layer)
            })
            .collect()
    }
}
