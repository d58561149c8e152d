//! Joins the parts of predictions that several processes made.

use std::path::Path;

use inkling_fragment::{ResultFolder, ResultKind};
use inkling_pipeline::Usage;
use inkling_predict::{PredictionSpec, TileStore};
use serde_json::Value;

use super::Context;
use super::apart::check_distinct;
use super::job::PARTS;
use super::join::{check_free, is_recorded, join, options, record, sum_up};
use super::threshold::threshold;
use crate::cli::Merge;

pub fn run(flags: &Merge, context: &Context) -> anyhow::Result<Value> {
    let parts = flags.folder.join(PARTS);
    let entries = std::fs::read_dir(&parts).map_err(|error| {
        Usage(format!(
            "{}: {error}; expected the parts of a prediction. hint: give the folder that \
             `predict --part` wrote to",
            parts.display()
        ))
    })?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    threshold(&flags.images.threshold)?;
    // Images beside parts, but without a record, are those of a merge that was killed.
    let replace = context.force || !is_recorded(&flags.folder);
    let recorded = match context.force {
        true => Vec::new(),
        false => recorded_plans(&flags.folder),
    };
    let mut stores = Vec::new();
    for folder in folders {
        if is_empty_store(&folder) {
            // Killed when its parts were gone, but for their mark.
            ResultFolder::shared(folder, ResultKind::Tiles).remove()?;
            continue;
        }
        let store = TileStore::open(&folder)?;
        if recorded.contains(store.plan()) && !flags.keep {
            // Killed after everything was written, and before its parts were gone.
            remove(vec![store], &parts)?;
            continue;
        }
        // All that is missing is told before any work is done.
        store.parts()?;
        let plan = store.plan();
        options(&flags.images, &flags.folder, &plan.id, replace)
            .check(plan.channels, plan.models.len())?;
        stores.push(store);
    }
    if stores.is_empty() && !recorded.is_empty() {
        context
            .console
            .say(format!("{}: merged before", flags.folder.display()));
        return record(&flags.folder);
    }
    check_free(&flags.folder, replace)?;
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
    let mut joined = Vec::new();
    for store in &stores {
        joined.push(join(
            store,
            &store.mask()?,
            &flags.images,
            &flags.folder,
            replace,
            context,
        )?);
    }
    let figures = sum_up(&flags.folder, joined, replace)?;
    if !flags.keep {
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
