use inkling_pipeline::Recipe;
use inkling_train::{Epoch, Metric, Validation};
use serde_json::{Value, json};

use super::apart::Inputs;
use super::fold::ResumeOptions;
use super::folds::{choose, folds, open_fragments};
use super::memory::PROGRAM;
use super::{Context, fold};
use crate::allocator::peak;
use crate::cli::Train;

pub fn run(flags: &Train, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(
        &flags.recipe.files,
        &flags.recipe.with(flags.layers, flags.flip),
    )?;
    Inputs::of_recipe(&recipe, &flags.recipe.files).check_apart(&flags.out)?;
    let fragments = open_fragments(&recipe)?;
    let fold = choose(flags.fold.as_deref(), &folds(&recipe, &fragments)?)?;
    let resuming = ResumeOptions {
        resume: flags.resume,
        allow_changed_data: flags.allow_changed_data,
        memory: flags.memory,
    };
    let epochs = fold::train(&recipe, &fragments, &fold, &flags.out, resuming, context)?;
    if !context.ranks.is_first() {
        return Ok(Value::Null);
    }
    let metric = recipe.train.best[0];
    let best = best_epoch(&epochs, metric);
    context.console.say(format!("{}", flags.out.display()));
    Ok(json!({
        "run": flags.out,
        "held_out": fold.name,
        "epochs": epochs.len(),
        "best_by": metric.name(),
        "best_epoch": best.map(|(epoch, _)| epoch),
        "f05": best.map(|(_, validation)| validation.f05),
        "memory_bytes": PROGRAM + peak(),
        "validation": best.map(|(_, validation)| validation),
    }))
}

/// The epoch whose weights are kept as the best ones, by the first figure of `train.best`, and its
/// scores; of equal ones the earlier.
pub fn best_epoch(epochs: &[Epoch], metric: Metric) -> Option<(u32, &Validation)> {
    let scores = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, epoch.validation.as_ref()?)));
    scores
        .filter(|(_, found)| !metric.of(found).is_nan())
        .reduce(|best, next| match metric.of(next.1) > metric.of(best.1) {
            true => next,
            false => best,
        })
}
