use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::names::{Mismatch, collect, replace};
use super::tensors::Tensors;
use crate::{Error, ModelSettings, Network};

/// The metadata key that holds the settings, as JSON.
const SETTINGS_KEY: &str = "inkling.model";

/// A network read from a file, ready to predict.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The network, its weights those of the file.
    pub network: Network,
    /// What the network is.
    pub settings: ModelSettings,
    /// The file's further metadata.
    pub metadata: BTreeMap<String, String>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Reads a network that [`save`] wrote.
///
/// # Errors
/// [`Error::NoSettings`] for a file without settings, [`Error::Mismatch`] when tensors are
/// missing or of another shape, and those of [`Tensors::read`].
pub fn load(path: &Path, device: &Device) -> Result<Checkpoint, Error> {
    let tensors = Tensors::read(path)?;
    let mut metadata = tensors.metadata().clone();
    let text = metadata.remove(SETTINGS_KEY).ok_or(Error::NoSettings {
        path: path.to_owned(),
    })?;
    let settings: ModelSettings =
        serde_json::from_str(&text).map_err(|error| Error::BadSettings {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let network = load_weights(settings.build(device)?, path, tensors)?;
    Ok(Checkpoint {
        network,
        settings,
        metadata,
        sha256: sha256(path)?,
    })
}

/// Fills `network` from the `tensors` of the file at `path`, all of them.
///
/// # Errors
/// [`Error::Mismatch`] when a tensor is missing, of another shape or unknown.
pub fn load_weights(network: Network, path: &Path, tensors: Tensors) -> Result<Network, Error> {
    let (network, mismatch) = replace(network, &tensors);
    if mismatch == Mismatch::default() {
        return Ok(network);
    }
    Err(Error::Mismatch {
        path: path.to_owned(),
        mismatch,
    })
}

/// Fills only the encoder of `network` from a file of timm's (`stages.0.…` or `stages_0.…`) or
/// of ours (`encoder.stages_0.…`), and says which of the file's tensors were left unused (a
/// classifier's head, for one).
///
/// # Errors
/// [`Error::Mismatch`] when a tensor of the encoder is missing or of another shape.
pub fn load_encoder(network: Network, path: &Path) -> Result<(Network, Vec<String>), Error> {
    let tensors = Tensors::read(path)?;
    let whole = tensors.names().any(|name| name.starts_with("encoder."));
    let tensors = tensors.renamed(|name| match whole {
        true => name.starts_with("encoder.").then(|| name.to_owned()),
        false => Some(encoder_name(name)),
    });
    let (network, mut mismatch) = replace(network, &tensors);
    mismatch.missing.retain(|name| name.starts_with("encoder."));
    if mismatch.is_complete() {
        return Ok((network, mismatch.unused));
    }
    Err(Error::Mismatch {
        path: path.to_owned(),
        mismatch,
    })
}

/// timm's `stages.0.blocks…` and `stages_0.blocks…` are both our `encoder.stages_0.blocks…`;
/// numbered stems are flattened alike.
fn encoder_name(name: &str) -> String {
    for list in ["stages.", "layers.", "stem."] {
        let rest = name.strip_prefix(list);
        if let Some(rest) = rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            return format!("encoder.{}_{rest}", list.trim_end_matches('.'));
        }
    }
    format!("encoder.{name}")
}

/// Writes `network` with its `settings` and further `metadata` as one safetensors file, whole.
///
/// # Errors
/// [`Error::Write`] when the file exists (without `force`) or cannot be written.
pub fn save(
    path: &Path,
    network: &Network,
    settings: &ModelSettings,
    metadata: &BTreeMap<String, String>,
    force: bool,
) -> Result<(), Error> {
    let mut tensors = Tensors::default();
    for (name, data) in collect(network) {
        let shape = data.shape().to_vec();
        let values = data.try_into_vec::<f32>().expect("collected as f32");
        tensors.insert(name, shape, values);
    }
    for (key, text) in metadata {
        tensors.describe(key, text);
    }
    let text = serde_json::to_string(settings).expect("settings are plain data");
    tensors.describe(SETTINGS_KEY, text);
    tensors.write(path, force)
}

fn sha256(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
