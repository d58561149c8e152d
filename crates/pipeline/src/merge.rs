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
    // Images beside shards, but without a record, are those of a merge that was killed.
    let replace = context.force || !is_recorded(folder);
    let recorded = match context.force {
        true => Vec::new(),
        false => recorded_specs(folder),
    };
    let shards = folder.join(SHARDS);
    let stores = open_stores(&shards, keep, &recorded)?;
    if stores.is_empty() && !recorded.is_empty() {
        context.say(format!("{}: merged before", folder.display()));
        return record(folder);
    }
    check_records(folder, replace)?;
    check_stores(&stores, &shards)?;
    for store in &stores {
        let spec = store.plan();
        let options = image_options(images, folder, spec, replace);
        options.check(spec.channels, spec.models.len())?;
    }
    let mut merged = Vec::new();
    for store in &stores {
        let sheet = store.sheet()?;
        merged.push(merge_tiles(
            store, &sheet, images, folder, replace, context,
        )?);
    }
    let figures = write_records(folder, merged, replace)?;
    if !keep {
        remove(stores, &shards)?;
    }
    Ok(figures)
}

/// The stores of tiles in `shards`, in the order of their names, but for those whose predictions were
/// `recorded` by a call that was killed before it had removed them: these are removed, unless they
/// are to be kept.
fn open_stores(
    shards: &Path,
    keep: bool,
    recorded: &[PredictionSpec],
) -> anyhow::Result<Vec<TileStore>> {
    let entries = std::fs::read_dir(shards).map_err(|error| {
        Usage(format!(
            "{}: {error}; expected the parts of a prediction. hint: give the folder that \
             `predict --part` wrote to",
            shards.display()
        ))
    })?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let mut stores = Vec::new();
    for folder in folders {
        if is_empty_store(&folder) {
            // Killed when its tiles were gone, but for their mark.
            ResultFolder::shared(&folder, ResultKind::Tiles).remove()?;
            continue;
        }
        let store = TileStore::open(&folder)?;
        match recorded.contains(store.plan()) && !keep {
            true => remove(vec![store], shards)?,
            false => stores.push(store),
        }
    }
    Ok(stores)
}

/// Names what is missing, and twins, before any work is done.
fn check_stores(stores: &[TileStore], shards: &Path) -> anyhow::Result<()> {
    if stores.is_empty() {
        return Err(Usage(format!(
            "{}: found no parts. hint: run `predict --part` first",
            shards.display()
        ))
        .into());
    }
    for store in stores {
        store.parts()?;
    }
    let named = stores.iter();
    Ok(check_distinct(
        named.map(|store| (store.plan().id.clone(), store.folder())),
    )?)
}

/// Whether nothing but marks lies in a store of tiles.
fn is_empty_store(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    folder.is_dir() && names.all(|name| name.starts_with(".inkling"))
}

/// Removes the stores, and their folder where nothing else lies in it.
fn remove(stores: Vec<TileStore>, shards: &Path) -> anyhow::Result<()> {
    for store in stores {
        store.remove()?;
    }
    let _ = std::fs::remove_dir(shards);
    Ok(())
}

/// The specifications of the predictions that are recorded in `folder`.
fn recorded_specs(folder: &Path) -> Vec<PredictionSpec> {
    let figures = record(folder).unwrap_or_default();
    let entries = figures["fragments"].as_array().cloned().unwrap_or_default();
    let plans = entries.into_iter().map(|entry| entry["plan"].clone());
    plans
        .filter_map(|plan| serde_json::from_value(plan).ok())
        .collect()
}
