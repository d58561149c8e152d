//! Which depth maps a fragment is read through, and where they are.

use std::path::{Path, PathBuf};

use inkling_align::Target;
use inkling_fragment::Fragment;

use crate::Context;
use crate::alignment::fit_maps;
use crate::ensemble::Ensemble;

/// Which depth maps a prediction reads through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maps {
    /// None: layers as they are.
    None,
    /// Fitted first, to the built-in target.
    Auto {
        /// With the layers in reverse order.
        flip: bool,
    },
    /// Those in a folder, of all fragments or of the one.
    Folder(PathBuf),
}

impl Maps {
    /// What `--maps` and `--flip` say: no maps, those that `auto` fits, or a folder.
    pub fn of_flags(maps: Option<&str>, flip: bool) -> Self {
        match maps {
            None => Self::None,
            Some("auto") => Self::Auto { flip },
            Some(folder) => Self::Folder(PathBuf::from(folder)),
        }
    }

    /// The folder that was named.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::None | Self::Auto { .. } => None,
        }
    }
}

/// The folder of the depth maps that `fragment` is read through; those that are fitted first go to `out`,
/// where those of an earlier call are kept if it is resumed.
///
/// # Errors
/// Those of fitting.
pub fn maps_to_read(
    maps: &Maps,
    out: &Path,
    resume: bool,
    fragment: &Fragment,
    ensemble: &Ensemble,
    context: &Context,
) -> anyhow::Result<Option<PathBuf>> {
    match maps {
        Maps::None => Ok(None),
        Maps::Auto { flip } => {
            let folder = out.join("maps");
            let own = folder.join(fragment.id());
            // Maps of an earlier call are those of this one: the fit draws nothing.
            if !(resume && own.join("align.json").exists()) {
                let mut settings = ensemble.metadata().align.clone();
                settings.flip |= flip;
                fit_maps(fragment, &Target::built_in(), &settings, &own, context)?;
            }
            Ok(Some(folder))
        }
        Maps::Folder(folder) => Ok(Some(folder.clone())),
    }
}
