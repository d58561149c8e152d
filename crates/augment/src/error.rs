/// What can go wrong in making samples.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range.
    #[error(
        "augment.{key}: found {found}, which is out of range; expected {expected}. hint: change it in \
         [augment]"
    )]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A patch without voxels.
    #[error(
        "model.image_size and model.depth: found {side} and {depth}; expected at least 1 each. hint: \
         change them in [model]"
    )]
    Patch {
        /// Layers.
        depth: usize,
        /// Rows and columns.
        side: usize,
    },
    /// The layers to read are not there, or too few.
    #[error(
        "data.layers: found {} layers, of which the last is number {end} of {depth}, for patches of \
         {needed}; expected layers that exist and at least as many as a patch has. \
         hint: change data.layers or model.depth", end.saturating_sub(*first)
    )]
    Layers {
        /// First layer asked for.
        first: usize,
        /// End, exclusive.
        end: usize,
        /// Layers that there are.
        depth: usize,
        /// Layers of a patch.
        needed: usize,
    },
    /// No crop can lie in the fragment with its centre on papyrus.
    #[error(
        "found no place for a crop of {height} × {width} px with its centre on papyrus in a \
         fragment of {} × {} px: {}; expected a crop that fits. hint: lower augment.scale, \
         model.image_size or, where papyrus is held out beside it, data.margin; or set augment.pad = true", found[0], found[1], lacking([*height, *width], *found, *off)
    )]
    NoPlace {
        /// The crop's height.
        height: usize,
        /// The crop's width.
        width: usize,
        /// The fragment's height and width.
        found: [usize; 2],
        /// How far the nearest papyrus lies, in pixels, from where the centre may be; none where the
        /// crop does not fit or there is no papyrus.
        off: Option<usize>,
    },
    /// Voxels could not be read.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
}

impl Error {
    /// Whether the hint lies in the settings.
    pub fn is_settings(&self) -> bool {
        !matches!(self, Self::Fragment(_))
    }
}

/// How far a crop is from fitting.
fn lacking(crop: [usize; 2], fragment: [usize; 2], off: Option<usize>) -> String {
    let over = |axis: usize| crop[axis].saturating_sub(fragment[axis]);
    let off = off.map(|pixels| format!(", which lies {pixels} px too near the edge at best"));
    match [over(0), over(1)] {
        [0, 0] => format!(
            "it fits, but nowhere is its centre on papyrus{}",
            off.unwrap_or_default()
        ),
        [rows, 0] => format!("it is {rows} rows too high"),
        [0, columns] => format!("it is {columns} columns too wide"),
        [rows, columns] => format!("it is {rows} rows too high and {columns} columns too wide"),
    }
}
