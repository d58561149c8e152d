use inkling_train::{Epoch, Validation};
use serde_json::{Value, json};

use super::fold::Going;
use super::folds::{choose, folds, open_fragments};
use super::memory::PROGRAM;
use super::{Context, fold};
use crate::allocator::peak;
use crate::cli::Train;
use crate::recipe::Recipe;

pub fn run(flags: &Train, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let fragments = open_fragments(&recipe)?;
    let fold = choose(flags.fold.as_deref(), &folds(&recipe, &fragments)?)?;
    let going = Going {
        resume: flags.resume,
        allow_changed_data: flags.allow_changed_data,
        memory: flags.memory,
    };
    let epochs = fold::train(&recipe, &fragments, &fold, &flags.out, going, context)?;
    if !context.ranks.is_first() {
        return Ok(Value::Null);
    }
    let best = best_epoch(&epochs);
    context.console.say(format!("{}", flags.out.display()));
    Ok(json!({
        "run": flags.out,
        "held_out": fold.name,
        "epochs": epochs.len(),
        "best_epoch": best.map(|(epoch, _)| epoch),
        "f05": best.map(|(_, validation)| validation.f05),
        "memory_bytes": PROGRAM + peak(),
        "validation": best.map(|(_, validation)| validation),
    }))
}

/// The epoch with the highest F0.5 at a threshold of 0.5, whose weights are kept, and its scores.
pub fn best_epoch(epochs: &[Epoch]) -> Option<(u32, &Validation)> {
    let scores = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, epoch.validation.as_ref()?)));
    scores.reduce(|best, next| if next.1.f05 > best.1.f05 { next } else { best })
}
