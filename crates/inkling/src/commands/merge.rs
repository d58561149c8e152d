//! Merges the shards of predictions.

use inkling_pipeline::{Context, merge};
use serde_json::Value;

use crate::cli::Merge;

pub fn run(flags: &Merge, context: &Context) -> anyhow::Result<Value> {
    merge(&flags.folder, &flags.images.files()?, flags.keep, context)
}
