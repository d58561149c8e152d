//! Controls of a reading.

use inkling_fragment::write_bytes;
use inkling_pipeline::{Context, ControlSettings, run_controls};
use serde_json::Value;

use super::audited_reading::AuditedReading;
use crate::cli::Controls;

pub fn run(flags: &Controls, context: &Context) -> anyhow::Result<Value> {
    let files = |_: &str| ["controls.json", "controls.html"].map(str::to_owned);
    let reading = AuditedReading::open(&flags.audit, files, context)?;
    let settings = ControlSettings {
        maps: reading.maps,
        predict: reading.predict,
        threshold: reading.threshold,
        block: flags.block as usize,
        seed: flags.seed,
    };
    let found = run_controls(&reading.fragment, &reading.ensemble, &settings, context)?;
    for control in &found.controls {
        let verdict = match control.passes {
            Some(true) => "passes",
            Some(false) => "FAILS",
            None => "inconclusive",
        };
        context.say(format!(
            "{:<13} {verdict:<10} {}",
            control.name, control.sentence
        ));
    }
    context.say(found.verdict());
    let figures = serde_json::to_value(&found)?;
    let (results, [record, page]) = (reading.results, reading.files);
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(results.claim(&record, context.force)?, text, true)?;
    let page = results.claim(&page, context.force)?;
    write_bytes(&page, found.page().render(), true)?;
    context.say(format!("{}", page.display()));
    Ok(figures)
}
