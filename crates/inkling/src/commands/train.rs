//! Trains one fold.

use inkling_pipeline::{Context, PROGRAM, best_epoch, choose_fold, folds, peak_resident, train};
use serde_json::{Value, json};

use super::training_data;
use crate::cli::Train;

pub fn run(flags: &Train, context: &Context) -> anyhow::Result<Value> {
    let (recipe, fragments) = training_data::open(&flags.recipe, &flags.training, &flags.out)?;
    let fold = choose_fold(flags.fold.as_deref(), &folds(&recipe, &fragments)?)?;
    let options = flags.training.options();
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
