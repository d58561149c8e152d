//! The images that are made of a tile.

use serde::{Deserialize, Serialize};

/// The images of a tile, in this order: the mean probability, the mean square of the probabilities of
/// all passes and members (from which their standard deviation follows), each member's own mean
/// probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// Whether there is the mean square.
    pub square: bool,
    /// Whether there is each member's own probability.
    pub members: bool,
}

impl Channels {
    /// Images per tile, for so many members.
    pub fn count(self, members: usize) -> usize {
        1 + usize::from(self.square) + if self.members { members } else { 0 }
    }
}
