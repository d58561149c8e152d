//! Predicts the ink of fragments, whole or a shard of each, resuming where the last call stopped.

use std::path::Path;
use std::time::Duration;

use indicatif::HumanDuration;
use inkling_pipeline::{
    Context, Ensemble, Inputs, Maps, PredictionJob, PredictionOptions, Recipe, Usage,
    check_distinct, check_precision, check_records, is_of_model, open_distinct, production_rules,
    write_records,
};
use inkling_predict::{AverageSpace, BlendWindow, InferenceRules, PredictSettings, Shard, Tta};
use serde_json::{Value, json};

use crate::cli::{Predict, Rules};

pub fn run(flags: &Predict, context: &Context) -> anyhow::Result<Value> {
    let options = options(flags)?;
    inputs(flags, &options.maps).check_apart(&flags.out)?;
    // Wrong flags and recipes are named before anything is loaded.
    overridden(PredictSettings::default(), flags)?;
    let orders = orders(flags);
    options.maps.check_order(orders.contains(&true))?;
    Recipe::read(&flags.recipe.files, &predict_overrides(flags))?;
    let shard = flags.part.as_deref().map(str::parse::<Shard>).transpose()?;
    let overwrite = context.force || flags.resume;
    if shard.is_none() && !flags.plan_only {
        check_records(&flags.out, overwrite)?;
    }
    // Maps are fitted to the layers in the files' order.
    let own_order = flags.maps.is_some();
    let mut fragments = Vec::new();
    for &reverse in orders {
        let opened = open_distinct(
            &flags.fragments,
            flags.reading.options(reverse && !own_order),
        )?;
        for fragment in opened {
            let id = format!("{}-reverse", fragment.id());
            fragments.push(match reverse && orders.len() > 1 {
                true => fragment.called(&id)?,
                false => fragment,
            });
        }
    }
    check_distinct(
        fragments
            .iter()
            .map(|fragment| (fragment.id().to_owned(), fragment.path())),
    )?;
    let device = context.open_device()?;
    let overrides = &flags.recipe.overrides;
    let mut ensemble = Ensemble::load(&flags.models, &flags.weights, overrides, context)?;
    if let Some(count) = flags.z_pool {
        ensemble.pool_layers(count.into());
    }
    if let Some(layers) = flags.layers {
        ensemble.read_layers(layers)?;
    }
    let settings = settings(flags, &ensemble)?;
    check_precision(settings.precision, &device)?;
    options.maps.warn_of_unaligned(&ensemble);
    let (mut merged, mut figures) = (Vec::new(), Vec::new());
    for fragment in fragments {
        ensemble.centre_layers(fragment.depth());
        let job = PredictionJob::prepare(fragment, settings.clone(), &options, &ensemble, context)?;
        if flags.plan_only {
            let estimate = job.estimate()?;
            say_estimate(&estimate, context);
            figures.push(estimate);
            continue;
        }
        match shard {
            Some(shard) => figures.push(job.make(&job.store()?, shard)?),
            None => merged.push(job.whole()?),
        }
    }
    if flags.plan_only || shard.is_some() {
        return Ok(json!({ "fragments": figures }));
    }
    write_records(&flags.out, merged, overwrite)
}

/// What is predicted where, as the flags say.
fn options(flags: &Predict) -> anyhow::Result<PredictionOptions> {
    Ok(PredictionOptions {
        out: flags.out.clone(),
        maps: Maps::of_flags(flags.maps.as_deref(), orders(flags) == [true]),
        region: flags.region.clone(),
        batch: flags.batch.parse()?,
        memory: flags.memory,
        resume: flags.resume,
        uncertainty: flags.uncertainty,
        per_model: flags.per_model,
        images: flags.images.files()?,
        pixel_size: flags.pixel_size,
    })
}

fn say_estimate(estimate: &Value, context: &Context) {
    let seconds = estimate["seconds"].as_f64().unwrap_or_default();
    context.say(format!(
        "{}: {} tiles of {} px in {} batches, about {}, {} MiB of memory",
        estimate["id"].as_str().unwrap_or_default(),
        estimate["tiles"],
        estimate["plan"]["image_size"],
        estimate["batches"],
        HumanDuration(Duration::from_secs_f64(seconds)),
        estimate["memory_bytes"].as_u64().unwrap_or_default() >> 20,
    ));
}

/// What is read, and must not be written to.
fn inputs(flags: &Predict, maps: &Maps) -> Inputs {
    let paths = flags.fragments.iter().chain(&flags.models);
    let mut inputs = Inputs::of(paths.chain(&flags.recipe.files)).and(maps.folder());
    if Path::new(&flags.images.threshold).is_file() {
        inputs.add(Path::new(&flags.images.threshold));
    }
    if let Some(calibration) = &flags.images.calibration {
        inputs.add(calibration);
    }
    inputs
}

/// What the flags, the recipe, the model's own recipe and the defaults come to, in this order; the
/// batch is found later.
fn settings(flags: &Predict, ensemble: &Ensemble) -> anyhow::Result<PredictSettings> {
    let own = &ensemble.metadata().predict;
    // Those of a published checkpoint's [model] are in its settings.
    let overrides = match ensemble.is_published() {
        true => predict_overrides(flags),
        false => flags.recipe.overrides.clone(),
    };
    let recipe = Recipe::read_over(own, &flags.recipe.files, &overrides)?;
    let mut settings = overridden(recipe.predict, flags)?;
    if let Some(rules) = flags.rules {
        settings.rules = rules_of(rules, ensemble)?;
    }
    Ok(settings)
}

/// The overrides that are not of `[model]`.
fn predict_overrides(flags: &Predict) -> Vec<String> {
    let overrides = flags.recipe.overrides.iter();
    overrides
        .filter(|entry| !is_of_model(entry))
        .cloned()
        .collect()
}

/// `settings` with what the flags say.
fn overridden(mut settings: PredictSettings, flags: &Predict) -> anyhow::Result<PredictSettings> {
    if let Some(name) = &flags.tta {
        settings.tta = tta(name)?;
    }
    if let Some(name) = &flags.tta_mean {
        settings.average = average(name)?;
    }
    if let Some(name) = &flags.blend {
        settings.blend = Some(blend(name)?);
    }
    settings.rotations = flags.tta_rotate.unwrap_or(settings.rotations);
    settings.step = flags.step.unwrap_or(settings.step);
    settings.precision = flags.precision.unwrap_or(settings.precision);
    settings.check()?;
    Ok(settings)
}

/// The rules that a flag names, for the networks of `ensemble`.
pub fn rules_of(rules: Rules, ensemble: &Ensemble) -> Result<InferenceRules, Usage> {
    match rules {
        Rules::Reference => Ok(InferenceRules::Reference),
        Rules::Production => production_rules(ensemble.approach()),
    }
}

pub fn tta(name: &str) -> Result<Tta, Usage> {
    match name {
        "none" => Ok(Tta::None),
        "rot90" => Ok(Tta::Rot90),
        "mirror" => Ok(Tta::Mirror),
        "full" => Ok(Tta::Full),
        "full-depth" => Ok(Tta::FullDepth),
        other => Err(Usage(format!(
            "--tta {other}: expected none, rot90, mirror, full or full-depth"
        ))),
    }
}

fn blend(name: &str) -> Result<BlendWindow, Usage> {
    let found = BlendWindow::ALL
        .into_iter()
        .find(|&(known, _)| known == name);
    found.map(|(_, window)| window).ok_or_else(|| {
        Usage(format!(
            "--blend {name}: expected spline, hann, gaussian or constant"
        ))
    })
}

/// Whether the layers are reversed, for each time that a fragment is predicted.
fn orders(flags: &Predict) -> &'static [bool] {
    match flags.direction {
        None if flags.flip => &[true],
        None => &[false],
        Some(direction) => direction.orders(),
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
