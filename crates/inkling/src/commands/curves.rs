use anyhow::Context as _;
use inkling_align::{FragmentCurves, measure_curves, write_curves};
use inkling_fragment::{Fragment, write_bytes};
use inkling_report::{FragmentCurve, curves_svg};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Curves;

pub fn run(flags: &Curves, context: &Context) -> anyhow::Result<Value> {
    let mut measured = Vec::new();
    for path in &flags.fragments {
        let fragment = Fragment::open(path)?;
        let task = context.console.task(fragment.id());
        let curves = measure_curves(&fragment, &|done, all| task.at(done, all))?;
        measured.push((fragment.id().to_owned(), curves));
    }
    let folder = &flags.out;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    write_curves(&folder.join("curves.csv"), &measured, context.force)?;
    let views: Vec<FragmentCurve> = measured.iter().map(view).collect();
    let path = folder.join("curves.svg");
    write_bytes(&path, curves_svg(&views), context.force)?;
    context.console.say(format!("{}", path.display()));
    let figures: serde_json::Map<String, Value> = measured
        .into_iter()
        .map(|(id, curves)| (id, json!(curves)))
        .collect();
    Ok(Value::Object(figures))
}

/// Curves as the report draws them.
pub fn view((id, curves): &(String, FragmentCurves)) -> FragmentCurve {
    let values = |curve: &inkling_align::Curve| curve.values().to_vec();
    FragmentCurve {
        id: id.clone(),
        all: values(&curves.all),
        ink: curves.ink.as_ref().map(values),
        background: curves.background.as_ref().map(values),
    }
}
