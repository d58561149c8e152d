//! Paints the ink of fragments, whole or in parts, from where the last call stopped.

use inkling_pipeline::{Recipe, Usage};
use std::path::Path;

use inkling_predict::{AverageSpace, PredictSettings, Shard, Tta};
use serde_json::{Value, json};

use super::Context;
use super::apart::Inputs;
use super::ensemble::Ensemble;
use super::folds::open_distinct;
use super::job::Job;
use super::join::{check_free, sum_up};
use super::precision::check;
use super::threshold::threshold;
use crate::cli::Predict;

pub fn run(flags: &Predict, context: &Context) -> anyhow::Result<Value> {
    threshold(&flags.images.threshold)?;
    inputs(flags).check_apart(&flags.out)?;
    // Wrong flags and recipes are named before anything is loaded.
    overridden(PredictSettings::default(), flags)?;
    let by_maps = flags.maps.as_deref().filter(|maps| *maps != "auto");
    if let (true, Some(maps)) = (flags.flip, by_maps) {
        return Err(Usage(format!(
            "--flip: found --maps {maps}, which say themselves whether they were fitted in reverse \
             order; expected one of the two. hint: leave --flip out, or make the maps with `inkling \
             align --flip`"
        ))
        .into());
    }
    Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let part = flags.part.as_deref().map(str::parse::<Shard>).transpose()?;
    let overwrite = context.force || flags.resume;
    if part.is_none() && !flags.plan_only {
        check_free(&flags.out, overwrite)?;
    }
    // Maps are fitted to the layers in the files' order.
    let flip = flags.flip && flags.maps.is_none();
    let fragments = open_distinct(&flags.fragments, flags.reading.options(flip))?;
    let device = context.open_device()?;
    let mut ensemble = Ensemble::load(&flags.models, &flags.weights, &device)?;
    if let Some(layers) = flags.layers {
        ensemble.read_layers(layers)?;
    }
    let settings = settings(flags, &ensemble)?;
    check(settings.precision, &device)?;
    if ensemble.input().aligned && flags.maps.is_none() {
        tracing::warn!(
            "the model was trained on aligned fragments and these are read as they are; give \
             --maps auto to align them first"
        );
    }
    let (mut joined, mut figures) = (Vec::new(), Vec::new());
    for fragment in fragments {
        let job = Job::prepare(fragment, settings.clone(), flags, &ensemble, context)?;
        if flags.plan_only {
            figures.push(job.estimate()?);
            continue;
        }
        match part {
            Some(part) => figures.push(job.make(&job.store()?, part)?),
            None => joined.push(job.whole()?),
        }
    }
    if flags.plan_only || part.is_some() {
        return Ok(json!({ "fragments": figures }));
    }
    sum_up(&flags.out, joined, overwrite)
}

/// What is read, and must not be written to.
fn inputs(flags: &Predict) -> Inputs {
    let maps = flags.maps.as_ref().filter(|maps| *maps != "auto");
    let paths = flags.fragments.iter().chain(&flags.models);
    let mut inputs = Inputs::of(paths.chain(&flags.recipe.files)).and(maps);
    if Path::new(&flags.images.threshold).is_file() {
        inputs.add(Path::new(&flags.images.threshold));
    }
    inputs
}

/// What the flags, the recipe, the model's own recipe and the defaults come to, in this order; the
/// batch is found later.
fn settings(flags: &Predict, ensemble: &Ensemble) -> anyhow::Result<PredictSettings> {
    let own = &ensemble.own_settings().predict;
    let recipe = Recipe::read_over(own, &flags.recipe.files, &flags.recipe.overrides)?;
    overridden(recipe.predict, flags)
}

/// `settings` with what the flags say.
fn overridden(mut settings: PredictSettings, flags: &Predict) -> anyhow::Result<PredictSettings> {
    if let Some(name) = &flags.tta {
        settings.tta = tta(name)?;
    }
    if let Some(name) = &flags.tta_mean {
        settings.average = average(name)?;
    }
    settings.rotations = flags.tta_rotate.unwrap_or(settings.rotations);
    settings.step = flags.step.unwrap_or(settings.step);
    settings.precision = flags.precision.unwrap_or(settings.precision);
    settings.check()?;
    Ok(settings)
}

fn tta(name: &str) -> Result<Tta, Usage> {
    match name {
        "none" => Ok(Tta::None),
        "rot90" => Ok(Tta::Rot90),
        "full" => Ok(Tta::Full),
        other => Err(Usage(format!(
            "--tta {other}: expected none, rot90 or full"
        ))),
    }
}

fn average(name: &str) -> Result<AverageSpace, Usage> {
    match name {
        "probabilities" => Ok(AverageSpace::Probabilities),
        "logits" => Ok(AverageSpace::Logits),
        other => Err(Usage(format!(
            "--tta-mean {other}: expected probabilities or logits"
        ))),
    }
}
