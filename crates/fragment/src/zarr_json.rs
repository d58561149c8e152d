use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::Error;

/// Metadata of a real array are a few hundred bytes, of a plate a few megabytes.
const LARGEST: u64 = 16 << 20;

/// A metadata file of a Zarr folder, `None` where there is no such file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Zarr`] for what is no JSON, nests deeper than 128 levels, or is larger
/// than 16 MiB.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let wrong = |reason: String| Error::Zarr {
        path: path.to_owned(),
        reason,
    };
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong("metadata of more than 16 MiB".to_owned()));
    }
    let json = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(json))
}
