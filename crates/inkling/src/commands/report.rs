//! Writes the report of a run or of predictions.

use inkling_pipeline::{Context, write_report, write_review};
use serde_json::{Value, json};

use crate::cli::Report;

pub fn run(flags: &Report, context: &Context) -> anyhow::Result<Value> {
    let path = match flags.review {
        true => write_review(&flags.folder)?,
        false => write_report(&flags.folder)?,
    };
    context.say(format!("{}", path.display()));
    Ok(json!({ "report": path }))
}
