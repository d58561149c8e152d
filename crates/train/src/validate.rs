use inkling_model::Network;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// What validation found of a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// F0.5 over papyrus pixels of the stitched prediction at a threshold of 0.5; the best
    /// epoch is chosen by it.
    pub f05: f64,
    /// The highest F0.5 over all thresholds.
    pub best_f05: f64,
    /// The threshold that gives it.
    pub best_threshold: f64,
    /// Area under the precision–recall curve.
    pub average_precision: f64,
}

/// Validates a network on held-out papyrus. Prediction is a later stage; whoever runs both hands it
/// in through this trait.
pub trait Validate {
    /// Predicts the held-out papyrus with `network` (which records no gradients) and scores it.
    ///
    /// # Errors
    /// Whatever prediction or scoring meets.
    fn validate(
        &mut self,
        network: &Network,
    ) -> Result<Validation, Box<dyn std::error::Error + Send + Sync>>;

    /// The last validation's predictions: each fragment's name and its 8-bit probabilities, (y, x).
    fn pictures(&self) -> Vec<(&str, &Array2<u8>)> {
        Vec::new()
    }
}
