//! Files of weights, told apart by their first bytes.

use std::io::{Read, Seek};
use std::path::Path;

use super::Tensors;
use super::pytorch;
use super::safetensors_file::{Trouble, read_safetensors};
use crate::Error;

/// What a file begins with that `torch.save` wrote.
const ZIP: &[u8] = b"PK\x03\x04";
/// What it began with before PyTorch 1.6: a bare pickle.
const PICKLE: [u8; 2] = [0x80, 0x02];
/// What the first byte of a safetensors header is.
const HEADER_START: u8 = b'{';

impl Tensors {
    /// Reads the whole file: safetensors, or what `torch.save` wrote (`.pth`, `.bin`, `.ckpt`),
    /// told apart by its first bytes. Integer tensors (PyTorch's batch counters) are passed over.
    /// Pickles are read, never run.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::NotSafetensors`] when the header is
    /// hostile or damaged, or the file is shorter than the header says; [`Error::NotPyTorch`],
    /// [`Error::PickledCode`] and [`Error::OldPyTorch`] for PyTorch's.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let mut start = Vec::new();
        let mut file = inkling_fragment::open_file(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        (&file).take(9).read_to_end(&mut start).map_err(io)?;
        if start.starts_with(ZIP) {
            return pytorch::read(path);
        }
        if start.starts_with(&PICKLE) && start.get(8) != Some(&HEADER_START) {
            return Err(Error::OldPyTorch {
                path: path.to_owned(),
            });
        }
        file.rewind().map_err(io)?;
        read_safetensors(file, length).map_err(|trouble| match trouble {
            Trouble::Io(source) => io(source),
            Trouble::Format(reason) => Error::NotSafetensors {
                path: path.to_owned(),
                reason,
            },
        })
    }
}
