//! Merges the shards of predictions that several processes made.

use std::path::Path;

use inkling_fragment::{ResultFolder, ResultKind};
use inkling_predict::{PredictionSpec, TileStore};
use serde_json::Value;

use crate::inputs::check_distinct;
use crate::merged_prediction::{
    ImageFiles, check_records, image_options, is_recorded, merge_tiles, record, write_records,
};
use crate::prediction_job::SHARDS;
use crate::{Context, Usage};

/// Merges the predictions whose shards lie in `folder` into images and records there, and removes the
/// shards unless they are to be kept (`keep`). What an earlier call had finished is left as it is.
///
/// # Errors
/// [`Usage`] for a folder without shards; missing or damaged shards; images that are there and must
/// not be replaced; those of writing.
pub fn merge(
    folder: &Path,
    images: &ImageFiles,
    keep: bool,
    context: &Context,
) -> anyhow::Result<Value> {
    let parts = folder.join(SHARDS);
    let entries = std::fs::read_dir(&parts).map_err(|error| {
        Usage(format!(
            "{}: {error}; expected the parts of a prediction. hint: give the folder that \
             `predict --part` wrote to",
            parts.display()
        ))
    })?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    // Images beside parts, but without a record, are those of a merge that was killed.
    let replace = context.force || !is_recorded(folder);
    let recorded = match context.force {
        true => Vec::new(),
        false => recorded_plans(folder),
    };
    let mut stores = Vec::new();
    for shards in folders {
        if is_empty_store(&shards) {
            // Killed when its parts were gone, but for their mark.
            ResultFolder::shared(&shards, ResultKind::Tiles).remove()?;
            continue;
        }
        let store = TileStore::open(&shards)?;
        if recorded.contains(store.plan()) && !keep {
            // Killed after everything was written, and before its parts were gone.
            remove(vec![store], &parts)?;
            continue;
        }
        // All that is missing is named before any work is done.
        store.parts()?;
        let plan = store.plan();
        image_options(images, folder, &plan.id, replace).check(plan.channels, plan.models.len())?;
        stores.push(store);
    }
    if stores.is_empty() && !recorded.is_empty() {
        context.say(format!("{}: merged before", folder.display()));
        return record(folder);
    }
    check_records(folder, replace)?;
    if stores.is_empty() {
        return Err(Usage(format!(
            "{}: found no parts. hint: run `predict --part` first",
            parts.display()
        ))
        .into());
    }
    check_distinct(
        stores
            .iter()
            .map(|store| (store.plan().id.clone(), store.folder())),
    )?;
    let mut merged = Vec::new();
    for store in &stores {
        merged.push(merge_tiles(
            store,
            &store.mask()?,
            images,
            folder,
            replace,
            context,
        )?);
    }
    let figures = write_records(folder, merged, replace)?;
    if !keep {
        remove(stores, &parts)?;
    }
    Ok(figures)
}

/// Whether nothing but marks lies in a store of parts.
fn is_empty_store(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    folder.is_dir() && names.all(|name| name.starts_with(".inkling"))
}

/// Removes the parts, and their folder where nothing else lies in it.
fn remove(stores: Vec<TileStore>, parts: &Path) -> anyhow::Result<()> {
    for store in stores {
        store.remove()?;
    }
    let _ = std::fs::remove_dir(parts);
    Ok(())
}

/// The plans of the predictions that are recorded in `folder`.
fn recorded_plans(folder: &Path) -> Vec<PredictionSpec> {
    let figures = record(folder).unwrap_or_default();
    let entries = figures["fragments"].as_array().cloned().unwrap_or_default();
    let plans = entries.into_iter().map(|entry| entry["plan"].clone());
    plans
        .filter_map(|plan| serde_json::from_value(plan).ok())
        .collect()
}
