//! Which fragments are held out, fold by fold.

use std::path::PathBuf;

use inkling_fragment::{Fragment, Provenance, ReadOptions, SharedVoxels, VoxelSketch};
use inkling_pipeline::{DataSettings, Flip, Recipe, Usage, ValidationBy};

use super::apart::check_distinct;
use super::fold::Fold;

/// What validation masks are called as a fold.
const BY_MASKS: &str = "validation";

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
                    known(&fragments)
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
fn validates_by_masks(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<bool> {
    Ok(match recipe.data.validation {
        Some(ValidationBy::Masks) => true,
        Some(ValidationBy::Fragments) => false,
        None => fragments.len() == 1 && fragments[0].validation_mask()?.is_some(),
    })
}

/// The recipe's folds: as `data.folds` names them, or each fragment held out once, or the one of
/// all validation masks. None may be validated on pixels that it learns from.
pub fn folds(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<Fold>> {
    let folds = match validates_by_masks(recipe, fragments)? {
        true => vec![fold_by_masks(recipe, fragments)?],
        false => folds_by_fragments(recipe, fragments)?,
    };
    let origins = fragments.iter().map(Origin::of);
    let origins = origins.collect::<anyhow::Result<Vec<_>>>()?;
    for fold in &folds {
        refuse_shared_pixels(fold, fragments, &origins)?;
    }
    Ok(folds)
}

fn folds_by_fragments(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<Fold>> {
    let named: Vec<Vec<String>> = match recipe.data.folds.is_empty() {
        true => fragments.iter().map(|f| vec![f.id().to_owned()]).collect(),
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
        if fragment.validation_mask()?.is_some() {
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
            known(fragments)
        ))
        .into()),
    }
}

/// Where a fragment comes from: as its `part.json` says, and as its voxels show.
struct Origin {
    provenance: Provenance,
    sketch: VoxelSketch,
}

impl Origin {
    fn of(fragment: &Fragment) -> anyhow::Result<Self> {
        Ok(Self {
            provenance: Provenance::of(fragment)?,
            sketch: VoxelSketch::of(fragment)?,
        })
    }

    /// In words, how `other` shows papyrus that this one shows too; `None` where it does not.
    fn shared_with(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (&self.provenance, &other.provenance);
        if ours.overlaps(theirs) {
            return Some(format!(
                "on the same pixels of scan {} (rows {:?} and {:?}, columns {:?} and {:?})",
                ours.scan, ours.rows, theirs.rows, ours.columns, theirs.columns,
            ));
        }
        let shown = |shared: SharedVoxels, whose: &str| {
            format!(
                "with the same voxels ({} runs of pixels agree; the first pixel of {whose} lies at \
                 row {}, column {} of the other)",
                shared.matches, shared.row, shared.column
            )
        };
        let forth = self.sketch.shared_with(&other.sketch);
        let back = || other.sketch.shared_with(&self.sketch);
        forth
            .map(|shared| shown(shared, "the second"))
            .or_else(|| back().map(|shared| shown(shared, "the first")))
    }
}

fn refuse_shared_pixels(
    fold: &Fold,
    fragments: &[Fragment],
    origins: &[Origin],
) -> anyhow::Result<()> {
    for &held_out in &fold.held_out {
        let others = (0..fragments.len()).filter(|&index| index != held_out);
        for learnt in others.filter(|&index| fold.learns_from(index)) {
            if let Some(shared) = origins[held_out].shared_with(&origins[learnt]) {
                return Err(Usage(format!(
                    "fold {}: found {}, held out, and {}, learnt from, {shared}; expected papyrus \
                     that the network never saw. hint: leave one of them out of data.fragments, or \
                     hold out both in data.folds",
                    fold.name,
                    fragments[held_out].path().display(),
                    fragments[learnt].path().display(),
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
                "data.folds: found {name}; expected names among {}. hint: name fragments of \
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
             and one left to learn from. hint: change the fold",
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
