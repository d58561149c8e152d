use inkling_fragment::{Fragment, Maps, ResultFolder, ResultKind, thirds, write_part};
use inkling_pipeline::{Context, Inputs, maps_of};
use serde_json::{Value, json};

use crate::cli::Split;

pub fn run(flags: &Split, context: &Context) -> anyhow::Result<Value> {
    let inputs = Inputs::of([&flags.fragment]).and(flags.maps.as_ref());
    inputs.check_apart(&flags.out)?;
    let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(false))?;
    let maps = flags.maps.as_ref();
    let maps = maps.map(|folder| maps_of(folder, &fragment)).transpose()?;
    let mask = fragment.mask()?;
    if let Some(found) = maps.as_ref().map(Maps::size) {
        let expected = [fragment.height(), fragment.width()];
        if found != expected {
            return Err(inkling_align::Error::MapSize { found, expected }.into());
        }
    }
    let options = context.write_options(flags.format.zarr());
    let mut parts = Vec::new();
    for (part, letter) in thirds(&mask).iter().zip(["a", "b", "c"]) {
        let name = format!("{}{letter}", fragment.id());
        let path = flags.out.join(&name);
        let task = context.task(&name);
        write_part(&fragment, part, &path, &options, &|done, all| {
            task.at(done, all);
        })?;
        drop(task);
        if let Some(maps) = &maps {
            let cut = maps.read(part.rows.clone(), part.columns.clone())?;
            let folder = flags.out.join("maps").join(&name);
            let folder = ResultFolder::shared(folder, ResultKind::Maps);
            for name in ["z_shift.npy", "z_scale.npy"] {
                folder.claim(name, context.force)?;
            }
            cut.write(folder.path(), true)?;
        }
        let papyrus = part.of(&mask).iter().filter(|&&papyrus| papyrus).count();
        let (height, width) = part.size();
        context.say(format!(
            "{}: {height} × {width} px from ({}, {}), {papyrus} px of papyrus",
            path.display(),
            part.rows.start,
            part.columns.start
        ));
        parts.push(json!({
            "path": path,
            "rows": [part.rows.start, part.rows.end],
            "columns": [part.columns.start, part.columns.end],
            "papyrus": papyrus,
        }));
    }
    Ok(json!({ "parts": parts }))
}
