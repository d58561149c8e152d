//! Writes the report of a run or of predictions.

use inkling_pipeline::{Context, write_report};
use serde_json::{Value, json};

use crate::cli::Report;

pub fn run(flags: &Report, context: &Context) -> anyhow::Result<Value> {
    let path = write_report(&flags.folder)?;
    context.say(format!("{}", path.display()));
    Ok(json!({ "report": path }))
}
