use std::path::PathBuf;

/// What can go wrong in alignment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mask holds no papyrus, so that there is no curve to measure.
    #[error(
        "{id}: found no papyrus; expected a mask with white pixels. hint: check that the mask is not inverted"
    )]
    NoPapyrus {
        /// The fragment's name.
        id: String,
    },
    /// The intensities do not change over depth.
    #[error(
        "{id}: found a curve that is flat, or NaN, within layers {first} to {last}; expected the rise and fall of a papyrus surface. hint: check the layers, or choose others with align.layers"
    )]
    Flat {
        /// Name of the fragment or target.
        id: String,
        /// First layer of the compared range.
        first: usize,
        /// Last layer of the compared range.
        last: usize,
    },
    /// A target that cannot be read.
    #[error("{}: found {found}; expected a curve as CSV with the columns z,mean_intensity_normalised (or curves.csv). hint: make one with `inkling curves`", path.display())]
    Target {
        /// The target's file.
        path: PathBuf,
        /// What of the file is no curve.
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
    /// Maps whose size is not the fragment's.
    #[error(
        "found depth maps of {found:?} px for a fragment of {expected:?} px (height, width); expected equal sizes. hint: fit the maps again with `inkling align`"
    )]
    MapSize {
        /// Height and width of the maps.
        found: [usize; 2],
        /// Height and width of the fragment.
        expected: [usize; 2],
    },
    /// A column of papyrus without a place in depth.
    #[error(
        "found a shift of {shift} and a scale of {scale} in row {}, column {}, on papyrus; expected finite numbers, and a scale other than 0. hint: fit the maps again with `inkling align`, or give these pixels their neighbours' values",
        place[0], place[1]
    )]
    MapValue {
        /// Row and column.
        place: [usize; 2],
        /// The shift, in layers of the target.
        shift: f32,
        /// The scale, in layers of the target per layer of the input.
        scale: f32,
    },
    /// Maps that lay the papyrus beyond the volume.
    #[error(
        "found depth maps that place {:.0} % of the papyrus beyond the {depth} layers of the volume; expected shifts in layers, and target = layer × scale + shift. hint: fit the maps again with `inkling align`",
        100.0 * share
    )]
    MapsMiss {
        /// The share of the papyrus, 0 to 1.
        share: f64,
        /// Layers of the volume.
        depth: usize,
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
