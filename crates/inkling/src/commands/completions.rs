//! Completions of shells, from the command line's own definition.

use clap::CommandFactory;
use inkling_pipeline::Context;
use serde_json::{Value, json};

use crate::cli::{Cli, Completions};

pub fn run(flags: &Completions, context: &Context) -> anyhow::Result<Value> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "inkling", &mut script);
    let script = String::from_utf8(script)?;
    context.say(script.trim_end());
    Ok(json!({ "shell": flags.shell.to_string(), "script": script }))
}
