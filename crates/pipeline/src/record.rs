//! JSON that earlier calls wrote: `predict.json`, a fragment's record, a shard's figures.

use std::path::Path;

use anyhow::Context as _;
use inkling_fragment::read_text;
use serde::de::DeserializeOwned;

/// Most bytes of a record: that of a scroll with all its shards has some megabytes.
const LONGEST: u64 = 64 << 20;

/// Reads the record `path`.
///
/// # Errors
/// A file that is not there, longer than 64 MiB, or no such record; all name it.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read_text(path, LONGEST)?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
