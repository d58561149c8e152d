/// What can go wrong in making samples.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range.
    #[error(
        "augment.{key}: found a value out of range; expected {expected}. Mend: change it in [augment]"
    )]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The layers to read are not there, or too few.
    #[error(
        "data.layers: found {first}..{end} of a volume of {depth} layers, for patches of {needed}; \
         expected layers that exist and at least as many as a patch has. \
         Mend: change data.layers or model.depth"
    )]
    Layers {
        /// First layer asked for.
        first: usize,
        /// One after the last.
        end: usize,
        /// Layers that there are.
        depth: usize,
        /// Layers of a patch.
        needed: usize,
    },
    /// No crop can lie in the fragment with its centre on papyrus.
    #[error(
        "found no place for a crop of {height} × {width} px with its centre on papyrus in a \
         fragment of {found:?} px. Mend: lower augment.scale or model.image_size"
    )]
    NoPlace {
        /// The crop's height.
        height: usize,
        /// The crop's width.
        width: usize,
        /// The fragment's height and width.
        found: [usize; 2],
    },
    /// Voxels could not be read.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
}

impl Error {
    /// Whether the mend lies in the settings.
    pub fn is_settings(&self) -> bool {
        !matches!(self, Self::Fragment(_))
    }
}
