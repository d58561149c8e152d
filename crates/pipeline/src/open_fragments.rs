//! Opens the fragments that a command or a recipe names.

use std::path::PathBuf;

use inkling_fragment::{Fragment, ReadOptions};

use crate::inputs::check_distinct;
use crate::{DataSettings, Flip, Recipe, Usage, ValidationBy};

/// Opens `paths`, each a fragment or `NAME=PATH`, whose names must differ.
///
/// # Errors
/// [`Usage`] for two of one name; those of opening.
pub fn open_distinct(paths: &[PathBuf], options: ReadOptions) -> anyhow::Result<Vec<Fragment>> {
    let fragments = paths.iter().map(|path| Fragment::open_named(path, options));
    let fragments = fragments.collect::<Result<Vec<_>, _>>()?;
    let named = fragments.iter().map(|f| (f.id().to_owned(), f.path()));
    check_distinct(named)?;
    Ok(fragments)
}

/// The fragments of `data.fragments`, those of `data.flip` with their layers in reverse order.
fn open_as_recipe_says(data: &DataSettings) -> anyhow::Result<Vec<Fragment>> {
    let mut fragments = open_distinct(&data.fragments, data.options())?;
    if let Flip::Named(names) = &data.flip {
        for name in names {
            let place = fragments.iter().position(|fragment| fragment.id() == name);
            let place = place.ok_or_else(|| {
                Usage(format!(
                    "data.flip: found {name}; expected names among {}. hint: name fragments of \
                     data.fragments",
                    ids(&fragments)
                ))
            })?;
            fragments[place] = fragments[place].clone().flipped();
        }
    }
    Ok(fragments)
}

/// The recipe's fragments; folds need two, or one with a validation mask.
pub fn open_fragments(recipe: &Recipe) -> anyhow::Result<Vec<Fragment>> {
    let fragments = open_as_recipe_says(&recipe.data)?;
    match fragments.len() {
        0 => Err(inkling_train::Error::NoFragments.into()),
        1 if !validates_by_masks(recipe, &fragments)? => Err(Usage(format!(
            "data.fragments: found one fragment, {}, without a validation mask; expected two \
             fragments, or one of which a part is kept for validation. hint: name another labelled \
             fragment, or draw {}_validation_mask.png, white where validation looks",
            fragments[0].path().display(),
            fragments[0].id(),
        ))
        .into()),
        _ => Ok(fragments),
    }
}

/// Whether validation masks are held out, and not whole fragments.
pub fn validates_by_masks(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<bool> {
    Ok(match recipe.data.validation {
        Some(ValidationBy::Masks) => true,
        Some(ValidationBy::Fragments) => false,
        None => fragments.len() == 1 && fragments[0].validation_mask()?.is_some(),
    })
}

/// The fragments' names, for messages.
pub fn ids(fragments: &[Fragment]) -> String {
    let ids: Vec<&str> = fragments.iter().map(Fragment::id).collect();
    ids.join(", ")
}
