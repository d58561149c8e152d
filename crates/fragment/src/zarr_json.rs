use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::remote::{self, Address};

/// Metadata of a real array are a few hundred bytes, of a plate a few megabytes.
const LARGEST: u64 = 16 << 20;

/// A metadata file of a Zarr folder, `None` where there is no such file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Zarr`] for what is no JSON, nests deeper than 128 levels, or is larger
/// than 16 MiB.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, Error> {
    let wrong = |reason: String| Error::Zarr {
        path: path.to_owned(),
        reason,
    };
    let Some(bytes) = read_bytes(path).map_err(Error::io(path))? else {
        return Ok(None);
    };
    if bytes.len() as u64 > LARGEST {
        return Err(wrong("metadata of more than 16 MiB".to_owned()));
    }
    let json = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(json))
}

/// A little more than the largest metadata at most; `None` where there is no such file.
fn read_bytes(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    if let Some(address) = Address::of(path) {
        return remote::read_document(&address);
    }
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
