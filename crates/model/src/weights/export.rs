//! Weights under the names that PyTorch's libraries look for.

use std::path::Path;

use super::Checkpoint;
use super::file::described;
use super::foreign_names::plain_timm;
use crate::{Architecture, Conversion, Error, ModelSettings};

/// Whose names a weights file bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `encoder.*` as timm's `features_only` model, `decoder.*` as segmentation_models_pytorch's
    /// decoder, `head.*`, `aggregate.*`: what Inkling itself writes.
    Parts,
    /// A whole `Unet` of segmentation_models_pytorch over one of timm's encoders (`tu-…`), which
    /// looks at one window; how windows are combined has no place in it.
    Smp,
    /// The encoder alone, as timm's classifiers name it.
    Timm,
}

/// segmentation_models_pytorch's own U-Nets have as many blocks as halvings.
const SMP_BLOCKS: usize = 5;

impl Checkpoint {
    /// Writes the network's weights as one safetensors file under `naming`, whole, and gives the
    /// names of the tensors that have no place in it.
    ///
    /// # Errors
    /// [`Error::Export`] when the naming has no place for such a network, and those of
    /// [`save`](super::save).
    pub fn export(&self, path: &Path, naming: Naming, force: bool) -> Result<Vec<String>, Error> {
        match naming {
            Naming::Parts => {}
            Naming::Smp => check_smp(&self.settings)?,
            Naming::Timm => check_timm(&self.settings)?,
        }
        let tensors = described(&self.network, &self.settings, &self.metadata);
        let new_name = |name: &str| match naming {
            Naming::Parts => Some(name.to_owned()),
            Naming::Smp => smp(name),
            Naming::Timm => plain_timm(name),
        };
        let left_out = tensors.names().filter(|name| new_name(name).is_none());
        let left_out = left_out.map(str::to_owned).collect();
        let mut renamed = tensors.renamed(new_name);
        // Which program's tensors these are; transformers asks for it.
        renamed.describe("format", "pt");
        renamed.write(path, force)?;
        Ok(left_out)
    }
}

fn smp(name: &str) -> Option<String> {
    match name.split_once('.') {
        Some(("encoder", rest)) => Some(format!("encoder.model.{rest}")),
        Some(("head", rest)) => Some(format!("segmentation_head.{rest}")),
        Some(("decoder", _)) => Some(name.to_owned()),
        _ => None,
    }
}

/// timm knows no volumes; kernels that stayed flat it can read.
fn check_timm(settings: &ModelSettings) -> Result<(), Error> {
    let stays = settings.conversion == Some(Conversion::Acs);
    if !settings.approach.is_over_volumes() || stays {
        return Ok(());
    }
    Err(over_volumes(settings))
}

fn over_volumes(settings: &ModelSettings) -> Error {
    Error::Export {
        found: format!("a network of approach \"{}\"", settings.approach.name()),
        expected: "a 2D network",
        hint: "write it in parts",
    }
}

fn check_smp(settings: &ModelSettings) -> Result<(), Error> {
    if settings.approach.is_over_volumes() {
        return Err(over_volumes(settings));
    }
    let blocks = settings.decoder.len();
    let found = match settings.architecture {
        Architecture::UperNet => "an UperNet".to_owned(),
        Architecture::Unet if settings.encoder_config()?.is_plain() => {
            format!("{}, whose feature maps have one stride", settings.encoder)
        }
        Architecture::Unet if blocks != SMP_BLOCKS => format!("a U-Net of {blocks} blocks"),
        Architecture::Unet => return Ok(()),
    };
    Err(Error::Export {
        found,
        expected: "a U-Net of five blocks over an encoder whose strides double",
        hint: "write it in parts, for timm's encoder and segmentation_models_pytorch's decoder",
    })
}
