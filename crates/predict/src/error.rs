use std::path::PathBuf;

/// What can go wrong in prediction and scoring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting out of its range.
    #[error("predict.{key}: found {found}; expected {expected}. Mend: change it in [predict]")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Models that cannot be averaged.
    #[error("{}: found a model for patches of {found}; expected {expected} as the first model has. Mend: predict with each alone", path.display())]
    Disagreement {
        /// The odd model's file.
        path: PathBuf,
        /// Its patch.
        found: String,
        /// The first model's.
        expected: String,
    },
    /// Images that do not lie on each other.
    #[error(
        "{what}: found {found:?} px (height, width); expected {expected:?} px as the prediction has. Mend: give the images of one fragment"
    )]
    Size {
        /// Which image.
        what: &'static str,
        /// Its size.
        found: [usize; 2],
        /// The prediction's size.
        expected: [usize; 2],
    },
    /// Nothing to score.
    #[error(
        "labels: found no ink within the mask; expected some to score by. Mend: check that the labels mark ink in white"
    )]
    NoInk,
    /// The network gave something that is no number.
    #[error(
        "found a prediction that is no number at tile ({y}, {x}); expected probabilities. Mend: check the weights and the volume for damage"
    )]
    NotANumber {
        /// The tile's first row.
        y: usize,
        /// The tile's first column.
        x: usize,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
    /// A tile could not be prepared.
    #[error(transparent)]
    Augment(#[from] inkling_augment::Error),
}

impl Error {
    /// Whether the mend lies in the settings.
    pub fn is_settings(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}
