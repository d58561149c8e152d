//! Paints the ink of fragments, whole or in parts, from where the last call stopped.

use anyhow::Context as _;
use inkling_predict::{Average, Part, PredictSettings, Tta};
use serde_json::{Value, json};

use super::Context;
use super::ensemble::Ensemble;
use super::job::Job;
use super::join::{check_free, sum_up};
use super::precision::check;
use super::threshold::threshold;
use crate::cli::Predict;
use crate::failure::Usage;

pub fn run(flags: &Predict, context: &Context) -> anyhow::Result<Value> {
    threshold(&flags.images.threshold)?;
    let settings = settings(flags)?;
    let part = flags.part.as_deref().map(str::parse::<Part>).transpose()?;
    let overwrite = context.force || flags.resume;
    if part.is_none() && !flags.plan_only {
        check_free(&flags.out, overwrite)?;
    }
    let device = context.open_device()?;
    check(flags.precision, &device)?;
    let ensemble = Ensemble::load(&flags.models, &flags.weights, &device)?;
    if ensemble.input().aligned && flags.maps.is_none() {
        tracing::warn!(
            "the model was trained on aligned fragments and these are read as they are; give \
             --maps auto to align them first"
        );
    }
    std::fs::create_dir_all(&flags.out).with_context(|| flags.out.display().to_string())?;
    let (mut joined, mut figures) = (Vec::new(), Vec::new());
    for path in &flags.fragments {
        let job = Job::prepare(path, settings.clone(), flags, &ensemble, context)?;
        if flags.plan_only {
            figures.push(job.foretell()?);
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

/// What the flags ask for; the batch is found later.
fn settings(flags: &Predict) -> anyhow::Result<PredictSettings> {
    let settings = PredictSettings {
        tta: tta(&flags.tta)?,
        rotations: flags.tta_rotate,
        step: flags.step,
        average: average(&flags.tta_mean)?,
        precision: flags.precision,
        ..PredictSettings::default()
    };
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

fn average(name: &str) -> Result<Average, Usage> {
    match name {
        "probabilities" => Ok(Average::Probabilities),
        "logits" => Ok(Average::Logits),
        other => Err(Usage(format!(
            "--tta-mean {other}: expected probabilities or logits"
        ))),
    }
}
