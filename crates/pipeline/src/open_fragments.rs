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

/// The fragments of `data.fragments`, those of `data.flip` with their layers in reverse order, those of
/// `data.bare` without ink.
fn open_as_recipe_says(data: &DataSettings) -> anyhow::Result<Vec<Fragment>> {
    let mut fragments = open_distinct(&data.fragments, data.options())?;
    if let Flip::Named(names) = &data.flip {
        for place in places("data.flip", names, &fragments)? {
            fragments[place] = fragments[place].clone().flipped();
        }
    }
    for place in places("data.bare", &data.bare, &fragments)? {
        fragments[place] = fragments[place].clone().without_ink();
    }
    Ok(fragments)
}

/// Where fragments of these `names` stand.
fn places(key: &str, names: &[String], fragments: &[Fragment]) -> Result<Vec<usize>, Usage> {
    let place = |name: &String| {
        let found = fragments.iter().position(|fragment| fragment.id() == name);
        found.ok_or_else(|| {
            Usage(format!(
                "{key}: found {name}; expected names among {}. hint: name fragments of data.fragments",
                ids(fragments)
            ))
        })
    };
    names.iter().map(place).collect()
}

/// The recipe's fragments; folds need two with ink, or one with a validation mask.
pub fn open_fragments(recipe: &Recipe) -> anyhow::Result<Vec<Fragment>> {
    let fragments = open_as_recipe_says(&recipe.data)?;
    let inked: Vec<&Fragment> = fragments.iter().filter(|f| !f.is_bare()).collect();
    match inked[..] {
        [] => Err(inkling_train::Error::NoFragments.into()),
        [one] if !validates_by_masks(recipe, &fragments)? => Err(Usage(format!(
            "data.fragments: found one fragment with ink, {}, without a validation mask; expected two \
             such, or one of which a part is kept for validation. hint: name another labelled \
             fragment, or draw {}_validation_mask.png, white where validation looks",
            one.path().display(),
            one.id(),
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
        None => {
            let mut inked = fragments.iter().filter(|fragment| !fragment.is_bare());
            match (inked.next(), inked.next()) {
                (Some(only), None) => only.validation_mask()?.is_some(),
                _ => false,
            }
        }
    })
}

/// The fragments' names, for messages.
pub fn ids(fragments: &[Fragment]) -> String {
    let ids: Vec<&str> = fragments.iter().map(Fragment::id).collect();
    ids.join(", ")
}
