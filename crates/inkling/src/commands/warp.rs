use std::ops::Range;
use std::sync::Arc;

use inkling_align::write_warped;
use inkling_fragment::{Fragment, MapFiles};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Warp;
use crate::failure::Usage;

pub fn run(flags: &Warp, context: &Context) -> anyhow::Result<Value> {
    let fragment = Fragment::open(&flags.fragment)?;
    let maps = MapFiles::open(&flags.maps)?;
    let z = match &flags.z {
        Some(text) => layers(text)?,
        None => 0..fragment.depth(),
    };
    let options = context.write_options(flags.format);
    let task = context.console.task("warp");
    let progress = |done, all| task.at(done, all);
    let count = z.len();
    let (warped, seconds) = write_warped(
        &fragment,
        Arc::new(maps),
        z,
        &flags.out,
        options,
        flags.memory,
        &progress,
    )?;
    drop(task);
    context
        .console
        .say(format!("{}: {count} layers", warped.path().display()));
    Ok(json!({ "fragment": warped.path(), "layers": count, "seconds": seconds }))
}

fn layers(text: &str) -> Result<Range<usize>, Usage> {
    let parsed = text.split_once("..").and_then(|(first, end)| {
        let range = first.trim().parse().ok()?..end.trim().parse().ok()?;
        (range.start < range.end).then_some(range)
    });
    parsed.ok_or_else(|| Usage(format!("--z {text}: expected FIRST..END, such as 20..44")))
}
