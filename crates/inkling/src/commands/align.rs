//! Fits depth maps.

use std::path::Path;

use inkling_align::{AlignSettings, Alignment, Method, Target, measure_curves};
use inkling_fragment::Fragment;
use inkling_pipeline::{Context, Inputs, Recipe, Usage, fit_maps, maps_folder, open_distinct};
use serde_json::{Value, json};

use crate::cli::Align;

pub fn run(flags: &Align, context: &Context) -> anyhow::Result<Value> {
    let mut inputs = Inputs::of(flags.fragments.iter().chain(&flags.target));
    flags.recipe.files.iter().for_each(|file| inputs.add(file));
    inputs.check_apart(&flags.out)?;
    let settings = settings(flags)?;
    let fragments = open_distinct(&flags.fragments, flags.reading.options(false))?;
    for fragment in &fragments {
        maps_folder(&flags.out.join(fragment.id()), context.force)?;
    }
    let targets = flags.target.iter().map(|path| target(path, flags, context));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let target = Target::mean(&targets, &settings)?;
    let mut figures = serde_json::Map::new();
    for fragment in &fragments {
        let folder = flags.out.join(fragment.id());
        let alignment = fit_maps(fragment, &target, &settings, &folder, context)?;
        figures.insert(fragment.id().to_owned(), summary(&alignment));
    }
    Ok(Value::Object(figures))
}

/// What the flags, the recipe and the defaults come to, in this order.
fn settings(flags: &Align) -> anyhow::Result<AlignSettings> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let mut settings = recipe.align;
    if let Some(name) = &flags.method {
        settings.method = method(name)?;
    }
    settings.flip |= flags.flip;
    settings.memory = flags.memory.unwrap_or(settings.memory);
    Ok(settings)
}

fn method(name: &str) -> Result<Method, Usage> {
    match name {
        "robust" => Ok(Method::Robust),
        "reference" => Ok(Method::Reference),
        other => Err(Usage(format!(
            "--method {other}: expected robust or reference"
        ))),
    }
}

fn target(path: &Path, flags: &Align, context: &Context) -> anyhow::Result<Target> {
    if !path.is_dir() {
        return Ok(Target::read(path)?);
    }
    let fragment = Fragment::open_with(path, flags.reading.options(false))?;
    let task = context.task("target");
    let curves = measure_curves(&fragment, &|done, all| task.at(done, all))?;
    Ok(Target::new(fragment.id(), curves.all))
}

fn summary(alignment: &Alignment) -> Value {
    json!({
        "scale": alignment.scale,
        "shift": alignment.shift,
        "misfit_before": alignment.misfit[0],
        "misfit_after": alignment.misfit[1],
        "patches": alignment.patches.len(),
        "seconds": alignment.seconds,
        "warnings": alignment.warnings,
    })
}
