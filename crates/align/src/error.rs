use std::path::PathBuf;

/// What can go wrong in alignment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to measure.
    #[error(
        "{id}: found no papyrus; expected a mask with white pixels. hint: check that the mask is not inverted"
    )]
    NoPapyrus {
        /// The fragment.
        id: String,
    },
    /// The intensities do not change over depth.
    #[error(
        "{id}: found a curve that is flat, or no number, within layers {first} to {last}; expected the rise and fall of a papyrus surface. hint: check the layers, or choose others with align.layers"
    )]
    Flat {
        /// The fragment or target.
        id: String,
        /// First layer looked at.
        first: usize,
        /// Last layer looked at.
        last: usize,
    },
    /// A target that cannot be read.
    #[error("{}: found {found}; expected a curve as CSV with the columns z,mean_intensity_normalised (or curves.csv). hint: make one with `inkling curves`", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A setting out of its range.
    #[error("align.{key}: found {found}; expected {expected}. hint: change it in [align]")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Maps of another fragment.
    #[error(
        "found depth maps of {found:?} px for a fragment of {expected:?} px (height, width); expected equal sizes. hint: fit the maps again with `inkling align`"
    )]
    MapSize {
        /// Height and width of the maps.
        found: [usize; 2],
        /// Height and width of the fragment.
        expected: [usize; 2],
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
}

impl Error {
    /// Whether the hint lies in the flags or the settings.
    pub fn is_settings(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}
