//! Controls of a reading.

use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{
    Context, ControlSettings, Ensemble, Inputs, Maps, maps_to_read, parse_threshold, run_controls,
};
use inkling_predict::PredictSettings;
use serde_json::Value;

use crate::cli::Controls;
use crate::commands::predict::tta;

pub fn run(flags: &Controls, context: &Context) -> anyhow::Result<Value> {
    let maps = Maps::of_flags(flags.maps.as_deref(), flags.flip);
    maps.check_order(flags.flip)?;
    let paths = [&flags.fragment].into_iter().chain(&flags.models);
    Inputs::of(paths)
        .and(maps.folder())
        .check_apart(&flags.out)?;
    let tta = tta(&flags.tta)?;
    let threshold = parse_threshold(&flags.threshold)?;
    let results = ResultFolder::shared(&flags.out, ResultKind::Audit);
    for name in ["controls.json", "controls.html"] {
        results.check(name, context.force)?;
    }
    // Maps are fitted to the layers in the files' order.
    let flip = flags.flip && flags.maps.is_none();
    let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(flip))?;
    let mut ensemble = Ensemble::load(&flags.models, &[], &[], context)?;
    maps.warn_of_unaligned(&ensemble);
    ensemble.centre_layers(fragment.depth());
    let settings = ControlSettings {
        maps: maps_to_read(&maps, &flags.out, false, &fragment, &ensemble, context)?,
        predict: PredictSettings {
            tta,
            ..ensemble.metadata().predict.clone()
        },
        threshold,
        block: flags.block as usize,
        seed: flags.seed,
    };
    let found = run_controls(&fragment, &ensemble, &settings, context)?;
    for control in &found.controls {
        let verdict = match control.passes {
            Some(true) => "passes",
            Some(false) => "FAILS",
            None => "not judged",
        };
        context.say(format!(
            "{:<13} {verdict:<10} {}",
            control.name, control.sentence
        ));
    }
    context.say(found.verdict());
    let figures = serde_json::to_value(&found)?;
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(results.claim("controls.json", context.force)?, text, true)?;
    let page = results.claim("controls.html", context.force)?;
    write_bytes(&page, found.page().render(), true)?;
    context.say(format!("{}", page.display()));
    Ok(figures)
}
