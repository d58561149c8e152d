//! The folds of a recipe: which fragments are held out, fold by fold.

use inkling_fragment::Fragment;

use crate::fold::Fold;
use crate::leakage::refuse_leaks;
use crate::open_fragments::{ids, validates_by_masks};
use crate::{Recipe, Usage};

/// What validation masks are called as a fold.
const BY_MASKS: &str = "validation";

/// The recipe's folds: as `data.folds` names them, or each fragment held out once, or the one of
/// all validation masks. None may be validated on pixels that it trains on.
pub fn folds(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<Fold>> {
    let folds = match validates_by_masks(recipe, fragments)? {
        true => vec![fold_by_masks(recipe, fragments)?],
        false => folds_by_fragments(recipe, fragments)?,
    };
    refuse_leaks(&folds, fragments)?;
    Ok(folds)
}

fn folds_by_fragments(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<Fold>> {
    let named: Vec<Vec<String>> = match recipe.data.folds.is_empty() {
        true => {
            let inked = fragments.iter().filter(|fragment| !fragment.is_bare());
            inked.map(|f| vec![f.id().to_owned()]).collect()
        }
        false => recipe.data.folds.clone(),
    };
    named.iter().map(|names| fold(names, fragments)).collect()
}

fn fold_by_masks(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Fold> {
    if !recipe.data.folds.is_empty() {
        return Err(Usage(
            "data.folds: found folds beside data.validation = \"masks\", which has one fold, that \
             of all validation masks; expected one of the two. hint: remove data.folds, or set \
             data.validation = \"fragments\""
                .to_owned(),
        )
        .into());
    }
    let mut held_out = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        if !fragment.is_bare() && fragment.validation_mask()?.is_some() {
            held_out.push(index);
        }
    }
    match held_out.is_empty() {
        false => Ok(Fold {
            name: BY_MASKS.to_owned(),
            held_out,
            by_masks: true,
        }),
        true => Err(Usage(format!(
            "data.validation: found \"masks\", and no validation mask beside any of {}; expected \
             <id>_validation_mask.png with at least one. hint: draw one, or set data.validation = \
             \"fragments\"",
            ids(fragments)
        ))
        .into()),
    }
}

fn fold(names: &[String], fragments: &[Fragment]) -> anyhow::Result<Fold> {
    let mut held_out = Vec::new();
    for name in names {
        let place = fragments.iter().position(|fragment| fragment.id() == name);
        let place = place.ok_or_else(|| {
            Usage(format!(
                "data.folds: found {name}; expected names among {}. hint: name fragments of \
                 data.fragments",
                ids(fragments)
            ))
        })?;
        if fragments[place].is_bare() {
            return Err(Usage(format!(
                "data.folds: found {name}, which data.bare says has no ink; expected fragments with ink, since \
                 F0.5 is measured on what is held out. hint: leave it out of data.folds, or of data.bare"
            ))
            .into());
        }
        held_out.push(place);
    }
    held_out.sort_unstable();
    held_out.dedup();
    if held_out.is_empty() || held_out.len() == fragments.len() {
        return Err(Usage(format!(
            "data.folds: found a fold that holds out {} of {} fragments; expected at least one, \
             and one left to train on. hint: change the fold",
            held_out.len(),
            fragments.len()
        ))
        .into());
    }
    Ok(Fold {
        name: names.join("+"),
        held_out,
        by_masks: false,
    })
}

/// The fold that `choice` names or counts from 0; the last without a choice.
pub fn choose_fold(choice: Option<&str>, folds: &[Fold]) -> anyhow::Result<Fold> {
    let Some(choice) = choice else {
        return Ok(folds[folds.len() - 1].clone());
    };
    let named = folds.iter().find(|fold| fold.name == choice);
    let numbered = || folds.get(choice.parse::<usize>().ok()?);
    named.or_else(numbered).cloned().ok_or_else(|| {
        let names: Vec<&str> = folds.iter().map(|fold| fold.name.as_str()).collect();
        Usage(format!(
            "--fold {choice}: expected a place from 0 to {}, or one of {}",
            folds.len() - 1,
            names.join(", ")
        ))
        .into()
    })
}
