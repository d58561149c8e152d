use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use inkling_fragment::write_whole;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::Error;

/// Named f32 tensors in memory, from a file of f32, f16, bf16 or f64.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    entries: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: BTreeMap<String, String>,
}

/// Most bytes of a safetensors header; it is parsed into many times as much. A thousand tensors
/// and a run's settings take a fifth of one.
const LONGEST_HEADER: u64 = 16 << 20;

impl Tensors {
    /// The tensors of a safetensors file's bytes.
    ///
    /// # Errors
    /// What is wrong with a header that is hostile or damaged, or a file that is shorter than its
    /// header says.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let length = bytes
            .first_chunk()
            .map_or(0, |&bytes| u64::from_le_bytes(bytes));
        if length > LONGEST_HEADER {
            return Err(format!(
                "a header of {length} bytes; at most {LONGEST_HEADER}"
            ));
        }
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
        let file = safetensors::serialize(views, None).expect("names are unique");
        let header = header_with(&file, &self.metadata);
        let tensors = &file[8 + header_length(&file)..];
        write_whole(path, force, |out| {
            let written = out.write_all(&header).and_then(|()| out.write_all(tensors));
            written.map_err(|source| Error::Io {
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

/// The length of a file's JSON header, which stands before it.
fn header_length(file: &[u8]) -> usize {
    let length = file.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(length) as usize
}

/// The length and header of `file`, with `metadata` in the order of its keys. (The crate takes it
/// as a hash map, whose order changes from call to call, and equal networks would give unequal
/// files.)
fn header_with(file: &[u8], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let own = &file[8..8 + header_length(file)];
    let own = own.strip_prefix(b"{").unwrap_or(own).trim_ascii_end();
    let metadata = serde_json::to_vec(metadata).expect("texts are JSON");
    let mut header = b"{\"__metadata__\":".to_vec();
    header.extend(metadata);
    if own != b"}" {
        header.push(b',');
    }
    header.extend(own);
    // Tensors begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes
}

/// The values as f32, or `None` for a type that no weight has.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tensors_give_equal_files_that_other_programs_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = Tensors::default();
        tensors.insert("b.weight".to_owned(), vec![2, 3], vec![0.5; 6]);
        tensors.insert("a.bias".to_owned(), vec![1], vec![-1.0]);
        for key in 0..20 {
            tensors.describe(format!("key {key}"), "text with \"quotes\"");
        }
        let write = |name: &str| {
            let path = folder.path().join(name);
            tensors.write(&path, false).unwrap();
            std::fs::read(path).unwrap()
        };
        let (first, second) = (write("1"), write("2"));
        assert!(first == second);
        let file = SafeTensors::deserialize(&first).unwrap();
        assert_eq!(file.tensor("b.weight").unwrap().shape(), [2, 3]);
        let (_, header) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap().len(), 20);
        let read = Tensors::read(&folder.path().join("1")).unwrap();
        assert_eq!(read.values("a.bias"), [-1.0]);
        assert_eq!(read.metadata(), tensors.metadata());
        Tensors::default()
            .write(&folder.path().join("3"), false)
            .unwrap();
        Tensors::read(&folder.path().join("3")).unwrap();
    }
}
