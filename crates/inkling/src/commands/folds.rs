//! Which fragments are held out, fold by fold.

use inkling_fragment::{Fragment, Provenance};

use super::fold::Fold;
use crate::failure::Usage;
use crate::recipe::Recipe;

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
    for (index, fragment) in fragments.iter().enumerate() {
        if fragments[..index]
            .iter()
            .any(|other| other.id() == fragment.id())
        {
            return Err(Usage(format!(
                "data.fragments: found two fragments named {}; expected names of their own, since \
                 folds and results are named after them. Mend: rename a folder",
                fragment.id()
            ))
            .into());
        }
    }
    Ok(fragments)
}

/// The recipe's folds: as `data.folds` names them, or each fragment held out once. None may be
/// judged on pixels that it learns from.
pub fn folds(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<Fold>> {
    let named: Vec<Vec<String>> = match recipe.data.folds.is_empty() {
        true => fragments.iter().map(|f| vec![f.id().to_owned()]).collect(),
        false => recipe.data.folds.clone(),
    };
    let folds = named.iter().map(|names| fold(names, fragments));
    let folds = folds.collect::<anyhow::Result<Vec<_>>>()?;
    let origins = fragments
        .iter()
        .map(Provenance::of)
        .collect::<Result<Vec<_>, _>>()?;
    for fold in &folds {
        refuse_shared_pixels(fold, fragments, &origins)?;
    }
    Ok(folds)
}

fn refuse_shared_pixels(
    fold: &Fold,
    fragments: &[Fragment],
    origins: &[Provenance],
) -> anyhow::Result<()> {
    for &held_out in &fold.held_out {
        for learnt in (0..fragments.len()).filter(|index| !fold.held_out.contains(index)) {
            let (ours, theirs) = (&origins[held_out], &origins[learnt]);
            if ours.overlaps(theirs) {
                return Err(Usage(format!(
                    "fold {}: found {}, held out, and {}, learnt from, on the same pixels of scan \
                     {} (rows {:?} and {:?}, columns {:?} and {:?}); expected papyrus that the \
                     network never saw. Mend: leave one of them out of data.fragments, or hold out \
                     both in data.folds",
                    fold.name,
                    fragments[held_out].path().display(),
                    fragments[learnt].path().display(),
                    ours.scan,
                    ours.rows,
                    theirs.rows,
                    ours.columns,
                    theirs.columns,
                ))
                .into());
            }
        }
    }
    Ok(())
}

fn fold(names: &[String], fragments: &[Fragment]) -> anyhow::Result<Fold> {
    let mut held_out = Vec::new();
    for name in names {
        let place = fragments.iter().position(|fragment| fragment.id() == name);
        held_out.push(place.ok_or_else(|| {
            Usage(format!(
                "data.folds: found {name}; expected names among {}. Mend: name fragments of \
                 data.fragments",
                known(fragments)
            ))
        })?);
    }
    held_out.sort_unstable();
    held_out.dedup();
    if held_out.is_empty() || held_out.len() == fragments.len() {
        return Err(Usage(format!(
            "data.folds: found a fold that holds out {} of {} fragments; expected at least one, \
             and one left to learn from. Mend: change the fold",
            held_out.len(),
            fragments.len()
        ))
        .into());
    }
    Ok(Fold {
        name: names.join("+"),
        held_out,
    })
}

/// The fold that `choice` names or counts from 0; the last without a choice.
pub fn choose(choice: Option<&str>, folds: &[Fold]) -> anyhow::Result<Fold> {
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

fn known(fragments: &[Fragment]) -> String {
    let names: Vec<&str> = fragments.iter().map(Fragment::id).collect();
    names.join(", ")
}
