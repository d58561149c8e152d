//! Trains one fold.

use inkling_pipeline::{
    Context, Inputs, PROGRAM, Recipe, ResumeOptions, best_epoch, choose_fold, folds,
    open_fragments, peak_resident, train,
};
use serde_json::{Value, json};

use crate::cli::Train;

pub fn run(flags: &Train, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(
        &flags.recipe.files,
        &flags.recipe.with(flags.layers, flags.flip),
    )?;
    Inputs::of_recipe(&recipe, &flags.recipe.files).check_apart(&flags.out)?;
    let fragments = open_fragments(&recipe)?;
    let fold = choose_fold(flags.fold.as_deref(), &folds(&recipe, &fragments)?)?;
    let options = ResumeOptions {
        resume: flags.resume,
        allow_changed_data: flags.allow_changed_data,
        memory: flags.memory,
    };
    let epochs = train(&recipe, &fragments, &fold, &flags.out, options, context)?;
    if !context.ranks.is_first() {
        return Ok(Value::Null);
    }
    let metric = recipe.train.best[0];
    let best = best_epoch(&epochs, metric);
    context.say(format!("{}", flags.out.display()));
    Ok(json!({
        "run": flags.out,
        "held_out": fold.name,
        "epochs": epochs.len(),
        "best_by": metric.name(),
        "best_epoch": best.map(|(epoch, _)| epoch),
        "f05": best.map(|(_, validation)| validation.f05),
        "memory_bytes": PROGRAM + context.memory.peak(),
        "resident_bytes": peak_resident(),
        "validation": best.map(|(_, validation)| validation),
    }))
}
