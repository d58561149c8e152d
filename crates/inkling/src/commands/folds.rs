//! Draws folds and checks that what is trained on and what is held out are apart.

use inkling_fragment::{ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{Context, FoldAudit, Inputs, Recipe, folds, open_fragments};
use serde_json::Value;

use crate::cli::Folds;

pub fn run(flags: &Folds, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    Inputs::of_recipe(&recipe, &flags.recipe.files).check_apart(&flags.out)?;
    let results = ResultFolder::shared(&flags.out, ResultKind::Audit);
    for name in ["folds.json", "folds.html"] {
        results.check(name, context.force)?;
    }
    let fragments = open_fragments(&recipe)?;
    let all = folds(&recipe, &fragments)?;
    let audit = FoldAudit::of(&recipe, &fragments, &all)?;
    for fold in &audit.folds {
        context.say(format!("fold {}: {}", fold.name, fold.sentence()));
    }
    let figures = serde_json::to_value(&audit)?;
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(results.claim("folds.json", context.force)?, text, true)?;
    let page = results.claim("folds.html", context.force)?;
    write_bytes(&page, audit.page().render(), true)?;
    context.say(format!("{}", page.display()));
    Ok(figures)
}
