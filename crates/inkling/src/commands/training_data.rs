//! What `train` and `cv` train on.

use std::path::Path;

use inkling_fragment::Fragment;
use inkling_pipeline::{Inputs, Recipe, open_fragments};

use crate::cli::{Recipes, TrainingFlags};

/// The recipe with what the flags override, and its fragments.
///
/// # Errors
/// For recipes and fragments that cannot be read, and an `out` that is one of them.
pub fn open(
    recipes: &Recipes,
    flags: &TrainingFlags,
    out: &Path,
) -> anyhow::Result<(Recipe, Vec<Fragment>)> {
    let recipe = Recipe::read(&recipes.files, &recipes.with(flags))?;
    Inputs::of_recipe(&recipe, &recipes.files).check_apart(out)?;
    let fragments = open_fragments(&recipe)?;
    Ok((recipe, fragments))
}
