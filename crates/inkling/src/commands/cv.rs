//! Cross-validation.

use inkling_pipeline::{Context, choose_fold, cross_validate, folds};
use serde_json::Value;

use super::training_data;
use crate::cli::Cv;

pub fn run(flags: &Cv, context: &Context) -> anyhow::Result<Value> {
    let (recipe, fragments) = training_data::open(&flags.recipe, &flags.training, &flags.out)?;
    let all = folds(&recipe, &fragments)?;
    let chosen = match &flags.fold {
        Some(_) => vec![choose_fold(flags.fold.as_deref(), &all)?],
        None => all.clone(),
    };
    let options = flags.training.options();
    cross_validate(
        &recipe, &fragments, &all, &chosen, &flags.out, options, context,
    )
}
