//! Joins the parts of predictions that several processes made.

use inkling_predict::TileStore;
use serde_json::Value;

use super::Context;
use super::apart::check_distinct;
use super::job::PARTS;
use super::join::{check_free, join, options, sum_up};
use super::threshold::threshold;
use crate::cli::Merge;
use crate::failure::Usage;

pub fn run(flags: &Merge, context: &Context) -> anyhow::Result<Value> {
    let parts = flags.folder.join(PARTS);
    let entries = std::fs::read_dir(&parts).map_err(|error| {
        Usage(format!(
            "{}: {error}; expected the parts of a prediction. Mend: give the folder that \
             `predict --part` wrote to",
            parts.display()
        ))
    })?;
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    threshold(&flags.images.threshold)?;
    check_free(&flags.folder, context.force)?;
    let mut stores = Vec::new();
    for folder in folders {
        let store = TileStore::open(&folder)?;
        // All that is missing is told before any work is done.
        store.parts()?;
        let plan = store.plan();
        options(&flags.images, &flags.folder, &plan.id, context.force)
            .check(plan.channels, plan.models.len())?;
        stores.push(store);
    }
    if stores.is_empty() {
        return Err(Usage(format!(
            "{}: found no parts. Mend: run `predict --part` first",
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
            context.force,
            context,
        )?);
    }
    let figures = sum_up(&flags.folder, joined, context.force)?;
    if !flags.keep {
        for store in stores {
            store.remove()?;
        }
        // Others may lie beside the parts; then the folder stays.
        let _ = std::fs::remove_dir(&parts);
    }
    Ok(figures)
}
