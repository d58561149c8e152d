use inkling_fragment::{read_gray, write_bytes};
use inkling_predict::{run_lengths, submission};
use serde_json::{Value, json};

use super::Context;
use super::threshold::threshold;
use crate::cli::Submit;

pub fn run(flags: &Submit, context: &Context) -> anyhow::Result<Value> {
    let cut = threshold(&flags.threshold)?;
    let mut rows = Vec::new();
    for path in &flags.images {
        let image = read_gray(path)?;
        let id = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into());
        rows.push((id, run_lengths(&image, cut)));
    }
    write_bytes(&flags.out, submission(&rows), context.force)?;
    context.console.say(format!("{}", flags.out.display()));
    Ok(json!({ "submission": flags.out, "fragments": rows.len() }))
}
