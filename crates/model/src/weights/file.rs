use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use inkling_fragment::sha256_hex;
use sha2::{Digest, Sha256};

use super::adapt::adapt_over;
use super::foreign_names::resolve;
use super::names::{Mismatch, collect, replace, shapes, unit_axes_removed};
use super::tensors::Tensors;
use crate::published::{Published, recognise, tidied};
use crate::{Conversion, Error, ModelSettings, Network, Normalization};

/// The metadata key that holds the settings, as JSON.
pub(crate) const SETTINGS_KEY: &str = "inkling.model";
/// The metadata key that holds the settings' format.
const FORMAT_KEY: &str = "inkling.format";
/// The newest format: settings that a reader of an older one may not know count it up. Files of the
/// first, which had two approaches, carry no number; published networks and other normalisations came
/// with the third.
const FORMAT: u32 = 3;
/// The format of what an older version reads too.
const OLDER_FORMAT: u32 = 2;

/// A network read from a file, ready to predict.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The network, its weights those of the file.
    pub network: Network,
    /// What the network is.
    pub settings: ModelSettings,
    /// What the file was recognised as, where it is not one that [`save`] wrote.
    pub published: Option<Published>,
    /// The file's further metadata.
    pub metadata: BTreeMap<String, String>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// A file of weights whose network is known, but not made yet: its settings may still be changed.
#[derive(Clone, Debug)]
pub struct WeightsFile {
    path: PathBuf,
    tensors: Tensors,
    /// What the network is.
    pub settings: ModelSettings,
    /// What the file was recognised as, where it is not one that [`save`] wrote.
    pub published: Option<Published>,
    metadata: BTreeMap<String, String>,
}

impl WeightsFile {
    /// Reads a file that [`save`] wrote, or one of a published network, safetensors or PyTorch's.
    /// `repository` is where it comes from, if that is known.
    ///
    /// # Errors
    /// [`Error::UnknownCheckpoint`] for a file of neither kind, [`Error::BadSettings`] for settings that
    /// cannot be those of the file, and those of [`Tensors::read`].
    pub fn open(path: &Path, repository: Option<&str>) -> Result<Self, Error> {
        let tensors = Tensors::read(path)?;
        let mut metadata = tensors.metadata().clone();
        let Some(text) = metadata.remove(SETTINGS_KEY) else {
            let tensors = tidied(tensors);
            let published = recognise(path, &tensors, repository)?;
            return Ok(Self {
                path: path.to_owned(),
                tensors,
                settings: published.settings.clone(),
                published: Some(published),
                metadata,
            });
        };
        let bad = |reason| Error::BadSettings {
            path: path.to_owned(),
            reason,
        };
        if let Some(format) = metadata.remove(FORMAT_KEY) {
            check_format(&format).map_err(bad)?;
        }
        let settings: ModelSettings =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        check_against(&settings, &tensors).map_err(bad)?;
        Ok(Self {
            path: path.to_owned(),
            tensors,
            settings,
            published: None,
            metadata,
        })
    }

    /// Makes the network on `device`, with the file's weights.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when tensors are missing, unknown or of another shape; settings out of range.
    pub fn load(self, device: &Device) -> Result<Checkpoint, Error> {
        let network = load_weights(self.settings.build(device)?, &self.path, self.tensors)?;
        Ok(Checkpoint {
            network,
            settings: self.settings,
            published: self.published,
            metadata: self.metadata,
            sha256: sha256(&self.path)?,
        })
    }
}

/// Reads a network, with the settings that its file says or those of its publishers.
///
/// # Errors
/// Those of [`WeightsFile::open`] and [`WeightsFile::load`].
pub fn load(path: &Path, device: &Device) -> Result<Checkpoint, Error> {
    WeightsFile::open(path, None)?.load(device)
}

fn check_format(found: &str) -> Result<(), String> {
    match found.parse::<u32>() {
        Ok(1..=FORMAT) => Ok(()),
        _ => Err(format!(
            "they are of format {found:?}, and this version reads formats 1 to {FORMAT}"
        )),
    }
}

/// Refuses settings that the file's tensors cannot be those of, before anything of the settings'
/// size is made. Whether every tensor fits is found later, by name.
fn check_against(settings: &ModelSettings, tensors: &Tensors) -> Result<(), String> {
    settings.check().map_err(|error| error.to_string())?;
    if settings.approach.is_published() {
        // Its check bounds its sizes, and nothing is made before its values are there.
        return Ok(());
    }
    let shapes = tensors.names().filter_map(|name| tensors.shape(name));
    let longest = shapes.flatten().copied().max().unwrap_or(0);
    let mut widths = vec![
        ("inputs", settings.inputs()),
        ("windows", settings.windows()),
    ];
    widths.extend(settings.decoder.iter().map(|&width| ("decoder", width)));
    let mut blocks = 0_usize;
    if let Some(shape) = &settings.maxvit {
        widths.extend(shape.stem.map(|width| ("maxvit.stem", width)));
        widths.extend(shape.channels.map(|width| ("maxvit.channels", width)));
        widths.push(("maxvit.head_width", shape.head_width));
        widths.push(("maxvit.position_hidden", shape.position_hidden));
        blocks = shape
            .blocks
            .iter()
            .fold(0, |sum, &blocks| sum.saturating_add(blocks));
    }
    if let Some((key, width)) = widths.iter().find(|(_, width)| *width > longest) {
        return Err(format!(
            "{key} of {width}, where no tensor of the file has an axis longer than {longest}"
        ));
    }
    let count = tensors.names().count();
    match blocks > count {
        true => Err(format!(
            "maxvit.blocks of {blocks} in all for the file's {count} tensors"
        )),
        false => Ok(()),
    }
}

/// Fills `network` from the `tensors` of the file at `path`, all of them. Names may be wrapped as
/// Lightning, DDP or segmentation_models_pytorch wrap them, or as published networks' checkpoints have
/// them: layers registered twice, heads that no prediction is made of.
///
/// # Errors
/// [`Error::Mismatch`] when a tensor is missing, of another shape or unknown.
pub fn load_weights(network: Network, path: &Path, tensors: Tensors) -> Result<Network, Error> {
    let tensors = match network.is_published() {
        true => tidied(tensors),
        false => spelled(tensors, &shapes(&network)),
    };
    let (network, mismatch) = replace(network, tensors);
    if mismatch == Mismatch::default() {
        return Ok(network);
    }
    check_conversion(path, &mismatch)?;
    Err(Error::Mismatch {
        path: path.to_owned(),
        mismatch: Box::new(mismatch),
    })
}

/// Names the conversion as the reason, if kernels of the plane met kernels of volumes.
fn check_conversion(path: &Path, mismatch: &Mismatch) -> Result<(), Error> {
    let between = |found: &[usize], expected: &[usize]| {
        matches!((found.len(), expected.len()), (4, 5) | (5, 4))
    };
    let mut reshaped = mismatch.reshaped.iter();
    match reshaped.find(|(_, found, expected)| between(found, expected)) {
        Some((name, found, expected)) => Err(Error::Conversion {
            path: path.to_owned(),
            name: name.clone(),
            found: found.clone(),
            expected: expected.clone(),
        }),
        None => Ok(()),
    }
}

/// What became of the tensors of an encoder's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderReport {
    /// Tensors that the encoder has no use for (a classifier's head, for one).
    pub unused: Vec<String>,
    /// Tensors that were brought to another shape: other input channels or another image size.
    pub adapted: Vec<String>,
}

/// Fills only the encoder of `network` from a file of timm's (`stages.0.…` or `stages_0.…`) or
/// of ours (`encoder.stages_0.…`), with or without other programs' prefixes, and says which of
/// the file's tensors were left unused.
///
/// The first convolution is widened or narrowed to the network's inputs (repeated cyclically and
/// scaled by 3 / inputs; summed for one input); positions are resampled to its image size; kernels of
/// the plane become a volume's as `model.conversion` says.
///
/// # Errors
/// [`Error::Conversion`] for a 2D network's file where no conversion is named;
/// [`Error::Mismatch`] when a tensor of the encoder is missing or of another shape; those of
/// [`Tensors::read`].
pub fn load_encoder(network: Network, path: &Path) -> Result<(Network, EncoderReport), Error> {
    let known = shapes(&network);
    let mut tensors = spelled(Tensors::read(path)?, &known);
    let conversion = network.staged().conversion();
    let adapted = adapt_all(&mut tensors, &known, conversion);
    let strange = |name: &str| !name.starts_with("encoder.");
    let mut unused: Vec<String> = tensors
        .names()
        .filter(|name| strange(name))
        .map(str::to_owned)
        .collect();
    let tensors = tensors.renamed(|name| (!strange(name)).then(|| name.to_owned()));
    let (network, mut mismatch) = replace(network, tensors);
    mismatch.missing.retain(|name| !strange(name));
    unused.extend(std::mem::take(&mut mismatch.unused));
    unused.retain(|name| !name.ends_with("num_batches_tracked"));
    if mismatch.is_complete() {
        return Ok((network, EncoderReport { unused, adapted }));
    }
    check_conversion(path, &mismatch)?;
    mismatch.unused = unused;
    Err(Error::Mismatch {
        path: path.to_owned(),
        mismatch: Box::new(mismatch),
    })
}

/// The tensors under the network's names, where it has one for them.
fn spelled(tensors: Tensors, known: &BTreeMap<String, Vec<usize>>) -> Tensors {
    // A name that is right as it stands must not give way to one that only resembles it.
    let taken: BTreeSet<String> = tensors.names().map(str::to_owned).collect();
    tensors.renamed(|name| {
        let resolved = resolve(name, known).filter(|found| !taken.contains(found));
        Some(resolved.unwrap_or_else(|| name.to_owned()))
    })
}

/// Brings tensors of other shapes to the network's, and names them.
fn adapt_all(
    tensors: &mut Tensors,
    known: &BTreeMap<String, Vec<usize>>,
    conversion: Option<Conversion>,
) -> Vec<String> {
    let mut adapted = Vec::new();
    for (name, expected) in known {
        let Some(found) = tensors.shape(name).map(<[usize]>::to_vec) else {
            continue;
        };
        if unit_axes_removed(&found) == unit_axes_removed(expected) {
            continue;
        }
        let values = tensors.values(name);
        if let Some(values) = adapt_over(name, &values, &found, expected, conversion) {
            tensors.insert(name.clone(), expected.clone(), values);
            adapted.push(name.clone());
        }
    }
    adapted
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
    described(network, settings, metadata).write(path, force)
}

/// The tensors of `network`, with its `settings` and further `metadata`.
pub(super) fn described(
    network: &Network,
    settings: &ModelSettings,
    metadata: &BTreeMap<String, String>,
) -> Tensors {
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
    let is_new =
        settings.approach.is_published() || settings.normalization != Normalization::default();
    let format = if is_new { FORMAT } else { OLDER_FORMAT };
    tensors.describe(FORMAT_KEY, format.to_string());
    tensors
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// [`Error::Io`].
pub fn sha256(path: &Path) -> Result<String, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut hasher = Sha256::new();
    let mut file = inkling_fragment::open_file(path).map_err(io)?;
    std::io::copy(&mut file, &mut hasher).map_err(io)?;
    Ok(sha256_hex(hasher))
}
