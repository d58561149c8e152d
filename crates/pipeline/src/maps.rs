//! Which depth maps a fragment is read through, and where they are.

use std::path::{Path, PathBuf};

use inkling_align::Target;
use inkling_fragment::Fragment;

use crate::alignment::fit_maps;
use crate::ensemble::Ensemble;
use crate::{Context, Usage};

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

    /// Refuses to reverse layers that are read through maps of a folder: these say themselves in which order
    /// they were fitted.
    ///
    /// # Errors
    /// [`Usage`].
    pub fn check_order(&self, reversed: bool) -> Result<(), Usage> {
        match (reversed, self.folder()) {
            (true, Some(maps)) => Err(Usage(format!(
                "--flip, --direction: found --maps {}, which say themselves whether they were fitted in \
                 reverse order; expected one of the two. hint: leave the order out, or make the maps with \
                 `inkling align --flip`",
                maps.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Warns when a model of aligned fragments is to read one as it is.
    pub fn warn_of_unaligned(&self, ensemble: &Ensemble) {
        if ensemble.input().aligned && *self == Self::None {
            tracing::warn!(
                "the model was trained on aligned fragments and these are read as they are; give \
                 --maps auto to align them first"
            );
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
