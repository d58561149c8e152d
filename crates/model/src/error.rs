use std::path::PathBuf;

/// What can go wrong with settings, weights and devices.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No encoder has this name.
    #[error(
        "model.encoder: found \"{name}\"; expected one of the names that `inkling models` lists. \
         hint: did you mean \"{nearest}\"?"
    )]
    UnknownEncoder {
        /// The name asked for.
        name: String,
        /// The known name nearest to it.
        nearest: String,
    },
    /// The encoder cannot take images of this size.
    #[error(
        "model.image_size: found {found}; expected a multiple of {multiple}, which the windows of \
         {encoder} divide. hint: use {} or {}",
        (found / multiple).max(1) * multiple,
        (found / multiple + 1) * multiple
    )]
    ImageSize {
        /// The encoder's name.
        encoder: String,
        /// The size asked for, in pixels.
        found: usize,
        /// What the size must be a multiple of, in pixels.
        multiple: usize,
    },
    /// The encoder's overridden shape does not fit together.
    #[error(
        "model.{encoder}: found a shape that does not fit together: {reason}. hint: change [model.{encoder}]"
    )]
    Shape {
        /// The family's table in the settings.
        encoder: String,
        /// What does not fit.
        reason: String,
    },
    /// A setting is out of its range.
    #[error("model.{key}: found {found}; expected {expected}. hint: change it in [model]")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The device is unknown or not part of this build.
    #[error("--device: found \"{found}\"; expected {expected}. hint: {hint}")]
    Device {
        /// The name asked for.
        found: String,
        /// What this build can do.
        expected: String,
        /// What to do.
        hint: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}. hint: check that the path exists and may be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file could not be written whole.
    #[error(transparent)]
    Write(#[from] inkling_fragment::Error),
    /// The file is no safetensors file, or a damaged one.
    #[error(
        "{}: found a file that is no whole safetensors file ({reason}); expected weights. \
         hint: copy or download it again", path.display()
    )]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file begins as one of `torch.save`, but cannot be read as one.
    #[error(
        "{}: found a zip archive that is no state dict of PyTorch ({reason}); expected what \
         `torch.save(model.state_dict(), path)` writes. hint: save the state dict alone, or \
         download the file again", path.display()
    )]
    NotPyTorch {
        /// The file.
        path: PathBuf,
        /// What the reader met.
        reason: String,
    },
    /// The file's pickle names something that would run code, which is never run.
    #[error(
        "{}: found a pickle that calls {name}; expected tensors and plain settings only. Nothing \
         was run. hint: do not trust this file; if it is your own, save \
         `model.state_dict()` alone", path.display()
    )]
    PickledCode {
        /// The file.
        path: PathBuf,
        /// What it calls, by Python's name.
        name: String,
    },
    /// The file has the format that PyTorch left with version 1.6.
    #[error(
        "{}: found a bare pickle, PyTorch's format before 1.6; expected safetensors or a file of a \
         later torch.save. hint: in Python, torch.save(torch.load(path), path)", path.display()
    )]
    OldPyTorch {
        /// The file.
        path: PathBuf,
    },
    /// Weights could not be fetched.
    #[error("{asked}: found {found} at {endpoint}; expected its {file}. hint: {hint}")]
    Hub {
        /// The setting or flag that names the repository.
        asked: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
        /// What was met.
        found: String,
        /// What helps.
        hint: String,
    },
    /// The network cannot be written as an ONNX file.
    #[error("--format onnx: found {found}; expected {expected}. hint: write it as safetensors")]
    Onnx {
        /// What stands in the way.
        found: String,
        /// What can be written.
        expected: &'static str,
    },
    /// The network has no place under another program's names.
    #[error("--names: found {found}; expected {expected}. hint: {hint}")]
    Export {
        /// What stands in the way.
        found: String,
        /// What there is a place for.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The file is of no network that is known.
    #[error(
        "{}: found {found}; expected a file of Inkling's, or a checkpoint of one of the published \
         networks (hybrid, resnet3d, timesformer, i3d). hint: docs/networks.md lists them; encoders' \
         weights go into model.pretrained",
        path.display()
    )]
    UnknownCheckpoint {
        /// The file.
        path: PathBuf,
        /// What was recognised.
        found: String,
    },
    /// The settings in the file cannot be understood.
    #[error("{}: found settings that this version cannot read ({reason}). hint: use the version that wrote the file", path.display())]
    BadSettings {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// Kernels of the plane where those of volumes are due, or the other way round.
    #[error(
        "{}: found {name} of shape {found:?}, {}; expected {expected:?}. hint: {}", path.display(),
        match found.len() {
            4 => "a kernel of the plane",
            _ => "a kernel with a depth",
        },
        match found.len() {
            4 => "say how 2D weights become 3D, with model.conversion = \"repeat\" or \"centre\" \
                  beside model.pretrained; with \"acs\" they stay as they are",
            _ => "the file is of a network without model.conversion = \"acs\"; take that setting away",
        }
    )]
    Conversion {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// The tensors in the file are not the model's.
    #[error("{}: {mismatch}. hint: {}", path.display(), mismatch_hint(mismatch))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which tensors, and how they differ.
        mismatch: Box<crate::weights::Mismatch>,
    },
}

impl Error {
    /// Whether the hint lies in the flags or the settings.
    pub fn is_settings(&self) -> bool {
        matches!(
            self,
            Self::UnknownEncoder { .. }
                | Self::ImageSize { .. }
                | Self::Shape { .. }
                | Self::Setting { .. }
                | Self::Device { .. }
                | Self::Export { .. }
                | Self::Onnx { .. }
        )
    }

    /// An image size must be a multiple of what the encoder's windows and strides divide.
    pub(crate) fn check_image_size(
        encoder: &str,
        found: usize,
        multiple: usize,
    ) -> Result<(), Self> {
        if found > 0 && found.is_multiple_of(multiple) {
            return Ok(());
        }
        Err(Self::ImageSize {
            encoder: encoder.to_owned(),
            found,
            multiple,
        })
    }

    pub(crate) fn unknown_encoder(name: &str) -> Self {
        // Weights are called by the organisation, the encoder and the training's tag.
        let plain = name.to_lowercase();
        let plain = plain.strip_prefix("timm/").unwrap_or(&plain);
        let plain = plain.split('.').next().unwrap_or_default();
        let nearest = crate::encoders::catalogue()
            .into_iter()
            .map(|info| info.name)
            .min_by_key(|known| strsim::damerau_levenshtein(known, plain))
            .unwrap_or_default();
        Self::UnknownEncoder {
            name: name.to_owned(),
            nearest: nearest.to_owned(),
        }
    }
}

fn mismatch_hint(mismatch: &crate::weights::Mismatch) -> &'static str {
    match mismatch.not_finite.is_empty() {
        true => "check that model.encoder and the decoder are those of the file",
        false => "take another checkpoint, or download it again",
    }
}
