use inkling_synth::{PhantomSettings, write_phantom};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Synth;
use crate::failure::Usage;

pub fn run(flags: &Synth, context: &Context) -> anyhow::Result<Value> {
    let (height, width) = size(&flags.size)?;
    let mut paths = Vec::new();
    for index in 0..flags.fragments {
        let settings = PhantomSettings {
            height,
            width,
            depth: flags.depth,
            seed: flags.seed + index,
            scale: flags.scale,
            ..PhantomSettings::default()
        };
        let path = flags.out.join((index + 1).to_string());
        let task = context.console.task(&format!("phantom {}", index + 1));
        write_phantom(&path, &settings, context.force, &|done, all| {
            task.at(done, all);
        })?;
        drop(task);
        context.console.say(format!("{}", path.display()));
        paths.push(path);
    }
    Ok(json!({ "fragments": paths }))
}

fn size(text: &str) -> Result<(usize, usize), Usage> {
    let parsed = text.split_once(['x', 'X']).and_then(|(height, width)| {
        let number = |text: &str| text.parse().ok().filter(|&size: &usize| size > 0);
        Some((number(height)?, number(width)?))
    });
    parsed.ok_or_else(|| {
        Usage(format!(
            "--size {text}: expected height x width in pixels, such as 768x640"
        ))
    })
}
