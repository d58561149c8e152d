//! Reads a segment in many ways, side by side.

use inkling_fragment::{ResultFolder, ResultKind, split_name, write_bytes, write_gray};
use inkling_pipeline::{
    Context, Inputs, Maps, SweepSettings, consistency, contact_sheet, parse_threshold, sweep,
};
use serde_json::{Value, json};

use crate::cli::{Rules, Sweep};
use crate::commands::predict::tta;

pub fn run(flags: &Sweep, context: &Context) -> anyhow::Result<Value> {
    let maps = flags.maps.clone().map_or(Maps::None, Maps::Folder);
    let orders = flags.direction.orders();
    maps.check_order(orders.contains(&true))?;
    let paths = [&flags.fragment].into_iter().chain(&flags.models);
    Inputs::of(paths)
        .and(maps.folder())
        .check_apart(&flags.out)?;
    let settings = SweepSettings {
        fragment: flags.fragment.clone(),
        reading: flags.reading.options(false),
        models: flags.models.clone(),
        overrides: flags.overrides.clone(),
        offsets: flags.offset.clone(),
        orders: orders.to_vec(),
        maps,
        region: flags.region.clone(),
        production: flags.rules == Rules::Production,
        tta: tta(&flags.tta)?,
        threshold: parse_threshold(&flags.threshold)?,
    };
    let results = ResultFolder::shared(&flags.out, ResultKind::Prediction);
    let own = ["sweep.json", "sweep.html", "sweep.png"];
    for name in own {
        results.check(name, context.force)?;
    }
    let readings = sweep(&settings, context)?;
    for reading in &readings {
        let path = results.claim(&reading.file, context.force)?;
        write_gray(path, reading.map.view(), context.force)?;
    }
    let consistency = consistency(&readings);
    for spread in &consistency {
        let path = results.claim(&spread.file, context.force)?;
        write_gray(path, spread.map.view(), context.force)?;
        context.say(format!(
            "{}: standard deviation over the offsets {:.3} on average",
            spread.file, spread.mean
        ));
    }
    let (name, path) = split_name(&flags.fragment);
    let name = name.map_or_else(|| path.display().to_string(), str::to_owned);
    let sheet = contact_sheet(&name, &readings);
    let figures = json!({
        "segment": name,
        "region": flags.region,
        "readings": readings,
        "consistency": consistency,
    });
    let [record, page, picture] = own.map(|name| results.claim(name, context.force));
    write_bytes(record?, serde_json::to_string_pretty(&figures)?, true)?;
    write_bytes(page?, sheet.to_html(), true)?;
    let picture = picture?;
    write_bytes(&picture, sheet.to_png(), true)?;
    context.say(format!("{}", picture.display()));
    Ok(figures)
}
