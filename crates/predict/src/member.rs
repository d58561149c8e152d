//! A network of an ensemble.

use inkling_model::Network;

/// A network and how much it counts.
#[derive(Clone, Debug)]
pub struct Member {
    /// The network.
    pub network: Network,
    /// Its share in the mean, by the sum of all members'.
    pub weight: f64,
}
