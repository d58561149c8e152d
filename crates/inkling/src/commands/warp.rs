use std::ops::Range;
use std::sync::Arc;

use inkling_align::write_warped;
use inkling_fragment::Fragment;
use inkling_pipeline::{Context, Inputs, Usage, maps_of};
use serde_json::{Value, json};

use crate::cli::Warp;

pub fn run(flags: &Warp, context: &Context) -> anyhow::Result<Value> {
    Inputs::of([&flags.fragment, &flags.maps]).check_apart(&flags.out)?;
    let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(false))?;
    let maps = maps_of(&flags.maps, &fragment)?;
    let z = match &flags.z {
        Some(text) => layers(text, fragment.depth())?,
        None => 0..fragment.depth(),
    };
    let options = context.write_options(flags.format.zarr());
    let task = context.task("warp");
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
    context.say(format!("{}: {count} layers", warped.path().display()));
    Ok(json!({ "fragment": warped.path(), "layers": count, "seconds": seconds }))
}

/// Most layers of a target, for scans of a quarter as many or fewer.
const MOST_LAYERS: usize = 1_024;

/// Layers of the target, of which a scan of `depth` may fill more than it has.
fn layers(text: &str, depth: usize) -> Result<Range<usize>, Usage> {
    let most = MOST_LAYERS.max(depth.saturating_mul(4));
    let parsed = text.split_once("..").and_then(|(first, end)| {
        let range = first.trim().parse().ok()?..end.trim().parse().ok()?;
        (range.start < range.end && range.end <= most).then_some(range)
    });
    parsed.ok_or_else(|| {
        Usage(format!(
            "--z {text}: expected FIRST..END, such as 20..44, with END up to {most}"
        ))
    })
}
