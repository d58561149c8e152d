use inkling_fragment::{Fragment, Part, write_part};
use inkling_pipeline::{Context, Inputs};
use serde_json::{Value, json};

use crate::cli::Downscale;

pub fn run(flags: &Downscale, context: &Context) -> anyhow::Result<Value> {
    Inputs::of([&flags.fragment]).check_apart(&flags.out)?;
    let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(false))?;
    let part = Part::downscaled(&fragment, usize::from(flags.factor));
    let options = context.write_options(flags.format.zarr());
    let task = context.task("downscale");
    let progress = |done, all| task.at(done, all);
    let small = write_part(&fragment, &part, &flags.out, &options, &progress)?;
    drop(task);
    let (height, width) = (small.height(), small.width());
    context.say(format!("{}: {height} × {width} px", flags.out.display()));
    Ok(json!({ "fragment": flags.out, "height": height, "width": width }))
}
