//! Cross-validation.

use inkling_pipeline::{
    Context, Inputs, Recipe, ResumeOptions, choose_fold, cross_validate, folds, open_fragments,
};
use serde_json::Value;

use crate::cli::Cv;

pub fn run(flags: &Cv, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(
        &flags.recipe.files,
        &flags.recipe.with(flags.layers, flags.flip),
    )?;
    Inputs::of_recipe(&recipe, &flags.recipe.files).check_apart(&flags.out)?;
    let fragments = open_fragments(&recipe)?;
    let all = folds(&recipe, &fragments)?;
    let chosen = match &flags.fold {
        Some(_) => vec![choose_fold(flags.fold.as_deref(), &all)?],
        None => all.clone(),
    };
    let options = ResumeOptions {
        resume: flags.resume,
        allow_changed_data: flags.allow_changed_data,
        memory: flags.memory,
    };
    cross_validate(
        &recipe, &fragments, &all, &chosen, &flags.out, options, context,
    )
}
