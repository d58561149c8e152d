use inkling_fragment::Fragment;
use inkling_train::{Epoch, Validation};
use serde_json::{Value, json};

use super::{Context, fold};
use crate::cli::Train;
use crate::failure::Usage;
use crate::recipe::Recipe;

pub fn run(flags: &Train, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let fragments = open_fragments(&recipe)?;
    let held_out = held_out(flags.fold.as_deref(), &fragments)?;
    let epochs = fold::train(
        &recipe,
        &fragments,
        held_out,
        &flags.out,
        flags.resume,
        context,
    )?;
    let scores = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, epoch.validation.as_ref()?)));
    let best = scores.max_by(|a, b| a.1.f05.total_cmp(&b.1.f05));
    context.console.say(format!("{}", flags.out.display()));
    Ok(json!({
        "run": flags.out,
        "held_out": fragments[held_out].id(),
        "epochs": epochs.len(),
        "best_epoch": best.map(|(epoch, _)| epoch),
        "f05": best.map(|(_, validation)| validation.f05),
        "validation": best.map(|(_, validation)| validation),
    }))
}

/// The recipe's fragments; folds need two.
pub fn open_fragments(recipe: &Recipe) -> anyhow::Result<Vec<Fragment>> {
    let paths = &recipe.data.fragments;
    let fragments = paths
        .iter()
        .map(Fragment::open)
        .collect::<Result<Vec<_>, _>>()?;
    if fragments.len() < 2 {
        return Err(inkling_train::Error::NoFragments.into());
    }
    Ok(fragments)
}

/// The epoch with the highest F0.5 at a threshold of 0.5, whose weights are kept, and its scores.
pub fn best_epoch(epochs: &[Epoch]) -> Option<(u32, &Validation)> {
    let scores = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, epoch.validation.as_ref()?)));
    scores.reduce(|best, next| if next.1.f05 > best.1.f05 { next } else { best })
}

fn held_out(fold: Option<&str>, fragments: &[Fragment]) -> anyhow::Result<usize> {
    let Some(fold) = fold else {
        return Ok(fragments.len() - 1);
    };
    let named = fragments.iter().position(|fragment| fragment.id() == fold);
    let numbered = || {
        fold.parse()
            .ok()
            .filter(|&place: &usize| place < fragments.len())
    };
    named.or_else(numbered).ok_or_else(|| {
        let known: Vec<&str> = fragments.iter().map(Fragment::id).collect();
        let places = fragments.len() - 1;
        Usage(format!(
            "--fold {fold}: expected a place from 0 to {places}, or one of {}",
            known.join(", ")
        ))
        .into()
    })
}
