//! The kinds of results that carry a mark.

use std::fmt;

/// What a folder's files are results of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResultKind {
    /// A fragment: layers, mask, labels.
    Fragment,
    /// An OME-Zarr image of probabilities.
    Image,
    /// One training.
    Run,
    /// Trainings of all folds.
    CrossValidation,
    /// Probability images of fragments.
    Prediction,
    /// Predicted tiles that wait for being blended.
    Tiles,
    /// Depth maps of one fragment.
    Maps,
    /// Intensity curves.
    Curves,
    /// A gallery of training samples.
    Gallery,
    /// The demo.
    Demo,
    /// Feature maps of a network.
    Features,
    /// Pages and figures on how far results can be trusted.
    Audit,
    /// A dataset for another program.
    Dataset,
}

impl ResultKind {
    pub(crate) const ALL: [Self; 13] = [
        Self::Fragment,
        Self::Image,
        Self::Run,
        Self::CrossValidation,
        Self::Prediction,
        Self::Tiles,
        Self::Maps,
        Self::Curves,
        Self::Gallery,
        Self::Demo,
        Self::Features,
        Self::Audit,
        Self::Dataset,
    ];

    /// The word in the mark.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fragment => "fragment",
            Self::Image => "image",
            Self::Run => "run",
            Self::CrossValidation => "cv",
            Self::Prediction => "prediction",
            Self::Tiles => "tiles",
            Self::Maps => "maps",
            Self::Curves => "curves",
            Self::Gallery => "gallery",
            Self::Demo => "demo",
            Self::Features => "features",
            Self::Audit => "audit",
            Self::Dataset => "dataset",
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ResultKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}
