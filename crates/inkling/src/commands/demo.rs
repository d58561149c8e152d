//! The whole way on phantoms.

use inkling_pipeline::{Context, run_demo};
use serde_json::Value;

use crate::cli::Demo;

pub fn run(flags: &Demo, context: &Context) -> anyhow::Result<Value> {
    run_demo(&flags.out, context)
}
