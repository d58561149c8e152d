//! Weights that `torch.save` wrote: a zip archive of a pickle and the tensors' bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Dtype;
use zip::{CompressionMethod, ZipArchive};

use super::Tensors;
use super::pickle::{LONGEST, LONGEST_NAME, Pickle, Refusal, TensorView, Value};
use super::tensors::to_f32;
use crate::Error;

/// Where training programs keep the weights in their checkpoints; averaged ones first, as timm
/// prefers them.
const STATE_DICTS: [&str; 7] = [
    "ema_model",
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
];

/// Where they keep their settings.
const SETTINGS: [&str; 2] = ["config", "hyper_parameters"];
/// Most tables and lists inside one another, and most values, of such settings.
const DEEPEST_SETTINGS: usize = 16;
const MOST_SETTINGS: usize = 1 << 16;

/// Reads the float tensors of the state dict in a file of `torch.save`, a Lightning checkpoint for
/// one.
pub(super) fn read(path: &Path) -> Result<Tensors, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = inkling_fragment::open_file(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let archive = ZipArchive::new(file);
    let archive = archive.map_err(|error| Refusal::Damaged(error.to_string()));
    let tensors = archive.and_then(|archive| Archive::open(archive, length)?.tensors());
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

/// How many bytes of tensors may be made of one byte of the file. A storage may bear several
/// names, as in nnU-Net's files, where each bears four; halves become floats.
const MOST_PER_BYTE: u64 = 16;

/// A tensor's name, where it lies and of what type its storage is.
type NamedView = (String, TensorView, Dtype);

struct Archive {
    files: ZipArchive<File>,
    folder: String,
    pickle: Pickle,
    /// Bytes of the file.
    length: u64,
}

impl Archive {
    fn open(mut files: ZipArchive<File>, length: u64) -> Result<Self, Refusal> {
        let is_pickle = |name: &&str| *name == "data.pkl" || name.ends_with("/data.pkl");
        let mut pickles = files.file_names().filter(is_pickle).map(str::to_owned);
        let Some(name) = pickles.next() else {
            return Err(Refusal::Damaged("it holds no data.pkl".to_owned()));
        };
        if pickles.next().is_some() {
            return Err(Refusal::Damaged("it holds several data.pkl".to_owned()));
        }
        drop(pickles);
        let folder = name.trim_end_matches("data.pkl").to_owned();
        let order = contents(&mut files, &format!("{folder}byteorder"), 16);
        if order.is_ok_and(|order| order != b"little") {
            let reason = "its numbers are big-endian".to_owned();
            return Err(Refusal::Damaged(reason));
        }
        let pickle = Pickle::read(&contents(&mut files, &name, LONGEST.min(length))?)?;
        Ok(Self {
            files,
            folder,
            pickle,
            length,
        })
    }

    fn tensors(mut self) -> Result<Tensors, Refusal> {
        let views = self.float_views()?;
        self.check_sizes(&views)?;
        let mut tensors = Tensors::default();
        for key in SETTINGS {
            if let Some(settings) = self.entry(self.pickle.root(), key) {
                let mut most = MOST_SETTINGS;
                let json = self.pickle.json(settings, DEEPEST_SETTINGS, &mut most);
                tensors.describe(key, json.to_string());
            }
        }
        let mut unread = self.length;
        // Each storage is read once, whatever order its views stand in.
        for (key, views) in &views {
            let file = format!("{}data/{key}", self.folder);
            let bytes = contents(&mut self.files, &file, unread)?;
            unread -= bytes.len() as u64;
            for (name, view, dtype) in views {
                let values = gather(&bytes, *dtype, view).ok_or_else(|| {
                    let (found, shape) = (bytes.len() / dtype_bytes(*dtype), &view.shape);
                    Refusal::Damaged(format!(
                        "its tensor {name} of shape {shape:?} reaches beyond the {found} numbers \
                         stored"
                    ))
                })?;
                tensors.insert(name.clone(), view.shape.clone(), values);
            }
        }
        Ok(tensors)
    }

    /// The views of floating-point numbers, by the key of their storage.
    fn float_views(&self) -> Result<BTreeMap<String, Vec<NamedView>>, Refusal> {
        let mut names = BTreeSet::new();
        let mut views: BTreeMap<String, Vec<NamedView>> = BTreeMap::new();
        for (name, view) in self.state_dict()? {
            if !names.insert(name.clone()) {
                return Err(Refusal::Damaged(format!("it holds two tensors {name}")));
            }
            if let Some(dtype) = float_type(&view.storage.class) {
                let key = view.storage.key.clone();
                views.entry(key).or_default().push((name, view, dtype));
            }
        }
        Ok(views)
    }

    /// Refuses views that make more of the file than any program's do.
    fn check_sizes(&self, views: &BTreeMap<String, Vec<NamedView>>) -> Result<(), Refusal> {
        let bytes = |(_, view, _): &NamedView| {
            let sizes = view.shape.iter().map(|&size| size as u64);
            sizes.fold(size_of::<f32>() as u64, u64::saturating_mul)
        };
        let total = views.values().flatten().map(bytes);
        let total = total.fold(0, u64::saturating_add);
        let most = self.length.saturating_mul(MOST_PER_BYTE);
        if total <= most {
            return Ok(());
        }
        Err(Refusal::Damaged(format!(
            "its tensors take {total} bytes, more than {MOST_PER_BYTE} times the {} of the file",
            self.length
        )))
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
            Value::Tensor(view) => Some((name, view)),
            _ => None,
        });
        let tensors: Vec<_> = tensors.collect();
        if tensors.iter().any(|(name, _)| name.len() > LONGEST_NAME) {
            let reason = format!("it names a tensor by more than {LONGEST_NAME} bytes");
            return Err(Refusal::Damaged(reason));
        }
        let owned = |(name, view): (&str, &TensorView)| (name.to_owned(), view.clone());
        let tensors: Vec<_> = tensors.into_iter().map(owned).collect();
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
}

/// The whole of an entry, which must be stored as it is (as `torch.save` does) and no longer than
/// `most` bytes.
fn contents(files: &mut ZipArchive<File>, name: &str, most: u64) -> Result<Vec<u8>, Refusal> {
    let damaged = |reason: String| Refusal::Damaged(format!("its {name}: {reason}"));
    let file = files
        .by_name(name)
        .map_err(|error| damaged(error.to_string()))?;
    if file.compression() != CompressionMethod::Stored {
        let found = file.compression();
        return Err(damaged(format!("compressed ({found}) instead of stored")));
    }
    let size = file.size();
    if size > most || file.compressed_size() != size {
        return Err(damaged(format!("{size} bytes where {most} can be")));
    }
    let mut bytes = Vec::new();
    file.take(most)
        .read_to_end(&mut bytes)
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

fn dtype_bytes(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// The view's values, row-major; `None` when it leaves the storage or repeats itself beyond it.
/// Only what lies between its first value and its last is converted.
fn gather(storage: &[u8], dtype: Dtype, view: &TensorView) -> Option<Vec<f32>> {
    let stored = storage.len() / dtype_bytes(dtype);
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
    if last >= stored || count > stored {
        return None;
    }
    let bytes = view.offset * dtype_bytes(dtype)..(last + 1) * dtype_bytes(dtype);
    let values = to_f32(dtype, &storage[bytes])?;
    if is_row_major(view) {
        return Some(values);
    }
    let mut places = vec![0];
    for (&size, &stride) in axes() {
        places = places
            .iter()
            .flat_map(|place| (0..size).map(move |step| place + step * stride))
            .collect();
    }
    Some(places.into_iter().map(|place| values[place]).collect())
}

/// Whether the values lie one after the other. Strides of axes of one value say nothing.
fn is_row_major(view: &TensorView) -> bool {
    let mut due = 1;
    view.shape
        .iter()
        .zip(&view.strides)
        .rev()
        .all(|(&size, &stride)| {
            let fits = size == 1 || stride == due;
            due *= size;
            fits
        })
}
