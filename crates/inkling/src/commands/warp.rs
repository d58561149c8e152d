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
    let z = match flags.z {
        Some(z) => layers(z, fragment.depth())?,
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
fn layers([first, end]: [usize; 2], depth: usize) -> Result<Range<usize>, Usage> {
    let most = MOST_LAYERS.max(depth.saturating_mul(4));
    match end <= most {
        true => Ok(first..end),
        false => Err(Usage(format!(
            "--z {first}..{end}: expected END up to {most}. hint: a scan fills about as many layers of \
             the target as it has"
        ))),
    }
}
