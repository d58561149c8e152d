use inkling_pipeline::{Context, Usage};
use inkling_synth::{PhantomSettings, write_phantom};
use serde_json::{Value, json};

use crate::cli::Synth;

pub fn run(flags: &Synth, context: &Context) -> anyhow::Result<Value> {
    let (height, width) = size(&flags.size)?;
    let seeds = flags.seed.checked_add(flags.fragments - 1);
    let seeds = flags.seed..=seeds.ok_or_else(|| {
        let most = u64::MAX - (flags.fragments - 1);
        Usage(format!(
            "--seed {}: expected at most {most}, since each of {} fragments takes the next seed",
            flags.seed, flags.fragments
        ))
    })?;
    let mut paths = Vec::new();
    for (index, seed) in seeds.enumerate() {
        let settings = PhantomSettings {
            height,
            width,
            depth: usize::from(flags.depth),
            seed,
            scale: flags.scale,
            contrast: flags.contrast,
            ..PhantomSettings::default()
        };
        let path = flags.out.join((index + 1).to_string());
        let task = context.task(&format!("phantom {}", index + 1));
        write_phantom(&path, &settings, context.force, &|done, all| {
            task.at(done, all);
        })?;
        drop(task);
        context.say(format!("{}", path.display()));
        paths.push(path);
    }
    Ok(json!({ "fragments": paths }))
}

/// Most pixels of a layer: a sheet of 16,384 px a side.
const MOST_PIXELS: usize = 1 << 28;

fn size(text: &str) -> Result<(usize, usize), Usage> {
    let parsed = text.split_once(['x', 'X']).and_then(|(height, width)| {
        let number = |text: &str| text.parse().ok().filter(|&size: &usize| size > 0);
        let (height, width): (usize, usize) = (number(height)?, number(width)?);
        (height.checked_mul(width)? <= MOST_PIXELS).then_some((height, width))
    });
    parsed.ok_or_else(|| {
        Usage(format!(
            "--size {text}: expected height x width in pixels, such as 768x640, of at most \
             {MOST_PIXELS} pixels together, since a phantom's relief and ink are held in memory"
        ))
    })
}
