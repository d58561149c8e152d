use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use inkling_fragment::write_whole;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::Error;

/// Named f32 tensors in memory, from a safetensors file of f32, f16, bf16 or f64.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    entries: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: BTreeMap<String, String>,
}

impl Tensors {
    /// Reads the whole file. Integer tensors (PyTorch's batch counters) are passed over.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::NotSafetensors`] when the header is
    /// hostile or damaged, or the file is shorter than the header says.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes).map_err(|reason| Error::NotSafetensors {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let mut entries = BTreeMap::new();
        for (name, view) in file.iter() {
            if let Some(values) = to_f32(view.dtype(), view.data()) {
                entries.insert(name.to_owned(), (view.shape().to_vec(), values));
            }
        }
        Ok(Self {
            entries,
            metadata: metadata.into_iter().collect(),
        })
    }

    /// Writes the tensors and the metadata as one safetensors file, whole.
    ///
    /// # Errors
    /// [`Error::Write`] when the file exists (without `force`), [`Error::Io`] when it cannot be
    /// written.
    pub fn write(&self, path: &Path, force: bool) -> Result<(), Error> {
        let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .entries
            .iter()
            .map(|(name, (shape, values))| {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (name, shape, bytes.collect())
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes);
            (name, view.expect("values fill their shape"))
        });
        let metadata: HashMap<String, String> = self.metadata.clone().into_iter().collect();
        let file = safetensors::serialize(views, Some(metadata)).expect("names are unique");
        write_whole(path, force, |out| {
            out.write_all(&file).map_err(|source| Error::Io {
                path: path.to_owned(),
                source,
            })
        })
    }

    /// The file's free-form metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|(shape, _)| shape.as_slice())
    }

    /// A tensor's values in row-major order; empty when there is no such tensor.
    pub fn values(&self, name: &str) -> Vec<f32> {
        self.entries
            .get(name)
            .map(|(_, values)| values.clone())
            .unwrap_or_default()
    }

    /// Renames every tensor; those for which `rename` gives `None` are dropped.
    pub fn renamed(self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let entries = self
            .entries
            .into_iter()
            .filter_map(|(name, tensor)| rename(&name).map(|name| (name, tensor)))
            .collect();
        Self { entries, ..self }
    }

    /// Puts a line of metadata in place of what had the key.
    pub fn describe(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.metadata.insert(key.into(), text.into());
    }

    /// Puts a tensor, row-major `values` of `shape`, in place of what had the name.
    pub fn insert(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.entries.insert(name, (shape, values));
    }
}

/// The values as f32, or `None` for a type that no weight has.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let halves = || {
        bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match dtype {
        Dtype::F32 => Some(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
        Dtype::F16 => Some(
            halves()
                .map(|bits| half::f16::from_bits(bits).to_f32())
                .collect(),
        ),
        Dtype::BF16 => Some(
            halves()
                .map(|bits| half::bf16::from_bits(bits).to_f32())
                .collect(),
        ),
        Dtype::F64 => Some(
            bytes
                .chunks_exact(8)
                .map(|b| {
                    f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32
                })
                .collect(),
        ),
        _ => None,
    }
}
