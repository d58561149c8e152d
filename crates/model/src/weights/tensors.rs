use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use inkling_fragment::write_whole;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::Error;

/// Named f32 tensors in memory, from a file of f32, f16, bf16 or f64.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    entries: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: BTreeMap<String, String>,
}

impl Tensors {
    /// Writes the tensors and the metadata as one safetensors file, whole.
    ///
    /// # Errors
    /// [`Error::Write`] when the file exists (without `force`), [`Error::Io`] when it cannot be
    /// written.
    pub fn write(&self, path: &Path, force: bool) -> Result<(), Error> {
        let header = self.header();
        write_whole(path, force, |out| {
            let mut values = self.entries.values().map(|(_, values)| values);
            let written = out
                .write_all(&header)
                .and_then(|()| values.try_for_each(|values| write_values(out, values)));
            written.map_err(|source| Error::Io {
                path: path.to_owned(),
                source,
            })
        })
    }

    /// The file's length of its header, and the header, with the metadata in the order of its keys. (The
    /// crate takes it as a hash map, whose order changes from call to call, and equal networks would give
    /// unequal files.)
    fn header(&self) -> Vec<u8> {
        let mut end = 0;
        let infos = self.entries.iter().map(|(name, (shape, values))| {
            let start = end;
            end += size_of_val(values.as_slice());
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: shape.clone(),
                data_offsets: (start, end),
            };
            (name.clone(), info)
        });
        let tensors = Metadata::new(None, infos.collect()).expect("values fill their shape");
        let tensors = serde_json::to_vec(&tensors).expect("numbers and names are JSON");
        let metadata = serde_json::to_vec(&self.metadata).expect("texts are JSON");
        let mut header = b"{\"__metadata__\":".to_vec();
        header.extend(metadata);
        if tensors != b"{}" {
            header.push(b',');
        }
        header.extend(&tensors[1..]);
        // Tensors begin at a multiple of eight.
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes
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

    /// A tensor's shape and values, which are no longer among the tensors.
    pub(super) fn take(&mut self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        self.entries.remove(name)
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

/// Values that are turned into bytes, or back, at a time: a training's file has three times the network's.
pub(super) const AT_ONCE: usize = 1 << 16;

/// Writes values as little-endian bytes.
fn write_values(out: &mut impl Write, values: &[f32]) -> std::io::Result<()> {
    let mut bytes = vec![0; size_of::<f32>() * AT_ONCE.min(values.len())];
    for values in values.chunks(AT_ONCE) {
        let bytes = &mut bytes[..size_of_val(values)];
        for (bytes, value) in bytes.chunks_exact_mut(size_of::<f32>()).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        out.write_all(bytes)?;
    }
    Ok(())
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
    use safetensors::SafeTensors;

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
