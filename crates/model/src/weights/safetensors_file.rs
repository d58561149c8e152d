//! Reading safetensors, tensor by tensor, so that no weight is in memory twice.

use std::io::{self, BufReader, Read};

use safetensors::tensor::{Dtype, Metadata};

use super::Tensors;
use super::tensors::{AT_ONCE, to_f32};

/// Most bytes of a header; it is parsed into many times as much. A thousand tensors and a run's settings
/// take a fifth of one.
const LONGEST_HEADER: u64 = 16 << 20;
/// Bytes of the number that a file begins with, the length of its header.
const LENGTH: u64 = 8;

/// Why a file could not be read.
pub enum Trouble {
    /// The system says so.
    Io(io::Error),
    /// It is no safetensors: what is wrong with it.
    Format(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The tensors of a file of `length` bytes, read from its start; those of integers are passed over.
pub fn read_safetensors(file: impl Read, length: u64) -> Result<Tensors, Trouble> {
    let mut file = BufReader::new(file);
    let header = read_header(&mut file, length)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let mut tensors = Tensors::default();
    for (key, text) in metadata {
        tensors.describe(key, text);
    }
    // In the order in which they lie one behind the other.
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else {
            continue;
        };
        let (start, end) = info.data_offsets;
        if let Some(values) = read_values(&mut file, info.dtype, end - start)? {
            tensors.insert(name, info.shape.clone(), values);
        }
    }
    Ok(tensors)
}

/// The header, checked: tensors fill the rest of the file without gap or overlap.
fn read_header(file: &mut impl Read, length: u64) -> Result<Metadata, Trouble> {
    let wrong = |reason: String| Err(Trouble::Format(reason));
    if length < LENGTH {
        return wrong(format!("{length} bytes, too few for a header"));
    }
    let mut bytes = [0; LENGTH as usize];
    file.read_exact(&mut bytes)?;
    let header_length = u64::from_le_bytes(bytes);
    if header_length > LONGEST_HEADER {
        return wrong(format!(
            "a header of {header_length} bytes; at most {LONGEST_HEADER}"
        ));
    }
    let Some(data) = (length - LENGTH).checked_sub(header_length) else {
        return wrong(format!(
            "a header of {header_length} bytes in a file of {length}"
        ));
    };
    let mut header = Vec::new();
    file.take(header_length).read_to_end(&mut header)?;
    let header: Metadata = match serde_json::from_slice(&header) {
        Ok(header) => header,
        Err(error) => return wrong(format!("its header: {error}")),
    };
    match header.data_len() as u64 {
        expected if expected == data => Ok(header),
        expected => wrong(format!(
            "{data} bytes behind its header, which speaks of {expected}"
        )),
    }
}

/// The next `bytes` as values, or `None` where they are of a type that no weight has.
fn read_values(
    file: &mut impl Read,
    dtype: Dtype,
    mut bytes: usize,
) -> Result<Option<Vec<f32>>, Trouble> {
    if to_f32(dtype, &[]).is_none() {
        io::copy(&mut file.take(bytes as u64), &mut io::sink())?;
        return Ok(None);
    }
    let size = dtype.bitsize() / 8;
    let mut values = Vec::with_capacity(bytes / size);
    let mut piece = vec![0; size * AT_ONCE.min(bytes / size)];
    while bytes > 0 {
        let piece_length = piece.len().min(bytes);
        let piece = &mut piece[..piece_length];
        file.read_exact(piece)?;
        values.extend(to_f32(dtype, piece).expect("its type was asked for"));
        bytes -= piece_length;
    }
    Ok(Some(values))
}
