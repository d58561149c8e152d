//! Weights that `torch.save` wrote: a zip archive of a pickle and the tensors' bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Dtype;
use zip::ZipArchive;

use super::Tensors;
use super::pickle::{Pickle, Refusal, TensorView, Value};
use super::tensors::to_f32;
use crate::Error;

/// Where training programs keep the weights in their checkpoints; averaged ones first, as timm
/// prefers them.
const STATE_DICTS: [&str; 6] = [
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
];

/// Reads the float tensors of the state dict in a file of `torch.save`, a Lightning checkpoint for
/// one.
pub(super) fn read(path: &Path) -> Result<Tensors, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let archive = ZipArchive::new(File::open(path).map_err(io)?);
    let archive = archive.map_err(|error| Refusal::Damaged(error.to_string()));
    let tensors = archive.and_then(|archive| Archive::open(archive)?.tensors());
    tensors.map_err(|refusal| match refusal {
        Refusal::Code(name) => Error::PickledCode {
            path: path.to_owned(),
            name,
        },
        Refusal::Damaged(reason) => Error::NotPyTorch {
            path: path.to_owned(),
            reason,
        },
    })
}

struct Archive {
    files: ZipArchive<File>,
    folder: String,
    pickle: Pickle,
    /// The storage read last: tensors of one storage follow each other.
    last: Option<(String, Vec<u8>)>,
}

impl Archive {
    fn open(mut files: ZipArchive<File>) -> Result<Self, Refusal> {
        let pickle = files.file_names().find(|name| name.ends_with("data.pkl"));
        let Some(name) = pickle.map(str::to_owned) else {
            return Err(Refusal::Damaged("it holds no data.pkl".to_owned()));
        };
        let folder = name.trim_end_matches("data.pkl").to_owned();
        let order = contents(&mut files, &format!("{folder}byteorder"));
        if order.is_ok_and(|order| order != b"little") {
            let reason = "its numbers are big-endian".to_owned();
            return Err(Refusal::Damaged(reason));
        }
        let pickle = Pickle::read(&contents(&mut files, &name)?)?;
        Ok(Self {
            files,
            folder,
            pickle,
            last: None,
        })
    }

    fn tensors(mut self) -> Result<Tensors, Refusal> {
        let mut tensors = Tensors::default();
        for (name, view) in self.state_dict()? {
            let Some(dtype) = float_type(&view.storage.class) else {
                continue;
            };
            let values = self.values(&name, &view, dtype)?;
            tensors.insert(name, view.shape, values);
        }
        Ok(tensors)
    }

    /// The named tensors of the state dict, wherever it lies.
    fn state_dict(&self) -> Result<Vec<(String, TensorView)>, Refusal> {
        let mut value = self.pickle.root();
        // A checkpoint may hold a dict of models that hold dicts of tensors.
        for _ in 0..STATE_DICTS.len() {
            let inner = STATE_DICTS.iter().find_map(|key| self.entry(value, key));
            match inner {
                Some(inner) => value = inner,
                None => break,
            }
        }
        let tensors = self.entries(value).filter_map(|(name, value)| match value {
            Value::Tensor(view) => Some((name.to_owned(), view.clone())),
            _ => None,
        });
        let tensors: Vec<_> = tensors.collect();
        match tensors.is_empty() {
            true => Err(Refusal::Damaged("it holds no dict of tensors".to_owned())),
            false => Ok(tensors),
        }
    }

    fn entries<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let entries = match value {
            Value::Dict(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|&(key, value)| {
            match (self.pickle.get(key), self.pickle.get(value)) {
                (Value::Text(key), value) => Some((key.as_str(), value)),
                _ => None,
            }
        })
    }

    fn entry<'a>(&'a self, value: &'a Value, wanted: &str) -> Option<&'a Value> {
        let mut dicts = self
            .entries(value)
            .filter(|(_, value)| matches!(value, Value::Dict(_)));
        dicts
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| value)
    }

    fn values(&mut self, name: &str, view: &TensorView, dtype: Dtype) -> Result<Vec<f32>, Refusal> {
        let key = &view.storage.key;
        if self.last.as_ref().is_none_or(|(last, _)| last != key) {
            let file = format!("{}data/{key}", self.folder);
            self.last = Some((key.clone(), contents(&mut self.files, &file)?));
        }
        let bytes = self.last.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let stored = to_f32(dtype, bytes).unwrap_or_default();
        gather(&stored, view).ok_or_else(|| {
            let (found, shape) = (stored.len(), &view.shape);
            Refusal::Damaged(format!(
                "its tensor {name} of shape {shape:?} reaches beyond the {found} numbers stored"
            ))
        })
    }
}

fn contents(files: &mut ZipArchive<File>, name: &str) -> Result<Vec<u8>, Refusal> {
    let damaged = |reason: String| Refusal::Damaged(format!("its {name}: {reason}"));
    let mut file = files
        .by_name(name)
        .map_err(|error| damaged(error.to_string()))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(bytes)
}

/// The type of a storage class; `None` for those of integers, which no weight is.
fn float_type(class: &str) -> Option<Dtype> {
    match class {
        "FloatStorage" => Some(Dtype::F32),
        "HalfStorage" => Some(Dtype::F16),
        "BFloat16Storage" => Some(Dtype::BF16),
        "DoubleStorage" => Some(Dtype::F64),
        _ => None,
    }
}

/// The view's values, row-major; `None` when it leaves the storage or repeats itself beyond it.
fn gather(stored: &[f32], view: &TensorView) -> Option<Vec<f32>> {
    let count = view
        .shape
        .iter()
        .try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    if count == 0 {
        return Some(Vec::new());
    }
    let axes = || view.shape.iter().zip(&view.strides);
    let last = axes().try_fold(view.offset, |last, (&size, &stride)| {
        last.checked_add((size - 1).checked_mul(stride)?)
    })?;
    if last >= stored.len() || count > stored.len() {
        return None;
    }
    let mut places = vec![view.offset];
    for (&size, &stride) in axes() {
        places = places
            .iter()
            .flat_map(|place| (0..size).map(move |step| place + step * stride))
            .collect();
    }
    Some(places.into_iter().map(|place| stored[place]).collect())
}
